package overlap

import (
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// together says whether packages can be installed together.
type together struct {
	packages []*rpm.Package
	provides map[string][]provided
	has      func(rpm.Dependency) bool
}

type provided struct {
	by int
	rpm.Dependency
}

func newTogether(packages []*rpm.Package, has func(rpm.Dependency) bool) *together {
	t := &together{packages: packages, provides: map[string][]provided{}, has: has}
	for i, p := range packages {
		for d := range p.Provides() {
			t.provides[d.Name] = append(t.provides[d.Name], provided{i, d})
		}
	}
	return t
}

// can says whether two packages, with all that they cannot do without, may be
// installed on one machine. Where there is a choice of providers it believes that
// there is a way: what it refuses is impossible, what it allows may be too.
func (t *together) can(a, b int) bool {
	installed := []int{a}
	in := map[int]bool{a: true}
	add := func(i int) bool {
		if in[i] {
			return true
		}
		for _, other := range installed {
			if t.excludes(i, other) || t.excludes(other, i) {
				return false
			}
		}
		in[i] = true
		installed = append(installed, i)
		return true
	}
	if !add(b) {
		return false
	}
	// One round after the other, because what came in later leaves fewer providers.
	for before := 0; before != len(installed); {
		before = len(installed)
		for at := 0; at < len(installed); at++ {
			for d := range t.packages[installed[at]].Requires() {
				only, way := t.only(d, installed)
				if !way || only >= 0 && !add(only) {
					return false
				}
			}
		}
	}
	return true
}

// only is the one package that must be installed for a requirement, or -1 when
// there is none, or a choice. way is false when there is no way to satisfy it.
func (t *together) only(d rpm.Dependency, installed []int) (only int, way bool) {
	if d.Rich() || d.Flags&(rpm.RPMLib|rpm.MissingOK) != 0 || strings.HasPrefix(d.Name, "/") {
		return -1, true
	}
	only, packages := -1, 0
	candidates := 0
	seen := map[int]bool{}
	for _, p := range t.provides[d.Name] {
		if seen[p.by] || !d.SatisfiedBy(p.Dependency) {
			continue
		}
		seen[p.by] = true
		packages++
		allowed := true
		for _, other := range installed {
			if other == p.by {
				return -1, true
			}
			allowed = allowed && !t.excludes(p.by, other) && !t.excludes(other, p.by)
		}
		if allowed {
			only = p.by
			candidates++
		}
	}
	switch {
	case packages == 0 || t.has != nil && t.has(d):
		return -1, true // left to the system, or to the check of the closure
	case candidates == 0:
		return -1, false
	case candidates == 1:
		return only, true
	}
	return -1, true
}

// excludes says whether a package cannot be installed beside another: it conflicts
// with what that provides, or takes its place.
func (t *together) excludes(a, b int) bool {
	p, other := t.packages[a], t.packages[b]
	if p.Name == other.Name && a != b { // one replaces the other
		return true
	}
	for d := range p.Conflicts() {
		for o := range other.Provides() {
			if d.SatisfiedBy(o) {
				return true
			}
		}
	}
	for d := range p.Obsoletes() { // by the name of the package alone (rpm: rpmalObsoletes)
		if d.SatisfiedBy(rpm.Dependency{Name: other.Name, Flags: rpm.Equal, Version: other.EVR().String()}) {
			return true
		}
	}
	return false
}
