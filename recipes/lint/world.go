package lint

import (
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// world is what the recipes provide in one cell.
type world struct {
	target, arch string
	provided     map[string][]provided // by name
	names        map[string][]provided // packages by name, one for each evaluation
	stems        map[string][]string   // names of packages by what is left without families; nil until asked for
	failed       []*Evaluated
	own          []provided // packages of this cell's evaluations
}

// provided is something that a package provides.
type provided struct {
	rpm.Dependency
	pkg *headers.Header
	by  *Evaluated
}

func (l *linter) world(target, arch string) *world {
	key := target + "/" + arch
	if l.worlds[key] == nil {
		l.worlds[key] = &world{target: target, arch: arch, provided: map[string][]provided{}, names: map[string][]provided{}}
	}
	return l.worlds[key]
}

func (w *world) add(e *Evaluated) {
	if e.failed() {
		w.failed = append(w.failed, e)
	}
	packages := e.packages()
	for i := range packages {
		p := provided{rpm.Dependency{Name: packages[i].Name}, &packages[i], e}
		w.own = append(w.own, p)
	}
}

// share adds the packages of the cell, and those without an architecture of the
// target's others: they lie in one repository.
func (w *world) share(worlds map[string]*world) {
	for _, key := range sortedKeys(worlds) {
		other := worlds[key]
		if other.target != w.target {
			continue
		}
		for _, p := range other.own {
			if other == w || p.pkg.Arch == noarch {
				w.take(p)
			}
		}
	}
}

const noarch = "noarch"

func (w *world) take(p provided) {
	w.names[p.pkg.Name] = append(w.names[p.pkg.Name], p)
	self := false
	for _, d := range p.pkg.Provides {
		self = self || d.Name == p.pkg.Name
		w.provided[d.Name] = append(w.provided[d.Name], provided{d, p.pkg, p.by})
	}
	if !self {
		evr := rpm.Dependency{Name: p.pkg.Name, Flags: rpm.Equal, Version: p.pkg.Version + "-" + p.pkg.Release}
		w.provided[p.pkg.Name] = append(w.provided[p.pkg.Name], provided{evr, p.pkg, p.by})
	}
}

// providers are those of a requirement that is no expression.
func (w *world) providers(d rpm.Dependency) []provided {
	var found []provided
	for _, p := range w.provided[d.Name] {
		if d.SatisfiedBy(p.Dependency) {
			found = append(found, p)
		}
	}
	return found
}

// hidden says whether a package of that name could come from a spec that rpm
// could not read in this cell.
func (w *world) hidden(name string, elsewhere []*world) bool {
	for _, e := range w.failed {
		if strings.Contains(name, e.Variant.Recipe.Name) {
			return true
		}
		for _, other := range elsewhere {
			if slices.ContainsFunc(other.provided[name], func(p provided) bool { return p.by.Variant.Recipe == e.Variant.Recipe }) {
				return true
			}
		}
	}
	return false
}
