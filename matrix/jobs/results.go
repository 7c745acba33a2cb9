package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/execute"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// history is the name under which a job's past is kept. A recipe of an OpenHPC tree
// is not that of the same name in a catalogue.
func (c *candidate) history() string {
	if c.variant.Recipe.FromSpec {
		return "tree " + c.job.ID
	}
	return c.job.ID
}

// Fetch brings everything that a job is made of into the store. Of a spec whose
// addresses nobody vouches for, only now all inputs are known.
func (s *Set) Fetch(ctx context.Context, j *plan.Job) error {
	c := s.candidates[j.ID]
	if c.meta() {
		return nil
	}
	if err := s.keepInputs(ctx, c); err != nil {
		return fmt.Errorf("%s: %w", j.ID, err)
	}
	for _, f := range c.variant.Recipe.Fetched {
		if _, err := s.fetcher.Fetch(ctx, f, s.in.Generated[j.Target]); err != nil {
			return fmt.Errorf("%s: %w", j.ID, err)
		}
	}
	if l := s.Lock(j); l != nil {
		return s.fetchLocked(ctx, l)
	}
	return nil
}

// Prepare makes a job's inputs complete, as far as they are not known from its recipe.
// All that it needs must have results.
func (s *Set) Prepare(ctx context.Context, j *plan.Job) error {
	c := s.candidates[j.ID]
	if c.meta() {
		return nil
	}
	if len(c.missing) > 0 {
		if err := s.keepInputs(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", j.ID, err)
		}
		if err := s.fetchMissing(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", j.ID, err)
		}
	}
	return s.resolve(ctx, j)
}

// Result is what a job made, or nil when that is not known.
func (s *Set) Result(id string) *builder.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.results[id]
}

// Find looks for the result of a job whose needs all have theirs. It gives the job
// its key and its reason; without a result it returns what the builder needs to
// make one.
func (s *Set) Find(j *plan.Job) (*builder.Result, builder.Job, plan.Parts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if result := s.results[j.ID]; result != nil {
		return result, builder.Job{}, nil, nil
	}
	return s.find(j)
}

func (s *Set) find(j *plan.Job) (*builder.Result, builder.Job, plan.Parts, error) {
	job, parts, err := s.complete(j)
	if err != nil {
		return nil, job, nil, err
	}
	j.Key = parts.Key()
	if result, ok := s.stored(j.Key); ok {
		s.results[j.ID], j.Reason = result, plan.ReasonReused
		return result, job, parts, nil
	}
	j.Reason = plan.Explain(s.lastParts(j), parts)
	return nil, job, parts, nil
}

// Describe is a job as an executor gets it. Find has given it its key and what the
// builder needs, which the caller may have completed.
func (s *Set) Describe(j *plan.Job, job builder.Job, parts plan.Parts) execute.Description {
	c := s.candidates[j.ID]
	d := execute.Description{
		Name: c.history(), Recipe: j.Recipe, Variant: j.Variant, Target: j.Target, Reason: j.Reason,
		Key: j.Key, Parts: parts, Lock: s.Lock(j), Job: job,
	}
	if c.meta() {
		spec := s.metaSpec(c)
		d.Meta, d.Lock = &spec, nil
		d.Job.ID, d.Job.Arch = j.ID, j.Arch
	}
	return d
}

// History is the name under which a job's past is kept.
func (s *Set) History(j *plan.Job) string { return s.candidates[j.ID].history() }

// Adopt takes what an executor has made for a job's result.
func (s *Set) Adopt(j *plan.Job, result *builder.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results[j.ID] = result
}

