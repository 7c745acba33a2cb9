package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/schedule"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// CycleError names jobs that need each other to be built.
type CycleError struct{ Path []string }

func (e *CycleError) Error() string {
	return fmt.Sprintf("these jobs need each other to be built: %s; take one of the BuildRequires out", strings.Join(e.Path, " → "))
}

// index finds the provider of a requirement among the jobs of one cell.
type index struct {
	byID map[string]*Job
	by   map[slot][]offer
}

type slot struct{ target, arch, name string }

type offer struct {
	job      *Job
	produced *Produced
	provides rpm.Dependency
}

func newIndex(jobs []*Job) *index {
	x := &index{byID: map[string]*Job{}, by: map[slot][]offer{}}
	for _, j := range jobs {
		x.byID[j.ID] = j
		for i := range j.Produces {
			p := &j.Produces[i]
			for _, provides := range p.Provides {
				for _, arch := range append([]string{j.Arch}, j.Shared...) {
					s := slot{j.Target, arch, provides.Name}
					x.by[s] = append(x.by[s], offer{j, p, provides})
				}
			}
		}
	}
	return x
}

// provider is the job that makes what satisfies a requirement, or nil when none
// does: then it is the target's own affair. Of several the first by ID counts.
func (x *index) provider(target, arch string, req rpm.Dependency) *Job {
	if o := x.offer(target, arch, req); o != nil {
		return o.job
	}
	return nil
}

func (x *index) offer(target, arch string, req rpm.Dependency) *offer {
	for i, o := range x.by[slot{target, arch, req.Name}] {
		if req.SatisfiedBy(o.provides) {
			return &x.by[slot{target, arch, req.Name}][i]
		}
	}
	return nil
}

// needs are the jobs that make what a job's build root must hold: what it
// requires to be built, what that requires to be installed, and so on.
func (x *index) needs(j *Job) []string {
	seen := map[*Produced]bool{}
	jobs := map[string]bool{}
	var visit func(req rpm.Dependency)
	visit = func(req rpm.Dependency) {
		o := x.offer(j.Target, j.Arch, req)
		if o == nil || seen[o.produced] {
			return
		}
		seen[o.produced] = true
		jobs[o.job.ID] = true
		for _, r := range o.produced.Requires {
			visit(r)
		}
	}
	for _, req := range j.BuildRequires {
		visit(req)
	}
	ids := make([]string, 0, len(jobs))
	for id := range jobs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
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
	var circle *schedule.CycleError
	if errors.As(err, &circle) {
		return nil, &CycleError{Path: circle.Path}
	}
	if err != nil {
		return nil, err
	}
	ordered := make([]*Job, len(ids))
	for i, id := range ids {
		ordered[i] = byID[id]
	}
	return ordered, nil
}
