package lint

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
)

// checkNames holds the names of packages against OpenHPC's convention:
// <name>[-<compiler>[-<mpi>]]-ohpc, with the names of subpackages behind it, and
// ohpc-<name> for what belongs to the project itself.
func checkNames(l *linter) {
	for _, s := range l.specs {
		if s.recipe.Kind == recipes.MetaPackage {
			continue // the loader knows their names
		}
		for _, e := range s.evaluated {
			for i := range e.packages() {
				l.checkConvention(s, e, &e.packages()[i])
			}
		}
	}
}

// order is that of families in a name; others come in any.
var order = []string{"compiler", "mpi"}

func (l *linter) checkConvention(s *specFile, e *Evaluated, h *headers.Header) {
	name := strings.TrimSuffix(strings.TrimSuffix(h.Name, "-debuginfo"), "-debugsource")
	if unexpanded(name) {
		return
	}
	report := func(severity Severity, message, hint string) {
		at := s.findPackage(e, h.Name)
		l.findings.add(at.finding(ruleName, severity, message, hint, h.Name), e)
	}
	d := delimiter(e.Variant)
	if !ours(name, e.Variant) {
		report(Warning,
			fmt.Sprintf("the name does not end with %s: the package takes the place of the distribution's own, or is taken for it", d),
			"end it with %{PROJ_DELIM}")
		return
	}
	base := name
	if i := strings.Index(name+"-", d+"-"); i > 0 {
		base = name[:i]
	}
	positions := map[string]int{}
	for _, p := range e.Variant.Picks {
		at := memberIndex(base, p.Member)
		if at >= 0 {
			positions[p.Family] = at
			continue
		}
		if wrong := l.otherMember(name, p); wrong != "" {
			report(Error,
				fmt.Sprintf("the variant of %s makes a package that is named after %s", p.Member, wrong),
				fmt.Sprintf("take the name from %%{%s}", l.define(p.Family)))
			continue
		}
		report(Warning,
			fmt.Sprintf("the name does not say with which %s the package was built: a second one would collide with it", p.Family),
			fmt.Sprintf("put %%{%s} into it, or take %s out of the recipe's families", l.define(p.Family), p.Family))
	}
	compiler, has := positions[order[0]]
	mpi, both := positions[order[1]]
	if has && both && mpi < compiler {
		report(Warning, "the MPI family comes before the compiler in the name", "the convention is <name>-<compiler>-<mpi>"+d)
	}
}

// memberIndex is where a name has a family's member between hyphens, or -1.
func memberIndex(name, member string) int {
	return strings.Index("-"+name+"-", "-"+member+"-")
}

// otherMember is a member of the family that the name has instead of the
// variant's, or empty.
func (l *linter) otherMember(name string, p recipes.Pick) string {
	family, err := l.in.Catalog.Family(p.Family)
	if err != nil {
		return ""
	}
	for _, m := range family.Members {
		if m.Name != p.Member && memberIndex(name, m.Name) >= 0 {
			return m.Name
		}
	}
	return ""
}

func (l *linter) define(family string) string {
	if f, err := l.in.Catalog.Family(family); err == nil {
		return f.Define
	}
	return family
}

var packageOption = regexp.MustCompile(`^-n[ \t]+(\S.*)$`)

// findPackage is the place where a package gets its name.
func (s *specFile) findPackage(e *Evaluated, name string) place {
	best, found := 0, s.findTag(e.Variant.Arch, "Name")
	main := ""
	if e.Result != nil {
		main = e.Result.Source.Name
	}
	if name == main {
		return found
	}
	for _, p := range s.text.Packages() {
		full := main + "-" + p.Section.Args
		if m := packageOption.FindStringSubmatch(p.Section.Args); m != nil {
			full = m[1]
		}
		pattern := wildcards(full)
		if literal := len(pattern) - strings.Count(pattern, anything); literal >= best && matches(pattern, name) {
			best, found = literal, s.at(p.Position)
		}
	}
	return found
}