// settle gives each job of the plan its key and reason, as far as they follow
// from what is in the store already.
func (s *Set) settle() error {
	// Level by level: jobs that do not need each other can be looked for side by side.
	for _, level := range s.Plan.Levels() {
		open := make([]found, 0, len(level))
		for _, j := range level {
			known, parts, err := s.inputs(j)
			if err != nil {
				return err
			}
			if known {
				open = append(open, found{job: j, parts: parts})
			}
		}
		if err := s.look(open); err != nil {
			return err
		}
		for _, f := range open {
			switch {
			case f.result != nil:
				s.results[f.job.ID], f.job.Reason = f.result, plan.ReasonReused
			case f.parts == nil:
				f.job.Reason = plan.Explain(s.lastParts(f.job), s.metaParts(f.job))
			default:
				f.job.Reason = plan.Explain(s.lastParts(f.job), f.parts)
			}
		}
	}
	return nil
}

// found is a job whose key is known, and its result if there is one.
type found struct {
	job    *plan.Job
	parts  plan.Parts // nil: it is a meta-package, whose parts can be told any time
	result *builder.Result
}

// look reads and verifies results, on all cores.
func (s *Set) look(of []found) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for some := range slices.Chunk(of, lookAtATime) {
		g.Go(func() error {
			for i := range some {
				some[i].result, _ = s.stored(some[i].job.Key)
			}
			return nil
		})
	}
	return g.Wait()
}

// lookAtATime is how many results one goroutine looks for.
const lookAtATime = 32

// inputs gives a job its key and returns the key's parts, or says that something of
// them is not known yet, which then is the reason.
func (s *Set) inputs(j *plan.Job) (known bool, parts plan.Parts, err error) {
	if pending := s.pending(j); pending != "" {
		j.Key, j.Reason = "", plan.ReasonNew
		if s.lastParts(j) != nil {
			j.Reason = "dependency to be built: " + s.candidates[pending].job.Recipe
		}
		return false, nil, nil
	}
	c := s.candidates[j.ID]
	if c.meta() {
		j.Key = c.key
		return true, nil, nil
	}
	if len(c.missing) > 0 {
		j.Key, j.Reason = "", plan.ReasonNew+", sources to be fetched: "+strings.Join(c.missing, ", ")
		return false, nil, nil
	}
	_, parts, err = s.complete(j)
	if errors.Is(err, errUnresolved) {
		j.Key, j.Reason = "", plan.ReasonNew+", dependencies to be resolved"
		return false, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	j.Key = parts.Key()
	return true, parts, nil
}

// pending is a need of a job that has no result yet, or "".
func (s *Set) pending(j *plan.Job) string {
	for _, need := range j.Needs {
		if s.results[need] == nil {
			return need
		}
	}
	return ""
}

// lastParts are those with which a job ran last; nil when it never did.
func (s *Set) lastParts(j *plan.Job) plan.Parts {
	return execute.Parts(s.store, s.candidates[j.ID].history())
}

// complete adds to a job what its build root holds beside the image. All jobs that it
// needs must have results. The error is errUnresolved when somebody has to be asked.
func (s *Set) complete(j *plan.Job) (builder.Job, plan.Parts, error) {
	if s.candidates[j.ID].meta() {
		return builder.Job{}, s.metaParts(j), nil
	}
	job := s.candidates[j.ID].build
	l, err := s.lock(j)
	if err != nil {
		return job, nil, err
	}
	s.locks[j.ID] = l
	parts := j.Inputs
	job.Dependencies = nil
	for _, p := range l.Packages {
		if p.Kind == resolve.KindRPM {
			job.Dependencies = append(job.Dependencies, buildroot.Package{File: p.File, Digest: p.Digest})
		}
		parts = parts.With(plan.Parts{plan.PartDependency(from(p.Origin), p.File): string(p.Digest)})
	}
	return job, parts, nil
}

// from is the recipe or the repository that a package comes from.
func from(o resolve.Origin) string {
	if o.Job != "" {
		return o.Job[:max(0, strings.IndexAny(o.Job+"/", "@/"))]
	}
	return strings.ReplaceAll(o.Repository, " ", "_")
}

// stored finds the result of an earlier build, if all of it is still there.
func (s *Set) stored(key store.Digest) (*builder.Result, bool) {
	result, err := execute.Result(s.store, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.log.Warn("a stored result is of no use and will be made anew", "key", key, "error", err)
	}
	return result, err == nil
}
