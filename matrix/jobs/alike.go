package jobs

import (
	"maps"
	"slices"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// alike is what jobs have in common and hold once: a hundred thousand of them have a
// few dozen choices of families among them. It is only read.
type alike struct {
	maps     map[store.Digest]map[string]string
	variants map[string]alikeVariant // by cell, picks and extra
	files    map[string][]string     // by folder of a recipe
}

// alikeVariant is a variant of one recipe, and what its defines are of which the
// recipe's others have others.
type alikeVariant struct {
	recipes.Variant
	own map[string]string
}

func newAlike() alike {
	return alike{maps: map[store.Digest]map[string]string{}, variants: map[string]alikeVariant{}, files: map[string][]string{}}
}

// shared is the one map that stands for all like it.
func (s *Set) shared(m map[string]string) map[string]string {
	if len(m) == 0 {
		return m
	}
	key := plan.Parts(m).Key()
	if same, ok := s.alikes.maps[key]; ok {
		return same
	}
	s.alikes.maps[key] = m
	return m
}

// alike returns the variant with the picks and defines of an earlier one, of whatever
// recipe, where they are the same, and its own defines.
func (s *Set) alike(v recipes.Variant) (recipes.Variant, map[string]string) {
	name := v.Target + "\n" + v.Arch + "\n" + v.Extra
	for _, p := range v.Picks {
		name += "\n" + p.Family + "\n" + p.Member
	}
	own := v.Own()
	same, known := s.alikes.variants[name]
	if known && slices.Equal(same.Defines, v.Defines) && maps.Equal(same.own, own) {
		recipe := v.Recipe
		v = same.Variant
		v.Recipe = recipe
		return v, same.own
	}
	own = s.shared(own)
	if !known {
		s.alikes.variants[name] = alikeVariant{v, own}
	}
	return v, own
}

// recipeFile is the one file that a meta-package is made of.
func (s *Set) recipeFile(r *recipes.Recipe) []string {
	files := s.alikes.files[r.Dir]
	if files == nil {
		files = []string{r.Dir + "/recipe.yaml"}
		s.alikes.files[r.Dir] = files
	}
	return files
}
