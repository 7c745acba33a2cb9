package load

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/ohpc-build/ohpc-build/recipes"
)

// checkVariants finds extra variants that could not be told apart, by their
// names or by what they are.
func (l *loader) checkVariants(r *recipes.Recipe) {
	names := map[string]bool{}
	made := map[string]string{sameness(nil, r.Families): "the recipe itself"}
	for i, x := range r.Variants {
		at := fmt.Sprintf("variants[%d]", i)
		switch {
		case !packageName.MatchString(x.Name):
			l.failIn(r, at+".name", "letters, digits and + . _ -", "%q cannot name a variant", x.Name)
		case names[x.Name]:
			l.failIn(r, at+".name", "rename one of them", "there is another variant %q", x.Name)
		}
		names[x.Name] = true
		families := r.Families
		if x.Families != nil {
			families = x.Families
			l.checkChoices(r, at+".families", x.Families)
		}
		l.checkDefines(r, at+".defines", x.Defines)
		l.checkFamilyMacros(r, at+".defines", x.Defines, families)
		key := sameness(x.Defines, families)
		if other := made[key]; other != "" {
			l.failIn(r, at, "it would be built twice", "the variant has the same defines and families as %s", other)
			continue
		}
		made[key] = "variant " + x.Name
	}
}

// checkFamilyMacros keeps defines from saying another member than the variant's
// name does.
func (l *loader) checkFamilyMacros(r *recipes.Recipe, at string, defines map[string]string, families map[string]recipes.Choice) {
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f, err := l.catalog.Family(name)
		if err != nil {
			continue
		}
		if _, ok := defines[f.Define]; ok {
			l.failIn(r, at+"."+f.Define, "choose the member under families", "the family %s gives the macro %s its value", f.Name, f.Define)
		}
	}
}

// sameness is equal for what makes the same variants.
func sameness(defines map[string]string, families map[string]recipes.Choice) string {
	choices := map[string][]string{}
	for name, c := range families {
		choices[name] = slices.Sorted(slices.Values(c))
		if c.HasAll() {
			choices[name] = []string{recipes.All}
		}
	}
	if defines == nil {
		defines = map[string]string{}
	}
	key, err := json.Marshal([]any{defines, choices})
	if err != nil {
		return "" // maps of strings always marshal
	}
	return string(key)
}
