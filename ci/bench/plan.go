package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
	"github.com/ohpc-build/ohpc-build/ci/bench/rpmspec"
	"github.com/ohpc-build/ohpc-build/ci/bench/synthetic"
)

// What the design allows on two cores, in seconds.
const (
	mostFirst   = 60
	mostAgain   = 1
	mostTouched = 2
)

// plans is what the benchmarks of the plan share: a state folder in which the tree
// was planned once, and what came of that.
type plans struct {
	bench  *bench
	imaged bool // the image is there

	warm  string // state folder; "" as long as there is none
	first timings
	text  []byte // the first plan's JSON
	jobs  string // for people

	detail *rpmspec.Plan // with all that rpm said
	asked  []rpmspec.Answer
	asking time.Duration // how long rpmspec alone takes
}

// plan is ohpc-build plan of a tree. It runs in the working folder, where there is
// no configuration.
func (b *bench) plan(state, tree string, args ...string) command {
	return command{dir: b.work, name: b.program, args: append([]string{
		"plan", "--tree", tree, "--state", state, "--out", filepath.Join(state, "out"), "--format", "json", "--progress", "none",
	}, args...)}
}

// planned says whether an error is only that of specs that cannot be read: the
// plan is complete then but for these.
func planned(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == 1
}

// callPlan runs a plan, which may have failures in it.
func callPlan(ctx context.Context, c command) (result, error) {
	r, err := c.call(ctx)
	if err != nil && (!planned(err) || len(r.out) == 0) {
		return result{}, err
	}
	return r, nil
}

// timings are of the same command, run several times.
type timings struct{ took, cpu []time.Duration }

func (t *timings) add(r result) {
	t.took = append(t.took, r.took)
	t.cpu = append(t.cpu, r.cpu)
}

// figure is the median of them.
func (t *timings) figure(name, what string, limit float64) figure.Figure {
	f := figure.Figure{
		Name: name, What: what, Unit: figure.Seconds,
		Ours: figure.Middle(t.took), CPU: figure.Middle(t.cpu), Runs: len(t.took),
	}
	f.AtMost(limit)
	return f
}

// run plans the tree in a cold state folder, and keeps that as the warm one.
func (p *plans) run(ctx context.Context) error {
	state, err := p.bench.cold(ctx)
	if err != nil {
		return err
	}
	r, err := callPlan(ctx, p.bench.plan(state, p.bench.tree))
	if err != nil {
		return err
	}
	parsed, err := rpmspec.ParsePlan(r.out)
	if err != nil {
		return err
	}
	p.jobs = fmt.Sprintf("%d jobs, %d skipped, %d that cannot be read", len(parsed.Jobs), len(parsed.Skips), len(parsed.Failures))
	p.first.add(r)
	p.warm, p.text = state, r.out
	return nil
}

// state is a state folder that knows the tree.
func (p *plans) state(ctx context.Context) (string, error) {
	if p.warm == "" {
		if err := p.run(ctx); err != nil {
			return "", err
		}
	}
	return p.warm, nil
}

