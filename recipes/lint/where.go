package lint

import (
	"slices"
	"strings"
)

// where tells in few words in which cells and variants something was met. of are
// all evaluations that could have.
func where(met, of []*Evaluated) []string {
	met, of = unique(met), unique(of)
	if len(met) == 0 {
		return nil
	}
	if len(met) >= len(of) {
		return []string{"all"}
	}
	byRecipe := group(met, func(e *Evaluated) string { return e.Variant.Recipe.Name })
	all := group(of, func(e *Evaluated) string { return e.Variant.Recipe.Name })
	if len(all) < 2 {
		return cells(met, of)
	}
	// Many recipes that are met in the same places share a line.
	recipes := map[string][]string{}
	for _, name := range sortedKeys(byRecipe) {
		places := "all"
		if len(byRecipe[name]) < len(all[name]) {
			places = strings.Join(cells(byRecipe[name], all[name]), ", ")
		}
		recipes[places] = append(recipes[places], name)
	}
	var words []string
	for _, places := range sortedKeys(recipes) {
		word := strings.Join(recipes[places], ", ")
		if places != "all" {
			word += ": " + places
		}
		words = append(words, word)
	}
	return words
}

// cells are target/arch, the target alone where all its architectures are met, the
// architecture alone where all targets are, and the variants where not all are.
func cells(met, of []*Evaluated) []string {
	cellOf := func(e *Evaluated) string { return e.Variant.Target + "/" + e.Variant.Arch }
	metIn, allIn := group(met, cellOf), group(of, cellOf)
	whole := map[string]bool{} // targets and architectures of which everything is met
	for _, by := range []func(*Evaluated) string{
		func(e *Evaluated) string { return e.Variant.Target },
		func(e *Evaluated) string { return e.Variant.Arch },
	} {
		metBy := group(met, by)
		for name, list := range group(of, by) {
			whole[name] = len(metBy[name]) == len(list)
		}
	}
	byVariants := map[string][]string{}
	for _, cell := range sortedKeys(metIn) {
		target, arch, _ := strings.Cut(cell, "/")
		switch {
		case whole[target] || whole[arch]:
			name := target
			if !whole[target] {
				name = arch
			}
			if !slices.Contains(byVariants[""], name) {
				byVariants[""] = append(byVariants[""], name)
			}
		case len(metIn[cell]) == len(allIn[cell]):
			byVariants[""] = append(byVariants[""], cell)
		default:
			var names []string
			for _, e := range metIn[cell] {
				name := e.Variant.Name()
				if name == "" {
					name = "the plain one"
				}
				names = append(names, name)
			}
			slices.Sort(names)
			key := strings.Join(slices.Compact(names), ", ")
			byVariants[key] = append(byVariants[key], cell)
		}
	}
	words := slices.Clone(byVariants[""])
	delete(byVariants, "")
	for _, variants := range sortedKeys(byVariants) {
		in := strings.Join(byVariants[variants], ", ")
		words = append(words, in+" ("+variants+")")
	}
	return words
}

func group(list []*Evaluated, by func(*Evaluated) string) map[string][]*Evaluated {
	groups := map[string][]*Evaluated{}
	for _, e := range list {
		groups[by(e)] = append(groups[by(e)], e)
	}
	return groups
}

func unique(list []*Evaluated) []*Evaluated {
	seen := map[*Evaluated]bool{}
	var once []*Evaluated
	for _, e := range list {
		if !seen[e] {
			seen[e] = true
			once = append(once, e)
		}
	}
	return once
}
