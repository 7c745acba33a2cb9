package jobs

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate/toolchain"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/state"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Cell is target × architecture: one column of the matrix.
type Cell struct {
	Target *recipes.Target
	Arch   string
	Image  buildroot.Image // empty when it is not at hand: the cell can only be planned
	Native *toolchain.Plan // native programs for emulated builds; nil: none

	// Reader is whose rpm reads the cell's specs.
	Reader Reader
}

// Reader is an image that has rpmspec.
type Reader struct {
	Image  buildroot.Image
	Arch   string
	Target string // whose image it is
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

	// Serials are the numbers, by target, of what is generated: the releases of the
	// packages that carry it end with them. None for 0.
	Serials map[string]int

	RpmspecOnly bool // see [spec.RpmspecOnly]

	Took []state.Took // how long jobs ran before, for estimates

	// Resolver and Extender provide what is neither ours nor in the images. What they
	// answered once counts until Refresh asks anew. Locked has what they need not be
	// asked about: what jobs are made of.
	Resolver Resolver
	Extender Extender
	Refresh  bool
	Locked   map[string]*resolve.Lock // by job
}

// Set is the jobs of a run, with what is known of their results. It is safe for
// concurrent use.
type Set struct {
	Plan *plan.Plan

	in      Input
	store   *store.Store
	sandbox Sandbox
	fetcher *source.Fetcher
	log     *slog.Logger
	headers *headerCache

	estimator  *estimator
	candidates map[string]*candidate // by job
	targets    *Base
	kept       map[store.Digest]bool // files of the catalogue that are in the store
	borrowed   map[*recipes.Target][]spec.Define
	alikes     alike

	mu      sync.Mutex
	results map[string]*builder.Result // by job
	locks   map[string]*resolve.Lock   // by job
	fresh   map[string]bool            // what was asked in this run
	// What the image was extended by, by job: names of the system's packages. A job
	// has it before those that need it are looked at.
	extensions map[string][]string
	asking     singleflight.Group
}

// Progress is shown which spec is being read.
type Progress interface {
	Begin(what string)
	End(what, how string)
}

// New asks rpm what every recipe would build in every cell, puts the jobs in
// order, and finds the results that are in the store already. All recipes are
// asked, not only those that are wanted: what the wanted ones need is known only
// then. A spec that cannot be read is a failure in the plan.
func New(ctx context.Context, in Input, st *store.Store, sb Sandbox, fetcher *source.Fetcher, log *slog.Logger, progress Progress) (*Set, error) {
	s := &Set{
		in: in, store: st, sandbox: sb, fetcher: fetcher, log: log, headers: newHeaderCache(st), estimator: newEstimator(in.Took),
		candidates: map[string]*candidate{}, kept: map[store.Digest]bool{},
		borrowed: map[*recipes.Target][]spec.Define{}, results: map[string]*builder.Result{},
		locks: map[string]*resolve.Lock{}, fresh: map[string]bool{}, extensions: map[string][]string{}, alikes: newAlike(),
	}
	var candidates []*candidate
	var skips []plan.Skip
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
	e, err := s.evaluate(ctx, candidates, progress)
	if err != nil {
		return nil, err
	}
	s.estimator, s.in.Took = nil, nil // many names, and all have their estimates
	for _, c := range e.read {
		s.candidates[c.job.ID] = c
	}
	if s.targets, err = s.base(ctx); err != nil {
		return nil, err
	}
	skips, e.failures = s.wantedOnly(append(skips, e.skips...), e.failures)
	all, err := plan.New(jobsOf(e.read), plan.WithBase(s.targets), plan.WithText(s.text), plan.WithSkips(skips), plan.WithFailures(e.failures))
	if err != nil {
		return nil, &RecipeError{err}
	}
	s.Plan = all
	if err := s.settle(); err != nil {
		return nil, err
	}
	s.choose()
	return s, nil
}

func jobsOf(candidates []*candidate) []*plan.Job {
	jobs := make([]*plan.Job, len(candidates))
	for i, c := range candidates {
		jobs[i] = c.job
	}
	return jobs
}

// choose leaves in the plan what is wanted, what that needs, and where results of
// others are to come along, those that can be installed with what is there.
func (s *Set) choose() {
	if len(s.in.Recipes) == 0 {
		return
	}
	wanted := map[string]bool{}
	for _, j := range s.Plan.Select(s.in.Recipes).Jobs {
		wanted[j.ID] = true
	}
	along := map[string]bool{}
	if s.in.Others {
		along = s.installable(wanted)
	}
	s.Plan = s.Plan.Filter(func(j *plan.Job) bool { return wanted[j.ID] || along[j.ID] })
}

// installable are the jobs with results whose packages require nothing of jobs that
// are neither such nor among these others.
func (s *Set) installable(others map[string]bool) map[string]bool {
	there := make(map[string]bool, len(s.Plan.Jobs))
	requiring := make(map[string][]string, len(s.Plan.Jobs)) // by job: those that require what it makes
	var gone []string
	for _, j := range s.Plan.Jobs {
		there[j.ID] = s.results[j.ID] != nil && !slices.ContainsFunc(j.Unknown, func(u plan.Unknown) bool { return u.Package != "" })
		if !there[j.ID] && !others[j.ID] {
			gone = append(gone, j.ID)
		}
		for _, id := range j.RunNeeds {
			requiring[id] = append(requiring[id], j.ID)
		}
	}
	// What requires something that is not there is not there either.
	for len(gone) > 0 {
		id := gone[len(gone)-1]
		gone = gone[:len(gone)-1]
		for _, by := range requiring[id] {
			if !there[by] {
				continue
			}
			there[by] = false
			if !others[by] {
				gone = append(gone, by)
			}
		}
	}
	return there
}

// wantedOnly keeps what is told of recipes that are wanted.
func (s *Set) wantedOnly(skips []plan.Skip, failures []plan.Failure) ([]plan.Skip, []plan.Failure) {
	if len(s.in.Recipes) == 0 {
		return skips, failures
	}
	wanted := make(map[string]bool, len(s.in.Recipes))
	for _, name := range s.in.Recipes {
		wanted[name] = true
	}
	skips = slices.DeleteFunc(skips, func(k plan.Skip) bool { return !wanted[k.Recipe] })
	failures = slices.DeleteFunc(failures, func(f plan.Failure) bool { return !wanted[f.Recipe] })
	return skips, failures
}

// RecipeError says that something is wrong with the recipes themselves.
type RecipeError struct{ Err error }

func (e *RecipeError) Error() string { return e.Err.Error() }
func (e *RecipeError) Unwrap() error { return e.Err }

// Variant is what a job builds.
func (s *Set) Variant(j *plan.Job) recipes.Variant { return s.candidates[j.ID].variant }

// Header reads the header of a package in the store.
func (s *Set) Header(d store.Digest) (*rpm.Package, error) { return s.headers.of(d) }

// ReadHeader is Header that keeps nothing: those of all packages of very many jobs would
// be most of what a run holds.
func (s *Set) ReadHeader(d store.Digest) (*rpm.Package, error) { return s.headers.fresh(d) }

// text reads a file of the catalogue by its path.
func (s *Set) text(path string) ([]byte, error) { return recipes.ReadFile(s.in.Catalog.FS, path) }
