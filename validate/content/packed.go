package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/content/binary"
)

// maxUnpacked bounds how much is unpacked of one package's compressed files and
// archives, in bytes.
const maxUnpacked = 4 << 30

// packed looks into a compressed file or an initramfs: for which machine the code in it
// is, and whether its scripts have their interpreters.
func (in *inspection) packed(ctx context.Context, f rpm.File, r io.Reader) error {
	p := &packed{in: in, file: f, told: map[string]bool{}, names: map[string]bool{}, links: map[string]string{}}
	err := binary.Unpack(ctx, r, &in.room, p.visit)
	if err == nil {
		err = p.interpreters()
	}
	if errors.Is(err, binary.ErrPacked) {
		return in.find(f.Path(), Malformed, "", "%v", err)
	}
	return err
}

// packed is the look into one file.
type packed struct {
	in      *inspection
	file    rpm.File
	told    map[string]bool   // one finding for each machine
	names   map[string]bool   // of entries
	links   map[string]string // symbolic ones
	size    int               // of names and links, bytes
	scripts []Script
}

// Of one file are remembered: so many scripts, and so many bytes of names and links.
const (
	maxScripts = 10_000
	maxNames   = 64 << 20
)

var errNames = fmt.Errorf("%w: its members' names and links are longer than %d bytes together", binary.ErrPacked, maxNames)

func (p *packed) visit(inner binary.Inner) error {
	part := "what is compressed in it"
	if inner.Name != "" {
		part = "its member " + inner.Name
		if p.size += len(inner.Name); p.size > maxNames {
			return errNames
		}
		p.names[inner.Name] = true
	}
	switch inner.Mode & modeType {
	case modeLink:
		to := inner.Head[:min(len(inner.Head), maxText)]
		if p.size += len(to); p.size > maxNames {
			return errNames
		}
		p.links[inner.Name] = string(to)
		return nil
	case 0, modeRegular:
	default:
		return nil
	}
	switch {
	case binary.IsELF(inner.Head):
		e, err := binary.Header(inner.Head)
		if err != nil {
			return nil // in pieces, or not what it looks like; no machine runs it
		}
		return p.code(part, e.Code)
	case isScript(inner.Head) && inner.Mode&anyExecute != 0:
		return p.script(part, inner)
	}
	if c, ok := binary.Boot(path.Base(inner.Name), inner.Head); ok {
		return p.code(part, c)
	}
	return nil
}

func (p *packed) code(part string, c binary.Code) error {
	if key := c.Format + " " + c.Machine; !p.told[key] {
		p.told[key] = true
		return p.in.code(p.file, part, c)
	}
	return nil
}

func (p *packed) script(part string, inner binary.Inner) error {
	s := readShebang(inner.Head)
	if s.interpreter != "" && len(p.scripts) < maxScripts {
		p.scripts = append(p.scripts, Script{inner.Name, s.interpreter})
	}
	if s.wrong == "" || p.told[s.wrong] {
		return nil
	}
	p.told[s.wrong] = true
	return p.in.find(p.file.Path(), Interpreter, s.mend, "%s is a script: %s", part, s.wrong)
}

// interpreters looks for the interpreters of scripts in the archive that they are in, if
// it is one that a system begins with: others are laid over it. A busybox makes links
// to itself when it runs.
func (p *packed) interpreters() error {
	if !p.names["init"] && !p.names["sbin/init"] {
		return nil
	}
	for name := range p.names {
		if path.Base(name) == "busybox" {
			return nil
		}
	}
	for _, s := range p.scripts {
		if p.has(s.Interpreter) || p.told[s.Interpreter] {
			continue
		}
		p.told[s.Interpreter] = true
		err := p.in.find(p.file.Path(), Interpreter, "put it into the archive", "its member %s is a script, and its interpreter %s is not in the archive", s.Path, s.Interpreter)
		if err != nil {
			return err
		}
	}
	return nil
}

// has says whether the archive has a path, over its links.
func (p *packed) has(at string) bool {
	const maxLinks = 40 // Linux: namei.c
	name := strings.TrimPrefix(path.Clean(at), "/")
	for range maxLinks {
		if p.names[name] && p.links[name] == "" {
			return true
		}
		next, ok := p.follow(name)
		if !ok {
			return false
		}
		name = next
	}
	return false
}

// follow replaces the first part of a path that is a link.
func (p *packed) follow(name string) (string, bool) {
	parts := strings.Split(name, "/")
	for i := range parts {
		front := strings.Join(parts[:i+1], "/")
		to, ok := p.links[front]
		if !ok {
			continue
		}
		if !path.IsAbs(to) {
			to = "/" + path.Join(path.Dir(front), to)
		}
		return strings.TrimPrefix(path.Join(slices.Concat([]string{to}, parts[i+1:])...), "/"), true
	}
	return "", false
}
