package toolchain

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

const (
	dpkgStatus = "/var/lib/dpkg/status"
	dpkgInfo   = "/var/lib/dpkg/info"

	// Bounds on what is read of dpkg's records, in bytes.
	maxRecords = 64 << 20
	maxLine    = 1 << 20
)

// indifferent are packages whose version changes nothing in what programs write: the
// C library is the same to all native programs.
var indifferent = map[string]bool{"libc6": true, "libgcc-s1": true}

// packages are those of both roots.
type packages struct {
	owners      map[string]string // of the native root's files
	native, own map[string]string // versions
}

// sameVersions checks that a native program and all libraries that it loads are of
// packages which the image has in the same version.
func (p *planner) sameVersions(f program) error {
	if err := p.readPackages(); err != nil {
		return err
	}
	libraries, err := p.libraries(f)
	if err != nil {
		return err
	}
	files := []string{f.Path}
	for _, name := range slices.Sorted(maps.Keys(libraries)) {
		files = append(files, libraries[name].Path)
	}
	for _, at := range files {
		name, known := p.packages.owners[merged(at)]
		if !known {
			return &unfit{fmt.Sprintf("no package of the %s root has %s", p.native.Arch, at)}
		}
		if native, own := p.packages.native[name], p.packages.own[name]; native != own && !indifferent[name] {
			return &unfit{fmt.Sprintf("%s is %q in the image and %q in the native root", name, own, native)}
		}
	}
	return nil
}

func (p *planner) readPackages() error {
	if p.packages != nil {
		return nil
	}
	var (
		all packages
		err error
	)
	if all.owners, err = p.native.owners(); err != nil {
		return err
	}
	if all.native, err = p.native.versions(); err != nil {
		return err
	}
	if all.own, err = p.image.versions(); err != nil {
		return err
	}
	p.packages = &all
	return nil
}

// versions are those of the packages that dpkg installed in a root.
func (r Root) versions() (map[string]string, error) {
	found := map[string]string{}
	var name, status string
	err := r.lines(dpkgStatus, func(line string) {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "Package":
			name, status = value, ""
		case "Status":
			status = value
		case "Version":
			if strings.HasSuffix(status, " installed") {
				found[name] = value
			}
		}
	})
	return found, err
}

// owners tells which of a root's packages files are from.
func (r Root) owners() (map[string]string, error) {
	names, err := r.overlay().List(dpkgInfo)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, name := range names {
		owner, ok := strings.CutSuffix(name, ".list")
		if !ok {
			continue
		}
		owner, _, _ = strings.Cut(owner, ":")
		err := r.lines(path.Join(dpkgInfo, name), func(line string) {
			found[merged(line)] = owner
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// merged is a path as it is where /lib and the like are links to folders below /usr:
// packages name files by either.
func merged(name string) string {
	top, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if top == "bin" || top == "sbin" || strings.HasPrefix(top, "lib") {
		return "/usr" + name
	}
	return name
}

// lines reads a file of the root; none where there is no such file.
func (r Root) lines(name string, each func(line string)) error {
	e, err := r.overlay().Find(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && e.Source == "" {
		return nil
	} else if err != nil {
		return err
	}
	f, err := os.Open(e.Source)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(io.LimitReader(f, maxRecords))
	s.Buffer(nil, maxLine)
	for s.Scan() {
		each(s.Text())
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("reading %s of the %s root: %w", name, r.Arch, err)
	}
	return nil
}
