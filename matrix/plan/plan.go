package plan

import (
	"cmp"
	"errors"
	"slices"
	"sync"

	"github.com/ohpc-build/ohpc-build/matrix/schedule"
)

// Plan is the graph of jobs in an order in which each comes after what it needs.
// [Plan.Filter] makes a smaller one; its jobs may need some that are not in it.
type Plan struct {
	Jobs     []*Job    `json:"jobs"`
	Skips    []Skip    `json:"skips"`
	Failures []Failure `json:"failures"`

	index sync.Once
	byID  map[string]*Job // of Jobs, once somebody has asked
}

// New finds what each job needs and puts the jobs in order. The error is one or
// several of *[CycleError], or of *[ConflictError].
func New(jobs []*Job, opts ...Option) (*Plan, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	slices.SortFunc(jobs, func(a, b *Job) int { return cmp.Compare(a.ID, b.ID) })
	if err := conflicts(jobs); err != nil {
		return nil, err
	}
	g := newGraph(jobs, o)
	g.connect()
	if err := g.cycles(); err != nil {
		return nil, err
	}
	ordered, err := order(jobs)
	if err != nil {
		return nil, err
	}
	return newPlan(ordered, o.skips, o.failures), nil
}

func newPlan(jobs []*Job, skips []Skip, failures []Failure) *Plan {
	p := &Plan{Jobs: jobs, Skips: slices.Clone(skips), Failures: slices.Clone(failures)}
	slices.SortFunc(p.Skips, func(a, b Skip) int {
		return cmp.Or(cmp.Compare(a.Recipe, b.Recipe), cmp.Compare(a.Variant, b.Variant), cmp.Compare(a.Target, b.Target),
			cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Reason, b.Reason))
	})
	slices.SortFunc(p.Failures, func(a, b Failure) int { return cmp.Compare(a.ID, b.ID) })
	return p
}

// order sorts jobs so that each comes after what it needs, otherwise by ID.
func order(jobs []*Job) ([]*Job, error) {
	byID := make(map[string]*Job, len(jobs))
	tasks := make([]schedule.Task, len(jobs))
	for i, j := range jobs {
		byID[j.ID] = j
		tasks[i] = schedule.Task{ID: j.ID, Needs: j.Needs}
	}
	ids, err := schedule.Order(tasks)
	if err != nil {
		return nil, err
	}
	ordered := make([]*Job, len(ids))
	for i, id := range ids {
		ordered[i] = byID[id]
	}
	return ordered, nil
}

// Job returns the job of that ID, or nil.
func (p *Plan) Job(id string) *Job {
	p.index.Do(func() {
		p.byID = make(map[string]*Job, len(p.Jobs))
		for _, j := range p.Jobs {
			p.byID[j.ID] = j
		}
	})
	return p.byID[id]
}

// Filter is the plan of those jobs that are to be kept, with all skips and
// failures.
func (p *Plan) Filter(keep func(*Job) bool) *Plan {
	var kept []*Job
	for _, j := range p.Jobs {
		if keep(j) {
			kept = append(kept, j)
		}
	}
	return newPlan(kept, p.Skips, p.Failures)
}

// Select keeps the named recipes and everything that they need, to be built and
// to be installed, and of what is skipped or failed only what is of these recipes.
func (p *Plan) Select(recipes []string) *Plan {
	if len(recipes) == 0 {
		return p
	}
	wanted := make(map[string]bool, len(recipes))
	for _, name := range recipes {
		wanted[name] = true
	}
	keep := map[*Job]bool{}
	var open []*Job
	visit := func(j *Job) {
		if j != nil && !keep[j] {
			keep[j] = true
			open = append(open, j)
		}
	}
	for _, j := range p.Jobs {
		if wanted[j.Recipe] {
			visit(j)
		}
	}
	for len(open) > 0 {
		j := open[len(open)-1]
		open = open[:len(open)-1]
		for _, ids := range [][]string{j.Needs, j.RunNeeds} {
			for _, id := range ids {
				visit(p.Job(id))
			}
		}
	}
	selected := p.Filter(func(j *Job) bool { return keep[j] })
	selected.Skips = slices.DeleteFunc(selected.Skips, func(s Skip) bool { return !wanted[s.Recipe] })
	selected.Failures = slices.DeleteFunc(selected.Failures, func(f Failure) bool { return !wanted[f.Recipe] })
	return selected
}

// ToRun is the plan of the jobs that must run.
func (p *Plan) ToRun() *Plan {
	return p.Filter(func(j *Job) bool { return j.Reason != ReasonReused })
}

// join is errors.Join that leaves a single error as it is.
func join(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}
