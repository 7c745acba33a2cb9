package load

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

// checkExclusions finds what does not exist, for which an exclusion would be
// silently without effect. The recipe is nil for those of a family's member.
func (l *loader) checkExclusions(v any, at string, exclusions []recipes.Exclusion, r *recipes.Recipe) {
	for i, e := range exclusions {
		here := fmt.Sprintf("%s[%d]", at, i)
		if e.Target != "" {
			l.checkTarget(v, here+".target", e.Target)
		}
		if e.Arch != "" {
			l.checkArch(v, here+".arch", e.Arch, e.Target)
		}
		for _, name := range slices.Sorted(maps.Keys(e.Families)) {
			l.checkMember(v, here+".families."+name, name, e.Families[name], r)
		}
		switch {
		case e.Variant == "":
		case r == nil:
			l.failIn(v, here+".variant", "leave it out", "the variants of recipes are not those of a family")
		default:
			names := make([]string, len(r.Variants))
			for j, x := range r.Variants {
				names[j] = x.Name
			}
			if !slices.Contains(names, e.Variant) {
				l.failIn(v, here+".variant", strict.DidYouMean(e.Variant, names), "the recipe has no variant %q under variants", e.Variant)
			}
		}
	}
}

func (l *loader) checkTarget(v any, at, name string) {
	known := make([]string, len(l.targets))
	for i, t := range l.targets {
		known[i] = t.Name
	}
	if !slices.Contains(known, name) {
		l.failIn(v, at, "", "%v", &recipes.NotFoundError{What: "target", Name: name, Known: known})
	}
}

// checkArch holds an architecture against those of a target, of all when that is
// empty or unknown.
func (l *loader) checkArch(v any, at, arch, target string) {
	var all []string
	for _, t := range l.targets {
		if t.Name == target {
			if !slices.Contains(t.Architectures, arch) {
				l.failIn(v, at, strict.DidYouMean(arch, t.Architectures), "target %s has no architecture %q", target, arch)
			}
			return
		}
		all = append(all, t.Architectures...)
	}
	if !slices.Contains(all, arch) {
		l.failIn(v, at, strict.DidYouMean(arch, all), "no target has the architecture %q", arch)
	}
}

// checkMember finds members that do not exist, or that the recipe, when there is
// one, is never built with.
func (l *loader) checkMember(v any, at, family, member string, r *recipes.Recipe) {
	f, err := l.catalog.Family(family)
	if err != nil {
		l.failIn(v, at, "", "%v", err)
		return
	}
	if _, err := f.Member(member); err != nil {
		l.failIn(v, at, "", "%v", err)
		return
	}
	if r == nil || l.unknownFamilies {
		return
	}
	choices := choicesOf(r, family)
	switch {
	case len(choices) == 0:
		l.failIn(v, at, "", "no variant of the recipe has a %s", family)
	case !slices.ContainsFunc(choices, func(c recipes.Choice) bool { return c.HasAll() || slices.Contains(c, member) }):
		l.failIn(v, at, "", "no variant of the recipe has the %s %s", family, member)
	}
}

// choicesOf are what a recipe and its extra variants choose of a family.
func choicesOf(r *recipes.Recipe, family string) []recipes.Choice {
	var choices []recipes.Choice
	if c, ok := r.Families[family]; ok {
		choices = append(choices, c)
	}
	for _, x := range r.Variants {
		if c, ok := x.Families[family]; ok {
			choices = append(choices, c)
		}
	}
	return choices
}

// checkCondition finds what does not exist in a condition of a requirement.
func (l *loader) checkCondition(r *recipes.Recipe, at string, c recipes.Condition) {
	doc := l.docs[r]
	if !doc.Has(at) {
		return
	}
	if !doc.Has(at+".targets") && !doc.Has(at+".architectures") && !doc.Has(at+".families") {
		l.failIn(r, at, "leave it out, or give targets, architectures or families", "the condition names nothing")
		return
	}
	none := func(at string, n int) {
		if doc.Has(at) && n == 0 {
			l.failIn(r, at, "leave it out for all", "nothing is named")
		}
	}
	none(at+".targets", len(c.Targets))
	for i, name := range c.Targets {
		l.checkTarget(r, fmt.Sprintf("%s.targets[%d]", at, i), name)
	}
	none(at+".architectures", len(c.Architectures))
	for i, arch := range c.Architectures {
		l.checkArch(r, fmt.Sprintf("%s.architectures[%d]", at, i), arch, "")
	}
	none(at+".families", len(c.Families))
	for _, name := range slices.Sorted(maps.Keys(c.Families)) {
		here := at + ".families." + name
		choice := c.Families[name]
		if _, err := l.catalog.Family(name); err != nil {
			l.failIn(r, here, "", "%v", err)
			continue
		}
		if len(choice) == 0 {
			l.failIn(r, here, "leave the family out, or choose all", "no member is chosen")
		}
		if choice.HasAll() {
			if len(choicesOf(r, name)) == 0 && !l.unknownFamilies {
				l.failIn(r, here, "", "no variant of the recipe has a %s", name)
			}
			continue
		}
		for i, member := range choice {
			l.checkMember(r, fmt.Sprintf("%s[%d]", here, i), name, member, r)
		}
	}
}

// checkRequirements finds, once each requirement is right by itself, those that
// hold nowhere, and those that are made twice somewhere.
func (l *loader) checkRequirements(r *recipes.Recipe) {
	places := make([]int, len(r.Requires))
	twice := map[int]bool{}
	for _, t := range l.targets {
		for _, arch := range t.Architectures {
			for _, picks := range l.catalog.Combine(r.Families, slices.Sorted(maps.Keys(r.Families))) {
				seen := map[string]bool{}
				for i, q := range r.Requires {
					if !q.Holds(t.Name, arch, picks) {
						continue
					}
					places[i]++
					if seen[q.Package] && !twice[i] {
						twice[i] = true
						l.failIn(r, fmt.Sprintf("requires[%d]", i), "", "%s is required twice%s", q.Package, where(q, t.Name, arch, picks))
					}
					seen[q.Package] = true
				}
			}
		}
	}
	for i, q := range r.Requires {
		if places[i] == 0 {
			l.failIn(r, fmt.Sprintf("requires[%d]", i), "its conditions exclude each other", "%s is required nowhere", q.Package)
		}
	}
}

// where names the cell and variant, when a requirement has conditions at all.
func where(q recipes.Requirement, target, arch string, picks []recipes.Pick) string {
	if q.Only.Empty() && q.Except.Empty() {
		return ""
	}
	text := fmt.Sprintf(" on %s/%s", target, arch)
	for _, p := range picks {
		text += fmt.Sprintf(" with %s", p.Member)
	}
	return text
}
