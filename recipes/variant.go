package recipes

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Variant is one choice of families and defines for one recipe.
type Variant struct {
	Recipe  *Recipe
	Target  string // of the cell
	Arch    string
	Picks   []Pick   // by family name
	Extra   string   // the name of the recipe's [Extra] that this is, or ""
	Defines []Define // by name

	own map[string]bool // of the defines, those that others of the recipe lack
}

// Pick is one member of one family.
type Pick struct{ Family, Member string }

// Define is a macro for rpmspec and rpmbuild.
type Define struct{ Name, Value string }

// Name tells a recipe's variants apart: "gnu12", "gnu12-openmpi4", "gnu12-pmix",
// or nothing for the only variant of a recipe that no family multiplies. What a
// meta-package's own name says is not repeated.
func (v Variant) Name() string {
	var names []string
	for _, p := range v.Picks {
		if !slices.Contains(v.Recipe.Fixed, p) {
			names = append(names, p.Member)
		}
	}
	if v.Extra != "" {
		names = append(names, v.Extra)
	}
	return strings.Join(names, "-")
}

// Member is the variant's member of a family, or empty.
func (v Variant) Member(family string) string {
	for _, p := range v.Picks {
		if p.Family == family {
			return p.Member
		}
	}
	return ""
}

// Requires are the packages that a meta-package requires in the variant's cell.
func (v Variant) Requires() []string {
	var packages []string
	for _, r := range v.Recipe.Requires {
		if r.Holds(v.Target, v.Arch, v.Picks) {
			packages = append(packages, Fill(r.Package, v.Picks))
		}
	}
	return packages
}

// Own are the defines that tell the variant from the recipe's others: those of
// its families and of its extra variant.
func (v Variant) Own() map[string]string {
	own := map[string]string{}
	for _, d := range v.Defines {
		if v.own[d.Name] {
			own[d.Name] = d.Value
		}
	}
	return own
}

// TestPackages are the packages that a test of the recipe wants installed beside
// what the recipe itself makes.
func (v Variant) TestPackages(t Test) []string { return fillAll(t.Packages, v.Picks) }

// Skip is a variant that is not built in a cell, and why.
type Skip struct {
	Recipe, Variant string
	Target, Arch    string
	Reason          string
}

// Expand returns the variants of a recipe for a cell, in a fixed order, and what
// is left out with the reason. A recipe that is built once and shared is
// expanded for each architecture all the same; [Recipe.Owner] tells which one
// builds it.
func (c *Catalog) Expand(r *Recipe, t *Target, arch string) ([]Variant, []Skip) {
	skip := func(v Variant, reason string) Skip {
		return Skip{Recipe: r.Name, Variant: v.Name(), Target: t.Name, Arch: arch, Reason: reason}
	}
	if reason, excluded := r.Excluded(t.Name, arch); excluded {
		return nil, []Skip{skip(Variant{Recipe: r}, reason)}
	}
	var skips []Skip
	var variants []Variant
	for _, v := range c.variants(r) {
		reason, excluded := c.memberExcluded(v.Picks, t.Name, arch)
		if !excluded {
			reason, excluded = excludedBy(r.Exclude, t.Name, arch, v.Picks, v.Extra)
		}
		if excluded {
			skips = append(skips, skip(v, reason))
			continue
		}
		v.Target, v.Arch = t.Name, arch
		v.Defines, v.own = c.defines(v, t)
		variants = append(variants, v)
	}
	return variants, skips
}

// variants are all of a recipe, wherever they are built.
func (c *Catalog) variants(r *Recipe) []Variant {
	var variants []Variant
	add := func(families map[string]Choice, extra string) {
		var open []string
		for _, name := range slices.Sorted(maps.Keys(families)) {
			if !slices.ContainsFunc(r.Fixed, func(p Pick) bool { return p.Family == name }) {
				open = append(open, name)
			}
		}
		for _, picks := range c.Combine(families, open) {
			variants = append(variants, Variant{Recipe: r, Picks: append(slices.Clip(r.Fixed), picks...), Extra: extra})
		}
	}
	add(r.Families, "")
	for _, e := range r.Variants {
		families := r.Families
		if e.Families != nil {
			families = e.Families
		}
		add(families, e.Name)
	}
	return variants
}

// Combine returns each combination of members that choices allow for the named
// families. For no families that is one combination of nothing.
func (c *Catalog) Combine(choices map[string]Choice, families []string) [][]Pick {
	combinations := [][]Pick{nil}
	for _, name := range families {
		family, err := c.Family(name)
		if err != nil {
			return nil // a loaded catalogue has no recipe with an unknown family
		}
		var next [][]Pick
		for _, before := range combinations {
			for _, m := range family.members(choices[name]) {
				next = append(next, append(slices.Clip(before), Pick{family.Name, m.Name}))
			}
		}
		combinations = next
	}
	return combinations
}

func (c *Catalog) memberExcluded(picks []Pick, target, arch string) (string, bool) {
	for _, p := range picks {
		family, err := c.Family(p.Family)
		if err != nil {
			continue
		}
		m, err := family.Member(p.Member)
		if err != nil {
			continue
		}
		if reason, excluded := excludedBy(m.Exclude, target, arch, picks, ""); excluded {
			return fmt.Sprintf("%s: %s", p.Member, reason), true
		}
	}
	return "", false
}

// defines are the catalogue's, the target's, the families', the pin's and those
// of an extra variant, by name; of two with one name the later of these counts.
func (c *Catalog) defines(v Variant, t *Target) (defines []Define, own map[string]bool) {
	own = map[string]bool{}
	values := maps.Clone(c.Defines)
	if values == nil {
		values = map[string]string{}
	}
	maps.Copy(values, t.Defines)
	for _, p := range v.Picks {
		if family, err := c.Family(p.Family); err == nil {
			values[family.Define] = p.Member
			own[family.Define] = true
		}
	}
	maps.Copy(values, pinDefines(v.Recipe.Pin))
	for _, e := range v.Recipe.Variants {
		if e.Name == v.Extra {
			maps.Copy(values, e.Defines)
			for name := range e.Defines {
				own[name] = true
			}
		}
	}
	defines = make([]Define, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		defines = append(defines, Define{name, values[name]})
	}
	return defines, own
}

// Owner is the architecture, of those that are being built for a target, that
// builds a recipe whose output all share. It is empty when the recipe is built
// for each. The second result is false when the recipe names an owner and that
// is not among archs.
func (r *Recipe) Owner(t *Target, archs []string) (string, bool) {
	if r.Noarch == "" {
		return "", true
	}
	for _, arch := range t.Architectures {
		if _, excluded := r.Excluded(t.Name, arch); excluded || !slices.Contains(archs, arch) {
			continue
		}
		if r.Noarch == AnyArch || r.Noarch == arch {
			return arch, true
		}
	}
	return "", false
}

// AnyArch as a recipe's Noarch lets the builder choose.
const AnyArch = "any"

// placeholder is a family in braces, as names and requirements may have.
var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

// Fill replaces each {family} with its member.
func Fill(text string, picks []Pick) string {
	return placeholder.ReplaceAllStringFunc(text, func(braced string) string {
		for _, p := range picks {
			if braced == "{"+p.Family+"}" {
				return p.Member
			}
		}
		return braced
	})
}

func fillAll(texts []string, picks []Pick) []string {
	filled := make([]string, len(texts))
	for i, t := range texts {
		filled[i] = Fill(t, picks)
	}
	return filled
}

// Placeholders are the families that a text names in braces.
func Placeholders(text string) []string {
	var families []string
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		families = append(families, m[1])
	}
	return families
}
