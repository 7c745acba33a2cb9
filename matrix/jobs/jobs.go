package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate/toolchain"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Cell is target × architecture: one column of the matrix.
type Cell struct {
	Target *recipes.Target
	Arch   string
	Image  buildroot.Image
	Native *toolchain.Plan // native programs for emulated builds; nil: none
}

func (c *Cell) String() string { return c.Target.Name + "/" + c.Arch }

// Sandbox runs a command in a container.
type Sandbox interface {
	Run(ctx context.Context, spec sandbox.Spec) error
}

// Input says what to make jobs of.
type Input struct {
	Catalog   *recipes.Catalog
	Cells     []*Cell
	Recipes   []string                    // that are wanted; none means all
	Others    bool                        // also take unwanted recipes whose results are in the store
	Families  map[string]string           // kind → the one member that is wanted
	Generated map[string]source.Generated // by target
}

// Set is the jobs of a run, with what is known of their results. It is safe for
// concurrent use.
type Set struct {
	Plan  *plan.Plan
	Skips []recipes.Skip // of the wanted recipes

	in      Input
	store   *store.Store
	sandbox Sandbox
	fetcher *source.Fetcher
	log     *slog.Logger
	headers *headers

	variants map[string]recipes.Variant // by job
	jobs     map[string]builder.Job     // by job, without what it depends on

	mu      sync.Mutex
	results map[string]*builder.Result // by job
}

// Progress is told which cell's specs are being read.
type Progress interface {
	Begin(what string)
	End(what, how string)
}

// New asks rpm what every recipe would build in every cell, puts the jobs in
// order, and finds the results that are in the store already. All recipes are
// asked, not only those that are wanted: what the wanted ones need is known only
// then.
func New(ctx context.Context, in Input, st *store.Store, sb Sandbox, fetcher *source.Fetcher, log *slog.Logger, progress Progress) (*Set, error) {
	s := &Set{
		in: in, store: st, sandbox: sb, fetcher: fetcher, log: log, headers: newHeaders(st),
		variants: map[string]recipes.Variant{}, jobs: map[string]builder.Job{}, results: map[string]*builder.Result{},
	}
	var candidates []*candidate
	var skips []recipes.Skip
	for _, cell := range in.Cells {
		for _, r := range in.Catalog.Recipes {
			more, skipped, err := s.expand(ctx, cell, r)
			if err != nil {
				return nil, err
			}
			candidates = append(candidates, more...)
			skips = append(skips, skipped...)
		}
	}
	jobs, skipped, err := s.evaluate(ctx, candidates, progress)
	if err != nil {
		return nil, err
	}
	all, err := plan.New(jobs)
	if err != nil {
		return nil, &RecipeError{err}
	}
	s.Plan = all
	if err := s.settle(); err != nil {
		return nil, err
	}
	wanted := all.Select(in.Recipes)
	s.Plan = &plan.Plan{}
	for _, j := range all.Jobs {
		if slices.Contains(wanted.Jobs, j) || in.Others && s.results[j.ID] != nil {
			s.Plan.Jobs = append(s.Plan.Jobs, j)
		}
	}
	for _, skip := range append(skips, skipped...) {
		if len(in.Recipes) == 0 || slices.Contains(in.Recipes, skip.Recipe) {
			s.Skips = append(s.Skips, skip)
		}
	}
	return s, nil
}

// RecipeError says that something is wrong with the recipes themselves.
type RecipeError struct{ Err error }

func (e *RecipeError) Error() string { return e.Err.Error() }
func (e *RecipeError) Unwrap() error { return e.Err }

// Variant is what a job builds.
func (s *Set) Variant(j *plan.Job) recipes.Variant { return s.variants[j.ID] }

// Header reads the header of a package in the store.
func (s *Set) Header(d store.Digest) (*rpm.Package, error) { return s.headers.of(d) }

// Fetch brings the sources of a job into the store.
func (s *Set) Fetch(ctx context.Context, j *plan.Job) error {
	for _, f := range s.variants[j.ID].Recipe.Fetched {
		if _, err := s.fetcher.Fetch(ctx, f, s.in.Generated[j.Target]); err != nil {
			return fmt.Errorf("%s: %w", j.ID, err)
		}
	}
	return nil
}
