package compare

import (
	"fmt"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/compare/content"
	"github.com/ohpc-build/ohpc-build/repo/rpm/compare/text"
)

// fileLists is what the two headers' lists of files have in common, and in what
// files of the same path differ.
type fileLists struct {
	same    bool            // the same paths in the same order
	paths   []string        // of the first
	content map[string]bool // paths of regular files whose digests differ
	told    map[string]bool // paths of files whose attributes differ
	sizes   bool            // there are files whose size differs
}

// fileLists compares what the headers say of files.
func (c *comparison) fileLists() *fileLists {
	l := &fileLists{content: map[string]bool{}, told: map[string]bool{}}
	first, second := map[string]rpm.File{}, map[string]rpm.File{}
	var others []string
	for f := range c.a.Files() {
		first[f.Path()] = f
		l.paths = append(l.paths, f.Path())
	}
	for f := range c.b.Files() {
		second[f.Path()] = f
		others = append(others, f.Path())
	}
	l.same = slices.Equal(l.paths, others)
	count := c.found()
	for _, path := range l.paths {
		f := first[path]
		g, ok := second[path]
		if !ok {
			c.add(Difference{File: path, Part: "only in the first", A: describe(f)})
			continue
		}
		before := c.found()
		c.attributes(path, f, g)
		l.told[path] = c.found() > before
		if regular(f) && regular(g) && f.Digest != g.Digest {
			l.content[path] = true
		}
		l.sizes = l.sizes || f.Size != g.Size
	}
	for _, path := range others {
		if g, ok := second[path]; ok {
			if _, ok := first[path]; !ok {
				c.add(Difference{File: path, Part: "only in the second", B: describe(g)})
				delete(second, path)
			}
		}
	}
	if !l.same && c.found() == count {
		i := firstDifference(l.paths, others)
		c.add(Difference{Part: fmt.Sprintf("order of the files, at the %d.", i+1), A: at(l.paths, i), B: at(others, i)})
	}
	return l
}

func regular(f rpm.File) bool { return f.Mode&0o170000 == 0o100000 }

func describe(f rpm.File) string {
	s := fmt.Sprintf("%06o %s:%s, %d bytes", f.Mode, f.User, f.Group, f.Size)
	if f.LinkTo != "" {
		s += " → " + f.LinkTo
	}
	short, _ := text.Shorten(s, "")
	return short
}

// attributes compares everything but the content.
func (c *comparison) attributes(path string, f, g rpm.File) {
	field := func(part, a, b string) {
		if a != b {
			a, b = text.Shorten(a, b)
			c.add(Difference{File: path, Part: part, A: a, B: b})
		}
	}
	field("mode", fmt.Sprintf("%06o", f.Mode), fmt.Sprintf("%06o", g.Mode))
	field("owner", f.User, g.User)
	field("group", f.Group, g.Group)
	field("flags", fmt.Sprintf("%#x", uint32(f.Flags)), fmt.Sprintf("%#x", uint32(g.Flags)))
	field("time", stamp(f.ModTime), stamp(g.ModTime))
	field("link", f.LinkTo, g.LinkTo)
	if !regular(f) || !regular(g) {
		field("size", fmt.Sprint(f.Size), fmt.Sprint(g.Size))
		field("digest", f.Digest, g.Digest)
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// content compares two unpacked files of one path.
func (c *comparison) content(path, a, b string) error {
	found, err := content.Files(a, b)
	if err != nil {
		return fmt.Errorf("comparing %s: %w", path, err)
	}
	for i, d := range found {
		if i == maxPerFile {
			c.result.Further += len(found) - i
			break
		}
		c.add(Difference{File: path, Part: d.Part, A: d.A, B: d.B, Diff: d.Diff})
	}
	return nil
}
