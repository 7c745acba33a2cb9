package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
)

func (l *loader) checkMeta(r *recipes.Recipe) {
	doc := l.docs[r]
	if !strings.HasPrefix(r.Dir, "meta/") {
		l.failIn(r, "kind", "move it to meta", "a meta-package does not belong in components")
	}
	for _, key := range []string{"group", "spec", "sources", "patches", "variants"} {
		if doc.Has(key) {
			l.failIn(r, key, "", "%s is only for components", key)
		}
	}
	if len(r.Requires) == 0 {
		l.failIn(r, "requires", "", "a meta-package without requirements installs nothing")
	}
	l.checkSharing(r)
	l.checkText(r, "summary", r.Summary, false)
	l.checkText(r, "description", r.Description, true)
	named := recipes.Placeholders(r.Name)
	for _, family := range slices.Sorted(maps.Keys(r.Families)) {
		if !slices.Contains(named, family) {
			l.failIn(r, "families."+family, fmt.Sprintf("put {%s} into the name", family),
				"the meta-package has the same name for each member of the family")
		}
	}
	l.checkPlaceholders(r, "name", r.Name)
	before := len(l.problems)
	for i, q := range r.Requires {
		at := fmt.Sprintf("requires[%d]", i)
		l.checkPlaceholders(r, at, q.Package)
		if !templateName.MatchString(q.Package) {
			l.failIn(r, at, "", "%q is not the name of a package", q.Package)
		}
		l.checkCondition(r, at+".only", q.Only)
		l.checkCondition(r, at+".except", q.Except)
		if !q.Only.Empty() && sameCondition(q.Only, q.Except) {
			l.failIn(r, at+".except", "", "except is the same as only: %s would be required nowhere", q.Package)
		}
	}
	if len(l.problems) == before && !l.unknownFamilies {
		l.checkRequirements(r)
	}
}

// checkSharing decides whether a meta-package is built once for all
// architectures: it is when what it requires is the same for each.
func (l *loader) checkSharing(r *recipes.Recipe) {
	i := slices.IndexFunc(r.Requires, func(q recipes.Requirement) bool {
		return len(q.Only.Architectures) > 0 || len(q.Except.Architectures) > 0
	})
	switch {
	case i < 0 && r.Noarch == "":
		r.Noarch = recipes.AnyArch
	case i >= 0 && r.Noarch != "":
		l.failIn(r, "noarch", "leave it out", "%s is required on some architectures only, so that the package is another one for each", r.Requires[i].Package)
	}
}

func sameCondition(a, b recipes.Condition) bool {
	sorted := func(list []string) []string { return slices.Sorted(slices.Values(list)) }
	return slices.Equal(sorted(a.Targets), sorted(b.Targets)) && slices.Equal(sorted(a.Architectures), sorted(b.Architectures)) &&
		sameness(nil, a.Families) == sameness(nil, b.Families)
}
