package plan

import (
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/schedule"
)

// Total is how long all jobs of the plan take, one after the other.
func (p *Plan) Total() time.Duration {
	var total time.Duration
	for _, j := range p.Jobs {
		total += j.Takes
	}
	return total
}

// Levels are the jobs that could run side by side, if there were room for all: of
// the first level those that need none of the plan's jobs, of the next those that
// need only such, and so on.
func (p *Plan) Levels() [][]*Job {
	var levels [][]*Job
	at := make(map[string]int, len(p.Jobs))
	for _, j := range p.Jobs {
		level := 0
		for _, need := range j.Needs {
			if n, ok := at[need]; ok {
				level = max(level, n+1)
			}
		}
		at[j.ID] = level
		if level == len(levels) {
			levels = append(levels, nil)
		}
		levels[level] = append(levels[level], j)
	}
	return levels
}

// CriticalPath is the chain of jobs, each of which needs the one before, that
// takes longest, and how long: the plan takes no less however many run at a time.
func (p *Plan) CriticalPath() ([]*Job, time.Duration) {
	type chain struct {
		takes time.Duration
		jobs  int
		by    *Job
	}
	longer := func(a, b chain) bool { return a.takes > b.takes || a.takes == b.takes && a.jobs > b.jobs }
	ends := make(map[string]chain, len(p.Jobs))
	jobs := make(map[string]*Job, len(p.Jobs))
	var last *Job
	for _, j := range p.Jobs {
		var before chain
		for _, need := range j.Needs {
			if c, ok := ends[need]; ok && longer(c, before) {
				before = chain{c.takes, c.jobs, jobs[need]}
			}
		}
		jobs[j.ID], ends[j.ID] = j, chain{before.takes + j.Takes, before.jobs + 1, before.by}
		if last == nil || longer(ends[j.ID], ends[last.ID]) {
			last = j
		}
	}
	if last == nil {
		return nil, 0
	}
	var path []*Job
	for j := last; j != nil; j = ends[j.ID].by {
		path = append(path, j)
	}
	slices.Reverse(path)
	return path, ends[last.ID].takes
}

// Estimate is how long the plan takes with so many jobs at a time, begun in the
// order in which a run begins them, on a host that has the memory and the disk for
// whatever runs beside each other.
func (p *Plan) Estimate(jobs int) time.Duration { return p.estimates(jobs)[0] }

func (p *Plan) estimates(jobs ...int) []time.Duration {
	rooms := make([]schedule.Room, len(jobs))
	for i, n := range jobs {
		rooms[i].Slots = n
	}
	spans, err := schedule.Makespans(p.Tasks(), rooms...)
	if err != nil {
		return make([]time.Duration, len(jobs)) // two jobs of one ID, which New refuses
	}
	return spans
}

// Tasks are the plan's jobs for a scheduler, in their order. What they do is not in
// them, and neither are needs that are no part of the plan.
func (p *Plan) Tasks() []schedule.Task {
	at := make(map[string]bool, len(p.Jobs))
	tasks := make([]schedule.Task, len(p.Jobs))
	for i, j := range p.Jobs {
		at[j.ID] = true
		tasks[i] = schedule.Task{ID: j.ID, Takes: j.Takes, Uses: j.Uses}
		for _, need := range j.Needs {
			if at[need] { // the jobs are in order
				tasks[i].Needs = append(tasks[i].Needs, need)
			}
		}
	}
	return tasks
}
