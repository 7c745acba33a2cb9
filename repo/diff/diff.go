package diff

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Package is one that a repository offers.
type Package struct {
	Name, Arch string
	EVR        rpm.EVR
	Digest     string // "sha256:…", of the file
	path       string // of the file, where it can be read
}

func (p Package) key() string { return p.Name + "." + p.Arch }

// Change is a package that is not the same in both repositories. Old or New is
// empty where a repository has none; both are [epoch:]version-release.
type Change struct {
	Name string `json:"name"`
	Arch string `json:"arch"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

func (c Change) String() string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("%s.%s %s", c.Name, c.Arch, c.New)
	case c.New == "" || c.New == c.Old:
		return fmt.Sprintf("%s.%s %s", c.Name, c.Arch, c.Old)
	}
	return fmt.Sprintf("%s.%s %s → %s", c.Name, c.Arch, c.Old, c.New)
}

// Result is the difference of two repositories, each list by name and
// architecture.
type Result struct {
	Added      []Change `json:"added,omitempty"`
	Removed    []Change `json:"removed,omitempty"` // no version is left
	Upgraded   []Change `json:"upgraded,omitempty"`
	Downgraded []Change `json:"downgraded,omitempty"`
	Changed    []Change `json:"changed,omitempty"`    // other content in the same version
	Resigned   []Change `json:"resigned,omitempty"`   // the same content with another signature
	Superseded []Change `json:"superseded,omitempty"` // an old version is gone, a newer one was there already
}

// Empty tells whether there is no difference.
func (r *Result) Empty() bool {
	for _, l := range r.Lists() {
		if len(l.Changes) > 0 {
			return false
		}
	}
	return true
}

// List is one kind of difference.
type List struct {
	Kind    string
	Changes []Change
}

// Lists are all kinds of differences.
func (r *Result) Lists() []List {
	return []List{
		{"added", r.Added},
		{"removed", r.Removed},
		{"upgraded", r.Upgraded},
		{"downgraded", r.Downgraded},
		{"changed without a new version", r.Changed},
		{"signed anew", r.Resigned},
		{"old versions gone", r.Superseded},
	}
}

// Compare compares what two repositories offer. Of several versions of a package
// the newest is what clients install.
func Compare(ctx context.Context, old, new []Package) (*Result, error) {
	r := &Result{}
	before, after := group(old), group(new)
	for _, key := range keys(before, after) {
		a, b := before[key], after[key]
		switch {
		case len(a) == 0:
			r.Added = append(r.Added, change(nil, &b[0]))
			continue
		case len(b) == 0:
			r.Removed = append(r.Removed, change(&a[0], nil))
			continue
		}
		switch c := a[0].EVR.Compare(b[0].EVR); {
		case c < 0:
			r.Upgraded = append(r.Upgraded, change(&a[0], &b[0]))
		case c > 0:
			r.Downgraded = append(r.Downgraded, change(&a[0], &b[0]))
		}
		for i, p := range a {
			at := slices.IndexFunc(b, func(q Package) bool { return p.EVR.Compare(q.EVR) == 0 })
			switch {
			case at >= 0 && p.Digest == b[at].Digest:
			case at >= 0:
				same, err := sameContent(ctx, p, b[at])
				if err != nil {
					return nil, err
				}
				if c := change(&p, &b[at]); same {
					r.Resigned = append(r.Resigned, c)
				} else {
					r.Changed = append(r.Changed, c)
				}
			case i > 0:
				r.Superseded = append(r.Superseded, change(&p, nil))
			}
		}
	}
	return r, nil
}

// group sorts packages by name and architecture, the newest first.
func group(packages []Package) map[string][]Package {
	groups := map[string][]Package{}
	for _, p := range packages {
		groups[p.key()] = append(groups[p.key()], p)
	}
	for _, g := range groups {
		slices.SortStableFunc(g, func(a, b Package) int { return b.EVR.Compare(a.EVR) })
	}
	return groups
}

func keys(groups ...map[string][]Package) []string {
	var all []string
	for _, g := range groups {
		for key := range g {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func change(old, new *Package) Change {
	p := cmp.Or(old, new)
	c := Change{Name: p.Name, Arch: p.Arch}
	if old != nil {
		c.Old = evr(old.EVR)
	}
	if new != nil {
		c.New = evr(new.EVR)
	}
	return c
}

// evr is without an epoch of 0, as rpm shows it.
func evr(e rpm.EVR) string {
	if e.Epoch == "0" {
		e.Epoch = ""
	}
	return e.String()
}

// sameContent tells whether two packages differ only by their signatures. When
// their files cannot be read it says no.
func sameContent(ctx context.Context, a, b Package) (bool, error) {
	if a.path == "" || b.path == "" {
		return false, nil
	}
	var digests [2]string
	for i, path := range []string{a.path, b.path} {
		d, err := contentDigest(ctx, path)
		if err != nil {
			return false, err
		}
		digests[i] = d
	}
	return digests[0] == digests[1], nil
}

// contentDigest is the digest of what a package is, wherever and whenever it was built.
func contentDigest(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	p, err := rpm.Read(f, size)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return p.PortableDigest(ctx, f)
}
