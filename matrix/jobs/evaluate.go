package jobs

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
)

// specTimeout bounds one container that reads specs.
const specTimeout = 30 * time.Minute

// evaluation is what came of asking rpm.
type evaluation struct {
	read     []*candidate // that have a result
	skips    []plan.Skip
	failures []plan.Failure
}

// evaluate asks rpm about the candidates.
func (s *Set) evaluate(ctx context.Context, candidates []*candidate, progress Progress) (*evaluation, error) {
	answers, err := s.askAll(ctx, candidates, progress)
	if err != nil {
		return nil, err
	}
	e := &evaluation{}
	for _, c := range candidates {
		if c.result == nil {
			e.add(c, answers[c])
		} else {
			e.read = append(e.read, c)
		}
	}
	e.read = s.share(e.read)
	for _, c := range e.read {
		if err := s.take(c); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// askAll asks about all candidates that are no meta-packages, image by image.
func (s *Set) askAll(ctx context.Context, candidates []*candidate, progress Progress) (map[*candidate]spec.Answer, error) {
	byReader := map[store.Digest][]*candidate{}
	var order []store.Digest
	for _, c := range candidates {
		if c.meta() {
			continue
		}
		d := c.cell.Reader.Image.Digest
		if byReader[d] == nil {
			order = append(order, d)
		}
		byReader[d] = append(byReader[d], c)
	}
	answers := map[*candidate]spec.Answer{}
	for _, d := range order {
		if err := s.ask(ctx, byReader[d], answers, progress); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// ask puts the questions about candidates that one image answers.
func (s *Set) ask(ctx context.Context, candidates []*candidate, answers map[*candidate]spec.Answer, progress Progress) error {
	evaluator := s.evaluator(candidates[0].cell.Reader)
	queries := make([]spec.Query, len(candidates))
	for i, c := range candidates {
		queries[i] = c.query
	}
	known, open, err := evaluator.Recall(queries)
	if err != nil {
		return err
	}
	for i, c := range candidates {
		answers[c] = known[i]
	}
	if len(open) == 0 {
		return nil
	}
	// Only what has to be read anew need be in the store.
	asked := make([]spec.Query, len(open))
	for n, i := range open {
		if err := s.keepInputs(ctx, candidates[i]); err != nil {
			return err
		}
		asked[n] = queries[i]
	}
	fresh, err := evaluator.Evaluate(ctx, asked, specProgress{progress})
	if err != nil {
		return err
	}
	for n, i := range open {
		answers[candidates[i]] = fresh[n]
	}
	return nil
}

// evaluator asks a reader's rpm.
func (s *Set) evaluator(r Reader) *spec.Evaluator {
	var opts []spec.Option
	if s.in.RpmspecOnly {
		opts = append(opts, spec.RpmspecOnly())
	}
	return spec.New(s.store, &specRunner{s.sandbox, r.Image.Layers}, spec.Image{Digest: r.Image.Digest, Arch: r.Arch}, opts...)
}

// specProgress tells a run's progress which spec is being read.
type specProgress struct{ Progress }

func (p specProgress) End(path string, queries int) {
	p.Progress.End(path, fmt.Sprintf("read %d×", queries))
}

func (e *evaluation) add(c *candidate, a spec.Answer) {
	j := c.job
	var skip *spec.SkipError
	var mistake *spec.ParseError
	switch {
	case errors.As(a.Err, &skip):
		e.skips = append(e.skips, plan.Skip{Recipe: j.Recipe, Variant: j.Variant, Target: j.Target, Arch: j.Arch, Reason: skip.Reason})
	case errors.As(a.Err, &mistake):
		e.failures = append(e.failures, plan.Failure{
			ID: j.ID, Recipe: j.Recipe, Variant: j.Variant, Target: j.Target, Arch: j.Arch,
			File: mistake.File, Line: mistake.Line, Messages: mistake.Messages,
		})
	default:
		c.result = a.Result
		e.read = append(e.read, c)
	}
}

// share makes one job of several where a spec of an OpenHPC tree says the same on
// all architectures and makes nothing but noarch packages. (A recipe says so itself.)
// The first of the target's architectures builds it.
func (s *Set) share(candidates []*candidate) []*candidate {
	type slot struct{ name, target string }
	first := map[slot]*candidate{}
	return slices.DeleteFunc(candidates, func(c *candidate) bool {
		if !c.variant.Recipe.FromSpec || slices.ContainsFunc(c.result.Packages, func(h headers.Header) bool { return h.Arch != "noarch" }) {
			return false
		}
		k := slot{c.job.Name(), c.job.Target}
		owner := first[k]
		if owner == nil {
			first[k] = c
			return false
		}
		if !reflect.DeepEqual(owner.result.Packages, c.result.Packages) || !reflect.DeepEqual(owner.result.Source, c.result.Source) {
			return false
		}
		owner.job.Shared = append(owner.job.Shared, c.job.Arch)
		return true
	})
}

// take fills a candidate's job in with what rpm said.
func (s *Set) take(c *candidate) error {
	j := c.job
	j.BuildRequires = c.result.Source.Requires
	for _, p := range c.result.Packages {
		j.Produces = append(j.Produces, plan.Produced{Name: p.Name, EVR: p.EVR(), Arch: p.Arch, Provides: p.Provides, Requires: p.Requires})
	}
	s.estimator.estimate(c)
	if c.meta() {
		c.result = nil
		return nil
	}
	return s.takeAddresses(c)
}

// specRunner gives package spec its containers.
type specRunner struct {
	sandbox Sandbox
	layers  []string
}

// faultTimes is how often a container that reads specs may fail to start or be killed
// from outside before that is held to be no accident.
const faultTimes = 3

// Run implements [spec.Runner].
func (r *specRunner) Run(ctx context.Context, dir string, args []string) error {
	var (
		exit   *sandbox.ExitError
		memory *sandbox.MemoryError
		disk   *sandbox.DiskError
		start  *sandbox.StartError
	)
	for faults := 1; ; faults++ {
		err := r.run(ctx, dir, args)
		switch {
		case faults < faultTimes && (errors.As(err, &start) || errors.As(err, &exit) && exit.Killed()):
			continue
		case errors.As(err, &exit), errors.Is(err, sandbox.ErrTimeout), errors.As(err, &memory), errors.As(err, &disk) && !disk.Full:
			return nil // what has no answer will be noticed
		}
		return err
	}
}

func (r *specRunner) run(ctx context.Context, dir string, args []string) error {
	const inside = "/evaluate"
	return r.sandbox.Run(ctx, sandbox.Spec{
		Name: "rpmspec", Layers: r.layers, Args: args, Cwd: inside, UID: nobody, GID: nobody, ReadOnlyRoot: true,
		Mounts:  []sandbox.Mount{{Source: dir, Destination: inside}},
		Limits:  sandbox.Limits{Memory: 2 << 30, Pids: 512, Disk: 1 << 30},
		Timeout: specTimeout,
	})
}

// nobody runs what needs no rights.
const nobody = 65534
