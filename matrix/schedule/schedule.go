package schedule

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"
)

// Task is one node of the graph.
type Task struct {
	ID    string
	Needs []string      // IDs of tasks that must have succeeded
	Takes time.Duration // how long it is expected to run
	Uses  Resources     // while it runs

	// Run does the work.
	Run func(ctx context.Context, place Place) error
}

// Place is what a task is told when it begins.
type Place struct {
	Slot   int // tasks that run at a time have different ones: the lowest that are free, counted from 0
	Number int // how many run from now on, itself and what begins at the same moment among them
}

// Option changes how tasks are run.
type Option func(*options)

type options struct{ failFast bool }

// FailFast begins nothing any more once a task has failed. Those that run are left
// to end.
func FailFast() Option { return func(o *options) { o.failFast = true } }

// NeedError is the outcome of a task that was not run because one that it
// needs did not succeed.
type NeedError struct {
	Task, Need string
}

func (e *NeedError) Error() string {
	return fmt.Sprintf("%s was not started: %s did not succeed", e.Task, e.Need)
}

// StoppedError is the outcome of a task that was not run because another, which it
// does not need, had failed, and that was to be the end ([FailFast]).
type StoppedError struct {
	Task, Failed string
}

func (e *StoppedError) Error() string {
	return fmt.Sprintf("%s was not started: %s failed before", e.Task, e.Failed)
}

// CycleError names tasks that need each other, in order; the first is repeated
// at the end.
type CycleError struct {
	Path []string
}

func (e *CycleError) Error() string {
	return "these need each other in a circle: " + strings.Join(e.Path, " → ")
}

// Run runs all tasks for which there is room. It returns the error of each task that
// did not succeed, by ID; the second result is an error in the graph itself, in which
// case nothing was run. When ctx ends, running tasks are told through their context
// and the others end with its error.
func Run(ctx context.Context, tasks []Task, room Room, opts ...Option) (map[string]error, error) {
	g, err := newGraph(tasks)
	if err != nil {
		return nil, err
	}
	if errs := Check(tasks, room); len(errs) > 0 {
		return nil, errs[0]
	}
	r := &run{
		graph: g, queue: newQueue(tasks, g.rule(room), room), begin: time.Now(),
		failed: map[string]error{}, failedNeed: make([]string, len(tasks)), done: make(chan outcome),
	}
	for _, opt := range opts {
		opt(&r.options)
	}
	for _, i := range g.roots() {
		r.queue.add(i)
	}
	for r.queue.ready > 0 || len(r.queue.running) > 0 {
		r.start(ctx)
		if len(r.queue.running) > 0 {
			o := <-r.done
			r.queue.end(o.running)
			r.finish(o.task, o.err)
		}
	}
	return r.failed, nil
}

// run is one call of Run.
type run struct {
	options
	graph      *graph
	queue      *queue
	begin      time.Time
	failed     map[string]error
	failedNeed []string // by task: one that it needs and that did not succeed
	stopped    string   // the task at whose failure nothing more is to begin
	done       chan outcome
}

// outcome is how a task ended that ran.
type outcome struct {
	running
	err error
}

// start begins all that may begin now.
func (r *run) start(ctx context.Context) {
	var begun []running
	defer func() {
		for _, next := range begun {
			place := Place{Slot: next.slot, Number: len(r.queue.running)}
			go func() { r.done <- outcome{next, r.graph.tasks[next.task].Run(ctx, place)} }()
		}
	}()
	for {
		if err := context.Cause(ctx); err != nil {
			r.end(func(int) error { return err })
			return
		}
		if r.stopped != "" {
			r.end(func(i int) error { return &StoppedError{r.graph.tasks[i].ID, r.stopped} })
			return
		}
		next, ok := r.queue.next(time.Since(r.begin))
		if !ok {
			return
		}
		begun = append(begun, next)
	}
}

// end lets all that could begin end without.
func (r *run) end(why func(int) error) {
	for r.queue.ready > 0 {
		for _, i := range r.queue.drain() {
			r.finish(i, why(i))
		}
	}
}

// finish enters how a task ended. Those that needed it and now wait for nothing
// else become ready, or end with it.
func (r *run) finish(task int, err error) {
	type ended struct {
		task int
		err  error
	}
	for open := []ended{{task, err}}; len(open) > 0; {
		e := open[len(open)-1]
		open = open[:len(open)-1]
		id := r.graph.tasks[e.task].ID
		if e.err != nil {
			r.failed[id] = e.err
			for _, d := range r.graph.dependents[e.task] {
				if r.failedNeed[d] == "" {
					r.failedNeed[d] = id
				}
			}
			if r.failFast && r.stopped == "" {
				r.stopped = id
			}
		}
		for _, d := range r.graph.finished(e.task) {
			if need := r.failedNeed[d]; need != "" {
				open = append(open, ended{d, &NeedError{Task: r.graph.tasks[d].ID, Need: need}})
			} else {
				r.queue.add(d)
			}
		}
	}
}

// FirstCause returns the error among failed that is not merely a consequence of
// another: neither a NeedError, a StoppedError nor the end of the context, the first
// by ID.
func FirstCause(failed map[string]error) error {
	ids := make([]string, 0, len(failed))
	for id := range failed {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	var consequence error
	for _, id := range ids {
		if err := failed[id]; !Consequence(err) && !errors.Is(err, context.Canceled) {
			return err
		} else if consequence == nil {
			consequence = err
		}
	}
	return consequence
}

// Consequence says whether a task was not even begun because of another.
func Consequence(err error) bool {
	return errors.As(err, new(*NeedError)) || errors.As(err, new(*StoppedError))
}
