package overlap

import (
	"fmt"
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
	s := &Set{together: t, in: map[int]bool{}}
	if !s.add(a) || !s.add(b) {
		return false
	}
	// One round after the other, because what came in later leaves fewer providers.
	for before := 0; before != len(s.installed); {
		before = len(s.installed)
		if !s.complete(0) {
			return false
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

// Set is a set of packages that can be installed together. It grows one by one.
type Set struct {
	together  *together
	installed []int
	in        map[int]bool
	refused   refusal
}

// refusal is why a package was not added.
type refusal struct {
	by    int // the package that could not come along: the one that was to be added, or what it needs
	other int // one that is there and excludes it, or -1: its requirement cannot be satisfied
	need  rpm.Dependency
}

// NewSet begins with nothing. provided is as in [Options].
func NewSet(packages []*rpm.Package, provided func(rpm.Dependency) bool) *Set {
	return &Set{together: newTogether(packages, provided), in: map[int]bool{}}
}

// Add adds the i-th package with all that it cannot do without, if it may be installed
// beside what is there; otherwise the set stays as it is. As in [Find], what is refused
// is impossible, and where there is a choice of providers, what is taken may be too.
func (s *Set) Add(i int) bool {
	before := len(s.installed)
	if s.add(i) && s.complete(before) {
		return true
	}
	for _, added := range s.installed[before:] {
		delete(s.in, added)
	}
	s.installed = s.installed[:before]
	return false
}

// Refused says why the last package that was not added was not.
func (s *Set) Refused() string {
	by := s.together.packages[s.refused.by].NEVRA()
	if s.refused.other < 0 {
		return fmt.Sprintf("%s requires %s, and what provides that is excluded by what else is there", by, s.refused.need)
	}
	return fmt.Sprintf("%s and %s exclude each other", by, s.together.packages[s.refused.other].NEVRA())
}

// Empty is an empty set of the same packages.
func (s *Set) Empty() *Set { return &Set{together: s.together, in: map[int]bool{}} }

func (s *Set) add(i int) bool {
	if s.in[i] {
		return true
	}
	for _, other := range s.installed {
		if s.together.excludes(i, other) || s.together.excludes(other, i) {
			s.refused = refusal{by: i, other: other}
			return false
		}
	}
	s.in[i] = true
	s.installed = append(s.installed, i)
	return true
}

// complete adds what the packages from the at-th on cannot do without.
func (s *Set) complete(at int) bool {
	for ; at < len(s.installed); at++ {
		for d := range s.together.packages[s.installed[at]].Requires() {
			only, way := s.together.only(d, s.installed)
			if !way {
				s.refused = refusal{by: s.installed[at], other: -1, need: d}
				return false
			}
			if only >= 0 && !s.add(only) {
				return false
			}
		}
	}
	return true
}