// ask lets rpmspec alone read what the plan has read.
func (p *plans) ask(ctx context.Context) error {
	if p.asked != nil {
		return nil
	}
	state, err := p.state(ctx)
	if err != nil {
		return err
	}
	r, err := callPlan(ctx, p.bench.plan(state, p.bench.tree, "--explain"))
	if err != nil {
		return err
	}
	if p.detail, err = rpmspec.ParsePlan(r.out); err != nil {
		return err
	}
	// The ordinary user who runs rpmspec may not get to where the state is.
	dir, err := os.MkdirTemp("", "ohpc-build-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	host, err := rpmspec.NewHost(ctx, p.bench.tree, dir)
	if err != nil {
		return err
	}
	p.asked, p.asking, err = host.Ask(ctx, p.detail)
	return err
}

// planFirst is the first plan of a tree: every spec is read.
func planFirst(ctx context.Context, b *bench) ([]figure.Figure, error) {
	p := b.plans
	for range b.times(1) {
		if err := p.run(ctx); err != nil {
			return nil, err
		}
	}
	f := p.first.figure("plan-first", "first plan, the image at hand", mostFirst)
	if !installed("rpmspec") {
		f.Lines = []string{"rpmspec is not installed, nothing to compare with"}
		return []figure.Figure{f}, nil
	}
	if err := p.ask(ctx); err != nil {
		return []figure.Figure{f}, err
	}
	f.Against("rpmspec alone", p.asking.Seconds(), 1)
	f.Lines = []string{fmt.Sprintf("rpmspec alone reads what %d jobs are made of, twice each and without a container; what is skipped or cannot be read it is not asked about", len(p.asked))}
	return []figure.Figure{f}, nil
}

// planAgain is the plan of a tree that has not changed.
func planAgain(ctx context.Context, b *bench) ([]figure.Figure, error) {
	state, err := b.plans.state(ctx)
	if err != nil {
		return nil, err
	}
	var t timings
	for range b.times(5) {
		r, err := callPlan(ctx, b.plan(state, b.tree))
		if err != nil {
			return nil, err
		}
		t.add(r)
	}
	return []figure.Figure{t.figure("plan-again", "plan, nothing changed", mostAgain)}, nil
}

// planTouched is the plan after one spec has changed: one that is built once in
// each cell, one that is built for each MPI library, and the one that makes the
// most jobs.
func planTouched(ctx context.Context, b *bench) ([]figure.Figure, error) {
	state, err := b.plans.state(ctx)
	if err != nil {
		return nil, err
	}
	p, err := rpmspec.ParsePlan(b.plans.text)
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(b.work, "touched")
	if err := synthetic.CopyTree(b.tree, tree); err != nil {
		return nil, err
	}
	var figures []figure.Figure
	for _, s := range specsToTouch(p) {
		var t timings
		for run := range b.times(3) {
			if err := touch(filepath.Join(tree, filepath.FromSlash(s.path)), run); err != nil {
				return figures, err
			}
			r, err := callPlan(ctx, b.plan(state, tree))
			if err != nil {
				return figures, err
			}
			t.add(r)
		}
		what := fmt.Sprintf("plan, one spec changed: %s, of %d jobs", filepath.Base(s.path), s.jobs)
		figures = append(figures, t.figure("plan-touched-"+s.kind, what, mostTouched))
	}
	return figures, nil
}

// touchable is a spec that is going to be changed.
type touchable struct {
	path, kind string
	jobs       int
}

// specsToTouch chooses specs: of several alike the one with the most jobs, and of
// these the one whose path comes first.
func specsToTouch(p *rpmspec.Plan) []touchable {
	jobs, standalone, mpi := map[string]int{}, map[string]bool{}, map[string]bool{}
	for _, j := range p.Jobs {
		if j.Spec == "" {
			continue
		}
		jobs[j.Spec]++
		standalone[j.Spec] = j.Variant == ""
		mpi[j.Spec] = j.Defines["mpi_family"] != ""
	}
	specs := slices.SortedFunc(maps.Keys(jobs), func(a, b string) int {
		return cmp.Or(cmp.Compare(jobs[b], jobs[a]), cmp.Compare(a, b))
	})
	var chosen []touchable
	add := func(kind string, fits func(string) bool) {
		i := slices.IndexFunc(specs, func(s string) bool {
			return fits(s) && !slices.ContainsFunc(chosen, func(c touchable) bool { return c.path == s })
		})
		if i >= 0 {
			chosen = append(chosen, touchable{specs[i], kind, jobs[specs[i]]})
		}
	}
	add("most", func(string) bool { return true })
	add("mpi", func(s string) bool { return mpi[s] })
	add("standalone", func(s string) bool { return standalone[s] })
	return chosen
}

// touch changes a spec without changing what comes of it.
func touch(path string, run int) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(fmt.Appendf(nil, "# touched %d\n", run), text...), 0o644)
}

// planIdentical compares plans byte by byte.
func planIdentical(ctx context.Context, b *bench) ([]figure.Figure, error) {
	state, err := b.plans.state(ctx)
	if err != nil {
		return nil, err
	}
	n := b.times(2)
	f := figure.Figure{Name: "plan-identical", What: "plans that differ from the first one by a byte", Unit: figure.Differences, Runs: n}
	for range n {
		r, err := callPlan(ctx, b.plan(state, b.tree))
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(r.out, b.plans.text) {
			f.Ours++
		}
	}
	f.AtMost(0)
	return []figure.Figure{f}, nil
}

// planRight holds the plan against rpmspec's own output.
func planRight(ctx context.Context, b *bench) ([]figure.Figure, error) {
	if err := b.plans.ask(ctx); err != nil {
		return nil, err
	}
	c := rpmspec.Compare(b.plans.asked)
	f := figure.Figure{
		Name: "plan-right", Unit: figure.Differences, Ours: float64(len(c.Differences)), Runs: 1,
		What: fmt.Sprintf("%d jobs, %d packages, %d requirements, %d provides compared with rpmspec's", c.Jobs, c.Packages, c.Requirements, c.Provides),
	}
	f.AtMost(0)
	f.Lines = c.Differences
	return []figure.Figure{f}, nil
}
