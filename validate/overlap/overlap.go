package overlap

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Conflict is one path that two packages have differently.
type Conflict struct {
	Package, Other string // NEVRA
	Name           string // of Package
	Path           string
	Difference     string
}

// Options are what the packages alone do not say.
type Options struct {
	// Colour is the transaction colour of the machines (rpm: %_transaction_color): 3
	// where 32-bit packages are installed beside 64-bit ones, 0 elsewhere.
	Colour uint32

	// Provided says whether the system that the packages are for satisfies a
	// requirement. Nil: it satisfies all that no package does.
	Provided func(rpm.Dependency) bool
}

// maxConflicts bounds how many conflicts are told of a pair of packages.
const maxConflicts = 20

// Find finds the conflicts among packages of one architecture and noarch ones, in
// order of packages and path.
func Find(ctx context.Context, packages []*rpm.Package, opt Options) ([]Conflict, error) {
	packages = slices.Clone(packages)
	slices.SortFunc(packages, func(a, b *rpm.Package) int { return cmp.Compare(a.NEVRA(), b.NEVRA()) })
	shared, err := sharedPaths(ctx, packages)
	if err != nil {
		return nil, err
	}
	together := newTogether(packages, opt.Provided)
	possible := map[[2]int32]bool{}
	count := map[[2]int32]int{}
	var found []Conflict
	for _, s := range shared {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if s.same() {
			continue
		}
		for i, a := range s.files {
			for _, b := range s.files[i+1:] {
				pair := [2]int32{a.by, b.by}
				if a.by == b.by || count[pair] == maxConflicts {
					continue
				}
				difference := a.differs(b, opt.Colour)
				if difference == "" {
					continue
				}
				can, known := possible[pair]
				if !known {
					can = together.can(int(a.by), int(b.by))
					possible[pair] = can
				}
				if can {
					count[pair]++
					p, o := packages[a.by], packages[b.by]
					found = append(found, Conflict{Package: p.NEVRA(), Other: o.NEVRA(), Name: p.Name, Path: s.path, Difference: difference})
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b Conflict) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Other, b.Other), cmp.Compare(a.Path, b.Path))
	})
	return found, nil
}

// shared is one path and the files that packages have there.
type shared struct {
	path  string
	files []file
}

// same says whether all are alike, as folders are: then there is no need to compare
// each with each.
func (s shared) same() bool {
	return !slices.ContainsFunc(s.files, func(f file) bool { return s.files[0].differs(f, 0) != "" })
}

// sharedPaths are the paths that more than one package has. Most paths are in one
// package only: these cost eight bytes each.
func sharedPaths(ctx context.Context, packages []*rpm.Package) ([]shared, error) {
	seed := maphash.MakeSeed()
	links := linksOf(packages)
	holder := map[uint64]int32{} // the first package that has it, or -1 when there are several
	for i, p := range packages {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		for f := range p.Files() {
			key := maphash.String(seed, links.resolve(f.Path()))
			if first, ok := holder[key]; !ok {
				holder[key] = int32(i)
			} else if first != int32(i) {
				holder[key] = -1
			}
		}
	}
	byPath := map[string]int{}
	var all []shared
	for i, p := range packages {
		for f := range filesOf(p) {
			path := links.resolve(f.Path())
			if holder[maphash.String(seed, path)] >= 0 || f.IsGhost() { // no two ghosts conflict
				continue
			}
			f.by = int32(i)
			at, ok := byPath[path]
			if !ok {
				at = len(all)
				byPath[path] = at
				all = append(all, shared{path: path})
			}
			all[at].files = append(all[at].files, f)
		}
	}
	return all, nil
}

// links are the packages' symbolic links that other packages' paths may lead over:
// rpm knows two paths to be one by the folders that they are in (rpm: fprint.c).
type links map[string]string

func linksOf(packages []*rpm.Package) links {
	dirs := map[string]bool{}
	for _, p := range packages {
		for f := range p.Files() {
			dirs[f.Dir] = true
		}
	}
	all := links{}
	for _, p := range packages {
		for f := range p.Files() {
			if f.IsLink() && !f.IsGhost() && f.LinkTo != "" {
				all[f.Path()] = f.LinkTo
			}
		}
	}
	// Only links to folders in which packages have files matter.
	for at := range all {
		if !dirs[at+"/"] {
			delete(all, at)
		}
	}
	return all
}

// maxLinks bounds how many links a path may lead over (Linux: 40).
const maxLinks = 40

func (l links) resolve(path string) string {
	if len(l) == 0 {
		return path
	}
	for range maxLinks {
		resolved, changed := l.step(path)
		if !changed {
			return path
		}
		path = resolved
	}
	return path
}

// step replaces the first folder of a path that is a link.
func (l links) step(path string) (string, bool) {
	for i := 1; i < len(path); i++ {
		if path[i] != '/' {
			continue
		}
		to, ok := l[path[:i]]
		if !ok {
			continue
		}
		if !strings.HasPrefix(to, "/") {
			to = path[:strings.LastIndexByte(path[:i], '/')+1] + to
		}
		return clean(to) + path[i:], true
	}
	return path, false
}

// clean resolves the dots of an absolute path.
func clean(path string) string {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		switch part {
		case "", ".":
		case "..":
			parts = parts[:max(0, len(parts)-1)]
		default:
			parts = append(parts, part)
		}
	}
	return "/" + strings.Join(parts, "/")
}
