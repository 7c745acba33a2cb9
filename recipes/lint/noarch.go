package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// checkNoarch compares packages without an architecture as each architecture
// would build them: they have one name in one repository.
func checkNoarch(l *linter) {
	type key struct{ recipe, variant, target, name string }
	first := map[key]provided{}
	for _, s := range l.specs {
		if owner := s.recipe.Noarch; owner != "" && owner != recipes.AnyArch {
			continue // only one architecture's counts
		}
		for _, e := range s.evaluated {
			packages := e.packages()
			for i := range packages {
				p := provided{pkg: &packages[i], by: e}
				if p.pkg.Arch != noarch {
					continue
				}
				k := key{s.recipe.Name, e.Variant.Name(), e.Variant.Target, p.pkg.Name}
				other, seen := first[k]
				if !seen {
					first[k] = p
					continue
				}
				if difference, tag := differ(other, p); difference != "" {
					at := s.findTag(e.Variant.Arch, tag)
					message := fmt.Sprintf("noarch, and yet not the same for each architecture: %s. There is one package for all in the repository", difference)
					hint := fmt.Sprintf("take what differs out of it, or drop BuildArch: noarch, or name in recipe.yaml who builds it: noarch: %s", other.by.Variant.Arch)
					l.findings.add(at.finding(ruleNoarch, Error, message, hint, p.pkg.Name), other.by, e)
				}
			}
		}
	}
}

// differ is what of two headers is not the same, and the tag that it comes from.
func differ(a, b provided) (difference, tag string) {
	for _, field := range []struct {
		name string
		of   func(h *headers.Header) string
	}{
		{"Version", func(h *headers.Header) string { return h.Version }},
		{"Release", func(h *headers.Header) string { return h.Release }},
		{"Summary", func(h *headers.Header) string { return h.Summary }},
	} {
		if of, or := field.of(a.pkg), field.of(b.pkg); of != or {
			return fmt.Sprintf("%s is %q for %s and %q for %s", field.name, of, a.by.Variant.Arch, or, b.by.Variant.Arch), field.name
		}
	}
	for _, field := range []struct {
		name, verb string
		of         func(h *headers.Header) []rpm.Dependency
	}{
		{"Requires", "requires", func(h *headers.Header) []rpm.Dependency { return h.Requires }},
		{"Provides", "provides", func(h *headers.Header) []rpm.Dependency { return h.Provides }},
		{"Conflicts", "conflicts with", func(h *headers.Header) []rpm.Dependency { return h.Conflicts }},
		{"Obsoletes", "obsoletes", func(h *headers.Header) []rpm.Dependency { return h.Obsoletes }},
		{"Recommends", "recommends", func(h *headers.Header) []rpm.Dependency { return h.Recommends }},
	} {
		of, or := texts(field.of(a.pkg)), texts(field.of(b.pkg))
		var parts []string
		if only := without(of, or); len(only) > 0 {
			parts = append(parts, fmt.Sprintf("only for %s it %s %s", a.by.Variant.Arch, field.verb, short(only, 3)))
		}
		if only := without(or, of); len(only) > 0 {
			parts = append(parts, fmt.Sprintf("only for %s it %s %s", b.by.Variant.Arch, field.verb, short(only, 3)))
		}
		if len(parts) > 0 {
			return strings.Join(parts, ", "), field.name
		}
	}
	return "", ""
}

func texts(list []rpm.Dependency) []string {
	var all []string
	for _, d := range list {
		all = append(all, d.String())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		_, found := slices.BinarySearch(other, s)
		return found
	})
}
