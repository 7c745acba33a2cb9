package closure

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// List is a repository whose packages are known, files and all.
type List struct {
	Name string
	Of   []Package
}

// String is the list's name.
func (l *List) String() string { return l.Name }

// Packages calls fn for each package.
func (l *List) Packages(_ context.Context, fn func(Package) error) error {
	for _, p := range l.Of {
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// Files calls nothing: the packages have told all of their files.
func (l *List) Files(context.Context, func(string) bool, func(id, path string) error) error {
	return nil
}

// FromHeader is a package as its own header describes it.
func FromHeader(p *rpm.Package, id string) Package {
	c := Package{
		ID: id, Name: p.Name, EVR: p.EVR(), Arch: p.Arch,
		Provides: slices.Collect(p.Provides()), Requires: slices.Collect(p.Requires()),
	}
	for f := range p.Files() {
		c.Files = append(c.Files, f.Path())
	}
	return c
}

// maxLine bounds a line of a list of provided things, in bytes.
const maxLine = 64 << 10

// ReadProvided reads what a base system provides: one thing in each line, a
// name, "name = version" or a path, as `rpm -qa --provides` prints it. Empty
// lines and those that begin with # are passed over. All of it counts as one
// package that every architecture has.
func ReadProvided(name string, r io.Reader) (*List, error) {
	p := Package{ID: name, Name: name, Arch: noarch}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		d := rpm.Dependency{Name: fields[0]}
		if len(fields) > 1 {
			sense, ok := comparisons[fields[1]]
			if !ok || len(fields) != 3 {
				return nil, fmt.Errorf("%s:%d: %q is not a name, a path, or a name = version", name, n, lines.Text())
			}
			d.Flags, d.Version = sense, fields[2]
		}
		if p.Provides = append(p.Provides, d); len(p.Provides) > maxSize {
			return nil, fmt.Errorf("%s: %w", name, errTooLarge)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("%s:%d: the line has more than %d bytes", name, n+1, maxLine)
	} else if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return &List{Name: name, Of: []Package{p}}, nil
}
