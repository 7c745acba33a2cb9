package schedule

import (
	"container/heap"
	"fmt"
	"slices"
	"time"
)

// graph counts for each task how many of its needs have not ended yet.
type graph struct {
	tasks      []Task
	waiting    []int
	needs      [][]int
	dependents [][]int
}

func newGraph(tasks []Task) (*graph, error) {
	g := &graph{
		tasks:      tasks,
		waiting:    make([]int, len(tasks)),
		needs:      make([][]int, len(tasks)),
		dependents: make([][]int, len(tasks)),
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
			g.needs[i] = append(g.needs[i], j)
			g.dependents[j] = append(g.dependents[j], i)
		}
		g.waiting[i] = len(t.Needs)
	}
	if path := g.cycle(); path != nil {
		return nil, &CycleError{Path: path}
	}
	return g, nil
}

// again is the graph as if nothing had ended yet.
func (g *graph) again() *graph {
	fresh := *g
	fresh.waiting = make([]int, len(g.tasks))
	for i, needs := range g.needs {
		fresh.waiting[i] = len(needs)
	}
	return &fresh
}

// reversed is the graph as seen from its end, where each task needs those that need
// it.
func (g *graph) reversed() *graph {
	return (&graph{tasks: g.tasks, needs: g.dependents, dependents: g.needs}).again()
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

// finished returns those that waited for nothing else.
func (g *graph) finished(i int) (ready []int) {
	for _, d := range g.dependents[i] {
		if g.waiting[d]--; g.waiting[d] == 0 {
			ready = append(ready, d)
		}
	}
	return ready
}

// ranks are for each task how long it takes with the longest chain of tasks that
// need it: what the end waits for when the task is late.
func (g *graph) ranks() []time.Duration {
	ranks := make([]time.Duration, len(g.tasks))
	for _, i := range slices.Backward(g.again().order()) {
		for _, d := range g.dependents[i] {
			ranks[i] = max(ranks[i], ranks[d])
		}
		ranks[i] += g.tasks[i].Takes
	}
	return ranks
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

// order uses the graph up. Tasks that are part of a circle, or need one, are not in it.
func (g *graph) order() []int {
	ready := intHeap(g.roots())
	var ordered []int
	for len(ready) > 0 {
		i := heap.Pop(&ready).(int)
		ordered = append(ordered, i)
		for _, d := range g.finished(i) {
			heap.Push(&ready, d)
		}
	}
	return ordered
}

// cycle returns a shortest circle among the tasks, or nil.
func (g *graph) cycle() []string {
	order := g.again().order()
	if len(order) == len(g.tasks) {
		return nil
	}
	ordered := make([]bool, len(g.tasks))
	for _, i := range order {
		ordered[i] = true
	}
	var shortest []string
	for start := range g.tasks {
		if ordered[start] {
			continue
		}
		if path := g.shortestBack(start); path != nil && (shortest == nil || len(path) < len(shortest)) {
			shortest = path
		}
	}
	return shortest
}

// shortestBack finds the shortest way from start along Needs back to start.
func (g *graph) shortestBack(start int) []string {
	from := map[int]int{}
	queue := []int{start}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, j := range g.needs[i] {
			if j == start {
				path := []string{g.tasks[start].ID}
				for k := i; k != start; k = from[k] {
					path = append(path, g.tasks[k].ID)
				}
				path = append(path, g.tasks[start].ID)
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
