package jobs

import (
	"context"
	"fmt"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/meta"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
)

// setMeta tells a candidate its meta-package: all there is to know of it is in the
// catalogue, so neither rpm is asked nor an image looked at. Of very many such jobs
// only what their order depends on is kept; the rest is made again when it is asked for.
func (s *Set) setMeta(c *candidate) error {
	m := s.in.Catalog.Meta(c.variant)
	r := c.variant.Recipe
	c.job.Files = s.recipeFile(r)
	c.key = metaParts(m).Key()
	var err error
	c.result, err = metaResult(r, m)
	return err
}

// metaParts are the parts of a meta-package's key: nothing that others make is among them.
func metaParts(m recipes.Meta) plan.Parts {
	return plan.Parts{
		plan.PartBuilder: meta.Format, plan.PartSpec: string(store.Of([]byte(m.Spec))),
		plan.PartDefine("dist"): m.Release, "architecture": m.Arch,
	}
}

// metaParts are those of a job that is a meta-package.
func (s *Set) metaParts(j *plan.Job) plan.Parts {
	return metaParts(s.in.Catalog.Meta(s.candidates[j.ID].variant))
}

// metaResult is what rpm would say of a meta-package's spec.
func metaResult(r *recipes.Recipe, m recipes.Meta) (*spec.Result, error) {
	h := headers.Header{Name: m.Name, Version: m.Version, Release: m.Release, Arch: m.Arch, Summary: m.Summary}
	for _, text := range m.Requires {
		d, err := write.ParseDependency(text)
		if err != nil {
			return nil, &RecipeError{fmt.Errorf("%s/recipe.yaml: requirement %q: %w", r.Dir, text, err)}
		}
		h.Requires = append(h.Requires, d)
	}
	h.Provides = []rpm.Dependency{{Name: m.Name, Flags: rpm.Equal, Version: m.Version + "-" + m.Release}}
	return &spec.Result{
		Source:   headers.Header{Name: m.Name, Version: m.Version, Release: m.Release, Arch: "src", Summary: m.Summary},
		Packages: []headers.Header{h},
	}, nil
}

// Evaluated is what rpm said of a job's spec.
func (s *Set) Evaluated(j *plan.Job) *spec.Result {
	c := s.candidates[j.ID]
	if !c.meta() {
		return c.result
	}
	result, err := metaResult(c.variant.Recipe, s.in.Catalog.Meta(c.variant))
	if err != nil {
		return &spec.Result{} // there is no job of such a recipe
	}
	return result
}

// Meta writes the packages of a job that is a meta-package. For others the second
// result is false.
func (s *Set) Meta(ctx context.Context, j *plan.Job) (*builder.Result, bool, error) {
	c := s.candidates[j.ID]
	if !c.meta() {
		return nil, false, nil
	}
	result, err := meta.Build(ctx, s.store, s.metaSpec(c))
	return result, true, err
}

// metaSpec is what a meta-package is written from.
func (s *Set) metaSpec(c *candidate) meta.Spec {
	m := s.in.Catalog.Meta(c.variant)
	return meta.Spec{
		Name: m.Name, Version: m.Version, Release: m.Release, Arch: m.Arch, Summary: m.Summary, Description: m.Description,
		License: m.License, Group: m.Group, URL: m.URL, Requires: m.Requires, Date: m.Date, Author: m.Author, Change: m.Change,
		SpecName: m.Name + ".spec", SpecText: []byte(m.Spec),
	}
}
