package recipes

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

// Inputs are the files that lie in _sourcedir whatever else is fetched: the
// catalogue's shared ones and the recipe's own, of which one of the same name
// counts. (A catalogue has none; in OpenHPC's tree some have copies.)
func (c *Catalog) Inputs(r *Recipe) []File {
	shared := slices.DeleteFunc(slices.Clone(c.Shared), func(s File) bool {
		return slices.ContainsFunc(r.Sources, func(own File) bool { return own.Name == s.Name })
	})
	return append(shared, r.Sources...)
}

// Digest stands for everything of a recipe that can change what is built: its
// spec, its files, what it fetches, its patches, what it requires, and the macros
// that it gives a spec itself. Its tests, needs and exclusions are not among them.
func (c *Catalog) Digest(r *Recipe) (store.Digest, error) {
	files := map[string]store.Digest{}
	for _, f := range c.Inputs(r) {
		files[f.Name] = f.Digest
	}
	parts, err := json.Marshal(struct {
		Name, Summary, Description string
		Kind                       Kind
		Spec                       store.Digest
		Files                      map[string]store.Digest
		Fetched                    []Source
		Requires                   []Requirement
		Variants                   []Extra
		Pin                        map[string]string
		Noarch                     bool
	}{
		r.Name, r.Summary, r.Description, r.Kind, r.Spec.Digest, files, r.Fetched, r.Requires, r.Variants, pinDefines(r.Pin), r.Noarch != "",
	})
	if err != nil {
		return "", fmt.Errorf("digest of recipe %s: %w", r.Name, err)
	}
	return store.Of(parts), nil
}
