package matrix

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/base"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/matrix/trial"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// tested are the recipes that have tests.
func tested(all []*recipes.Recipe) []*recipes.Recipe {
	return slices.DeleteFunc(slices.Clone(all), func(r *recipes.Recipe) bool { return len(r.Tests) == 0 })
}

// foreignTests are the tests that recipes have for packages of a repository that others
// made, by cell: rpm is asked what each variant would be called. What has no test is
// one that is skipped.
func (m *Matrix) foreignTests(ctx context.Context, from []*recipes.Recipe, records []rpmmd.Record, on *trial.Tree) (map[string][]trial.Test, error) {
	catalog := *m.opt.Catalog
	catalog.Recipes = from
	stage := m.opt.Progress.Stage("read", len(from))
	defer stage.Close()
	readings, _, err := jobs.Read(ctx, jobs.Input{Catalog: &catalog, Cells: m.cells}, m.store, m.sandbox, m.opt.Log, stage)
	if err != nil {
		return nil, err
	}
	var below []rpmmd.Record
	if on != nil {
		repository, err := repodata.Open(ctx, on.Dir)
		if err != nil {
			return nil, err
		}
		if below, err = repository.Records(ctx); err != nil {
			return nil, err
		}
	}
	tests := map[string][]trial.Test{}
	for _, c := range m.cells {
		g := &foreignGather{has: namesFor(records, c.Arch), more: namesFor(below, c.Arch), done: map[string]bool{}}
		image, err := base.Provided(ctx, m.store, m.sandbox, "image of "+c.String(), c.Image)
		if err != nil {
			return nil, err
		}
		for _, d := range image.Of[0].Provides {
			g.more[d.Name] = true
		}
		for _, r := range readings {
			if r.Variant.Target != c.Target.Name || r.Variant.Arch != c.Arch {
				continue
			}
			if err := m.gather(g, c, r); err != nil {
				return nil, err
			}
		}
		tests[c.String()] = append(g.tests, g.untested()...)
	}
	return tests, nil
}

// namesFor are the names of the packages that users of an architecture install.
func namesFor(records []rpmmd.Record, arch string) map[string]bool {
	names := map[string]bool{}
	for _, rec := range records {
		if rec.Arch == arch || rec.Arch == noarch {
			names[rec.Name] = true
		}
	}
	return names
}

// foreignGather gathers the tests of one cell.
type foreignGather struct {
	has, more map[string]bool // names of packages: of the repository, of what else is there
	done      map[string]bool // packages that have tests
	tests     []trial.Test
}

// gather adds the tests of a variant if the repository has its packages.
func (m *Matrix) gather(g *foreignGather, c *jobs.Cell, r jobs.Reading) error {
	subject := variantSubject(r.Variant)
	if r.Err != nil {
		if !errors.As(r.Err, new(*spec.SkipError)) {
			g.tests = append(g.tests, trial.Test{Subject: subject, Skip: fmt.Sprintf("which packages the recipe %s is about cannot be told: %v", r.Variant.Recipe.Name, r.Err)})
		}
		return nil
	}
	if r.Result == nil {
		return nil
	}
	var names []string
	for _, p := range r.Result.Packages {
		if g.has[p.Name] {
			names = append(names, p.Name)
			g.done[p.Name] = true
		}
	}
	if len(names) == 0 {
		return nil
	}
	for _, t := range r.Variant.Recipe.Tests {
		test, err := m.trialTest(c, r.Variant, t)
		if err != nil {
			return err
		}
		for _, name := range test.Packages {
			if !g.has[name] && !g.more[name] {
				test.Skip = fmt.Sprintf("it needs %s, which neither the repository nor the image has", name)
			}
		}
		test.Packages = append(test.Packages, names...)
		g.tests = append(g.tests, *test)
	}
	return nil
}

// untested is one test that is skipped, for all packages of which no recipe has any.
func (g *foreignGather) untested() []trial.Test {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(g.has)), func(name string) bool { return g.done[name] })
	if len(names) == 0 {
		return nil
	}
	const told = 20
	list := strings.Join(names[:min(len(names), told)], ", ")
	if len(names) > told {
		list += fmt.Sprintf(" and %d more", len(names)-told)
	}
	return []trial.Test{{Subject: "packages without tests", Void: true, Skip: "no recipe of the catalogue has tests for " + list}}
}
