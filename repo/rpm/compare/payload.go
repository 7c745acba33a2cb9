package compare

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/compare/text"
	"github.com/ohpc-build/ohpc-build/repo/rpm/payload"
)

const (
	maxUnpacked = 64      // files of a pair of packages whose content is looked at
	maxOnDisk   = 4 << 30 // bytes of these in each package
)

// payload compares what is in the two archives. Only files whose content differs
// are unpacked.
func (c *comparison) payload(ctx context.Context, files *fileLists) error {
	if c.a.Header().SameEntry(c.b.Header(), rpm.TagPayloadDigest) && c.a.Header().Has(rpm.TagPayloadDigest) && len(files.content) == 0 {
		return nil
	}
	work, err := os.MkdirTemp(c.scratch, "compare-")
	if err != nil {
		return fmt.Errorf("comparing packages: %w", err)
	}
	defer os.RemoveAll(work)
	first, err := unpack(ctx, c.a, files.content, filepath.Join(work, "a"))
	if err != nil {
		return err
	}
	second, err := unpack(ctx, c.b, files.content, filepath.Join(work, "b"))
	if err != nil {
		return err
	}
	return c.members(first, second, files)
}

// members compares two archives, member by member.
func (c *comparison) members(first, second []member, files *fileLists) error {
	others := map[string]member{}
	for _, m := range second {
		others[m.Path] = m
	}
	for _, m := range first {
		o, ok := others[m.Path]
		if !ok {
			continue // the headers tell that
		}
		if err := c.member(m, o, files); err != nil {
			return err
		}
	}
	if files.same {
		for i := range min(len(first), len(second)) {
			if first[i].Path != second[i].Path {
				c.add(Difference{Part: fmt.Sprintf("order in the archive, at the %d.", i+1), A: first[i].Path, B: second[i].Path})
				break
			}
		}
	}
	return nil
}

// member compares two entries of one path.
func (c *comparison) member(m, o member, files *fileLists) error {
	told := files.told[m.Path]
	switch {
	case m.Size == 0 && o.Size == 0 && m.Fields.Links > 1:
		// Another name of a file whose content is in the archive under the last one.
	case m.sum != o.sum && !m.Regular() && told:
		// Where a link points is in the header too.
	case m.sum != o.sum && (m.unpacked == "" || o.unpacked == ""):
		c.add(Difference{
			File: m.Path, Part: "content (not looked into)",
			A: fmt.Sprintf("%d bytes, sha256 %x", m.Size, m.sum[:8]), B: fmt.Sprintf("%d bytes, sha256 %x", o.Size, o.sum[:8]),
		})
	case m.sum != o.sum:
		return c.content(m.Path, m.unpacked, o.unpacked)
	case files.content[m.Path]:
		c.add(Difference{File: m.Path, Part: "digest in the header differs, though the content is the same"})
	case m.Fields != o.Fields && files.same && !told:
		a, b := text.Shorten(m.Fields.String(), o.Fields.String())
		c.add(Difference{File: m.Path, Part: "archive member", A: a, B: b})
	}
	return nil
}

// member is one entry of an archive.
type member struct {
	payload.Member
	sum      [sha256.Size]byte
	unpacked string // path of its content; "" when it was not asked for or is too much
}

// unpack reads a package's archive, and keeps the content of the files that are
// wanted in dir.
func unpack(ctx context.Context, s side, wanted map[string]bool, dir string) ([]member, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", s.FileName(), err)
	}
	var (
		members []member
		onDisk  uint64
		kept    int
	)
	err := payload.Walk(ctx, s.Package, s.file, func(p payload.Member, r io.Reader) error {
		m := member{Member: p}
		h := sha256.New()
		var to io.Writer = h
		if wanted[p.Path] && kept < maxUnpacked && onDisk+p.Size <= maxOnDisk {
			f, err := os.Create(filepath.Join(dir, strconv.Itoa(kept)))
			if err != nil {
				return err
			}
			defer f.Close()
			kept, onDisk = kept+1, onDisk+p.Size
			m.unpacked = f.Name()
			to = io.MultiWriter(h, f)
		}
		if _, err := io.Copy(to, r); err != nil {
			return err
		}
		h.Sum(m.sum[:0])
		members = append(members, m)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", text.Printable(s.FileName()), err)
	}
	return members, nil
}
