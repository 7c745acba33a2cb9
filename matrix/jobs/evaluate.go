package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
)

// specTimeout bounds one container that reads specs.
const specTimeout = 30 * time.Minute

// evaluate asks rpm about the candidates: those that it can read become jobs.
func (s *Set) evaluate(ctx context.Context, candidates []*candidate, progress Progress) ([]*plan.Job, []recipes.Skip, error) {
	var (
		jobs     []*plan.Job
		skips    []recipes.Skip
		problems []error
	)
	for _, cell := range s.in.Cells {
		progress.Begin(cell.String())
		var mine []*candidate
		var queries []spec.Query
		for _, c := range candidates {
			if c.cell == cell {
				mine = append(mine, c)
				queries = append(queries, c.query)
			}
		}
		host := s.evaluatorCell(cell)
		image := host.Image
		evaluator := spec.New(s.store, &specRunner{s.sandbox, image.Layers}, spec.Image{Digest: image.Digest, Arch: host.Arch})
		answers, err := evaluator.Evaluate(ctx, queries)
		if err != nil {
			return nil, nil, err
		}
		for i, a := range answers {
			c := mine[i]
			var skip *spec.SkipError
			switch {
			case errors.As(a.Err, &skip):
				skips = append(skips, recipes.Skip{Recipe: c.job.Recipe, Variant: c.job.Variant, Target: c.job.Target, Arch: c.job.Arch, Reason: skip.Reason})
			case a.Err != nil:
				problems = append(problems, fmt.Errorf("%s: %w", c.job.ID, a.Err))
			default:
				c.take(a.Result)
				jobs = append(jobs, c.job)
			}
		}
		progress.End(cell.String(), fmt.Sprintf("%d specs read", len(mine)))
	}
	if len(problems) > 0 {
		return nil, nil, &RecipeError{errors.Join(problems...)}
	}
	return jobs, skips, nil
}

// evaluatorCell is the cell whose image reads the specs of another cell of the
// same target: rpmspec takes the architecture as an option, so that it need not
// be emulated where the host's own is part of the run.
func (s *Set) evaluatorCell(cell *Cell) *Cell {
	for _, c := range s.in.Cells {
		if c.Target == cell.Target && emulate.Native(c.Arch) {
			return c
		}
	}
	return cell
}

// take fills a job in with what rpm said.
func (c *candidate) take(r *spec.Result) {
	c.job.BuildRequires = r.Source.Requires
	for _, p := range r.Packages {
		c.job.Produces = append(c.job.Produces, plan.Produced{Name: p.Name, Provides: p.Provides, Requires: p.Requires})
	}
}

// specRunner gives package spec its containers.
type specRunner struct {
	sandbox Sandbox
	layers  []string
}

// Run implements [spec.Runner].
func (r *specRunner) Run(ctx context.Context, dir string, args []string) error {
	const inside = "/evaluate"
	var out strings.Builder
	err := r.sandbox.Run(ctx, sandbox.Spec{
		Name: "rpmspec", Layers: r.layers, Args: args, Cwd: inside, UID: nobody, GID: nobody, ReadOnlyRoot: true,
		Mounts:  []sandbox.Mount{{Source: dir, Destination: inside}},
		Limits:  sandbox.Limits{Memory: 2 << 30, Pids: 512},
		Timeout: specTimeout,
		Stdout:  &out, Stderr: &out,
	})
	var exit *sandbox.ExitError
	if errors.As(err, &exit) || errors.Is(err, sandbox.ErrTimeout) {
		return nil // what has no answer will be noticed
	}
	return err
}

// nobody runs what needs no rights.
const nobody = 65534
