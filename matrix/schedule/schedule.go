package schedule

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Task is one node of the graph.
type Task struct {
	ID    string
	Needs []string // IDs of tasks that must have succeeded
	Run   func(context.Context) error
}

// NeedError is the outcome of a task that was not run because one that it
// needs did not succeed.
type NeedError struct {
	Task, Need string
}

func (e *NeedError) Error() string {
	return fmt.Sprintf("%s was not started: %s did not succeed", e.Task, e.Need)
}

// CycleError names tasks that need each other, in order; the first is repeated
// at the end.
type CycleError struct {
	Path []string
}

func (e *CycleError) Error() string {
	return "these need each other in a circle: " + strings.Join(e.Path, " → ")
}

// Run runs all tasks, at most slots at a time, those with the lower position
// first where there is a choice. It returns the error of each task that did not
// succeed, by ID; the second result is an error in the graph itself, in which
// case nothing was run. When ctx ends, running tasks are told through their
// context and the others end with its error.
func Run(ctx context.Context, tasks []Task, slots int) (map[string]error, error) {
	g, err := newGraph(tasks)
	if err != nil {
		return nil, err
	}
	type outcome struct {
		task int
		err  error
	}
	var (
		failed  = map[string]error{}
		done    = make(chan outcome)
		ready   = intHeap(g.roots())
		running = 0
	)
	slots = max(slots, 1)
	finish := func(o outcome) {
		if o.err != nil {
			failed[tasks[o.task].ID] = o.err
		}
		for _, i := range g.finished(o.task, o.err == nil) {
			heap.Push(&ready, i)
		}
	}
	for len(ready) > 0 || running > 0 {
		for len(ready) > 0 && running < slots {
			i := heap.Pop(&ready).(int)
			if err := g.obstacle(ctx, i); err != nil {
				finish(outcome{i, err})
				continue
			}
			running++
			go func() { done <- outcome{i, tasks[i].Run(ctx)} }()
		}
		if running > 0 {
			o := <-done
			running--
			finish(o)
		}
	}
	return failed, nil
}

// graph counts for each task how many of its needs have not ended yet.
type graph struct {
	tasks      []Task
	waiting    []int
	dependents [][]int
	failedNeed []string
}

func newGraph(tasks []Task) (*graph, error) {
	g := &graph{
		tasks:      tasks,
		waiting:    make([]int, len(tasks)),
		dependents: make([][]int, len(tasks)),
		failedNeed: make([]string, len(tasks)),
	}
	index := make(map[string]int, len(tasks))
	for i, t := range tasks {
		if _, twice := index[t.ID]; twice {
			return nil, fmt.Errorf("two tasks are named %s", t.ID)
		}
		index[t.ID] = i
	}
	for i, t := range tasks {
		for _, need := range t.Needs {
			j, ok := index[need]
			if !ok {
				return nil, fmt.Errorf("%s needs %s, which does not exist", t.ID, need)
			}
			g.waiting[i]++
			g.dependents[j] = append(g.dependents[j], i)
		}
	}
	if path := cycle(tasks, index, g); path != nil {
		return nil, &CycleError{Path: path}
	}
	return g, nil
}

func (g *graph) roots() []int {
	var ready []int
	for i, n := range g.waiting {
		if n == 0 {
			ready = append(ready, i)
		}
	}
	return ready
}

func (g *graph) finished(i int, ok bool) (ready []int) {
	for _, d := range g.dependents[i] {
		if !ok && g.failedNeed[d] == "" {
			g.failedNeed[d] = g.tasks[i].ID
		}
		if g.waiting[d]--; g.waiting[d] == 0 {
			ready = append(ready, d)
		}
	}
	return ready
}

func (g *graph) obstacle(ctx context.Context, i int) error {
	if need := g.failedNeed[i]; need != "" {
		return &NeedError{Task: g.tasks[i].ID, Need: need}
	}
	return context.Cause(ctx)
}

// Order returns the tasks' IDs so that each comes after those that it needs and
// otherwise as they are given.
func Order(tasks []Task) ([]string, error) {
	g, err := newGraph(tasks)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(tasks))
	for _, i := range g.order() {
		ids = append(ids, tasks[i].ID)
	}
	return ids, nil
}

// order uses the graph up.
func (g *graph) order() []int {
	ready := intHeap(g.roots())
	var ordered []int
	for len(ready) > 0 {
		i := heap.Pop(&ready).(int)
		ordered = append(ordered, i)
		for _, d := range g.finished(i, true) {
			heap.Push(&ready, d)
		}
	}
	return ordered
}

// cycle returns a shortest circle among the tasks, or nil.
func cycle(tasks []Task, index map[string]int, g *graph) []string {
	ordered := make([]bool, len(tasks))
	count := &graph{tasks: tasks, waiting: slices.Clone(g.waiting), dependents: g.dependents, failedNeed: g.failedNeed}
	for _, i := range count.order() {
		ordered[i] = true
	}
	var shortest []string
	for start := range tasks {
		if ordered[start] {
			continue
		}
		if path := shortestBack(tasks, index, start); path != nil && (shortest == nil || len(path) < len(shortest)) {
			shortest = path
		}
	}
	return shortest
}

// shortestBack finds the shortest way from start along Needs back to start.
func shortestBack(tasks []Task, index map[string]int, start int) []string {
	from := map[int]int{}
	queue := []int{start}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, need := range tasks[i].Needs {
			j := index[need]
			if j == start {
				path := []string{tasks[start].ID}
				for k := i; k != start; k = from[k] {
					path = append(path, tasks[k].ID)
				}
				path = append(path, tasks[start].ID)
				slices.Reverse(path) // collected backwards; told in the direction of need
				return path
			}
			if _, seen := from[j]; !seen {
				from[j] = i
				queue = append(queue, j)
			}
		}
	}
	return nil
}

// FirstCause returns the error among failed that is not merely a consequence of
// another: neither a NeedError nor the end of the context, the first by ID.
func FirstCause(failed map[string]error) error {
	ids := make([]string, 0, len(failed))
	for id := range failed {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	var consequence error
	for _, id := range ids {
		var need *NeedError
		if err := failed[id]; !errors.As(err, &need) && !errors.Is(err, context.Canceled) {
			return err
		} else if consequence == nil {
			consequence = err
		}
	}
	return consequence
}

// intHeap gives the lowest position first (container/heap).
type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
