package provide

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// World is the packages that can be installed side by side: those of one cell.
type World struct {
	packages []Package
	offers   map[string][]offer // by name
	base     Base

	known    map[rpm.Dependency][]int // candidates for what was asked before
	requires [][]requirement          // of each package, once they were asked for
}

// requirement is what one package requires.
type requirement struct {
	closure.Expression
	candidates []int // when it is not rich
}

// Package is what must be known of a package.
type Package struct {
	Name     string
	Provides []rpm.Dependency
	Requires []rpm.Dependency
	Files    []string // paths, as far as they are known

	Consumer // who makes it
}

// Consumer is who requires something. A package that is made by the consumer
// itself is never there while that is built.
type Consumer struct {
	Owner int               // a number of the caller's choice
	Picks map[string]string // the choices that it is made by: what was chosen for what
}

// Base tells whether the base system provides something. It is not known when
// its packages are not at hand.
type Base func(req rpm.Dependency) (met, known bool)

// offer is one package's providing of a name.
type offer struct {
	by       int
	provides rpm.Dependency
}

// NewWorld returns a world of these packages. A base of nil is one of which
// nothing is known.
func NewWorld(packages []Package, base Base) *World {
	if base == nil {
		base = func(rpm.Dependency) (met, known bool) { return false, false }
	}
	w := &World{
		packages: packages, base: base, offers: make(map[string][]offer, 2*len(packages)),
		known: map[rpm.Dependency][]int{}, requires: make([][]requirement, len(packages)),
	}
	for i, p := range packages {
		for _, d := range p.Provides {
			w.offers[d.Name] = append(w.offers[d.Name], offer{i, d})
		}
		for _, file := range p.Files {
			w.offers[file] = append(w.offers[file], offer{i, rpm.Dependency{Name: file}})
		}
	}
	return w
}

// Names iterates over everything that is provided, in no order.
func (w *World) Names() iter.Seq[string] { return maps.Keys(w.offers) }

// Versions are those in which a name is provided, the newest first.
func (w *World) Versions(name string) []string {
	var found []string
	for _, o := range w.offers[name] {
		if o.provides.Version != "" {
			found = append(found, o.provides.Version)
		}
	}
	slices.SortFunc(found, func(a, b string) int { return rpm.ParseEVR(b).Compare(rpm.ParseEVR(a)) })
	return slices.Compact(found)
}

// Provided says whether a package provides what is no rich dependency.
func (w *World) Provided(req rpm.Dependency) bool { return len(w.candidates(req)) > 0 }

// candidates are all packages that satisfy req, each once.
func (w *World) candidates(req rpm.Dependency) []int {
	req.Flags &= rpm.Less | rpm.Equal | rpm.Greater
	found, ok := w.known[req]
	if ok {
		return found
	}
	for _, o := range w.offers[req.Name] {
		// The offers of one package follow one another.
		if req.SatisfiedBy(o.provides) && (len(found) == 0 || found[len(found)-1] != o.by) {
			found = append(found, o.by)
		}
	}
	w.known[req] = found
	return found
}

// requiresOf are the requirements of a package.
func (w *World) requiresOf(i int) []requirement {
	if w.requires[i] == nil {
		w.requires[i] = w.read(w.packages[i].Requires)
	}
	return w.requires[i]
}

// read leaves out what cannot be read: it asks for nothing here, and who judges
// it names it.
func (w *World) read(requires []rpm.Dependency) []requirement {
	all := make([]requirement, 0, len(requires))
	for _, d := range requires {
		e, err := closure.Parse(d)
		if err != nil || Ignored(d) {
			continue
		}
		r := requirement{Expression: e}
		if e.Op == "" {
			r.candidates = w.candidates(d)
		}
		all = append(all, r)
	}
	return all
}

// Ignored says whether a requirement is none of other packages: one on rpm
// itself, or a weak one.
func Ignored(d rpm.Dependency) bool {
	return d.Flags&(rpm.RPMLib|rpm.MissingOK) != 0 || strings.HasPrefix(d.Name, "rpmlib(")
}

// best is the one of several packages that a consumer takes for a requirement;
// the rule is in the package's documentation.
func (w *World) best(of []int, name string, c Consumer) int {
	rank := func(i int) (r [4]int) {
		p := &w.packages[i]
		for choice, member := range p.Picks {
			switch mine, has := c.Picks[choice]; {
			case !has:
			case mine == member:
				r[3]--
			default:
				r[0]++
			}
		}
		// foo(x86-64) is as much the name of the package foo as foo is.
		if rest, ok := strings.CutPrefix(name, p.Name); !ok || rest != "" && rest[0] != '(' {
			r[1] = 1
		}
		if p.Owner != c.Owner {
			r[2] = 1
		}
		return r
	}
	return slices.MinFunc(of, func(a, b int) int {
		x, y := rank(a), rank(b)
		return cmp.Or(slices.Compare(x[:], y[:]), cmp.Compare(a, b))
	})
}
