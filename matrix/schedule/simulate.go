package schedule

import (
	"container/heap"
	"slices"
	"time"
)

// Makespans are how long [Run] takes for tasks that each last so long and all
// succeed, for each number of slots.
func Makespans(tasks []Task, takes func(task int) time.Duration, slots ...int) ([]time.Duration, error) {
	g, err := newGraph(tasks)
	if err != nil {
		return nil, err
	}
	waiting := g.waiting
	spans := make([]time.Duration, len(slots))
	for i, n := range slots {
		g.waiting = slices.Clone(waiting)
		spans[i] = g.makespan(takes, max(n, 1))
	}
	return spans, nil
}

// makespan uses the graph up.
func (g *graph) makespan(takes func(task int) time.Duration, slots int) time.Duration {
	var (
		ready   = intHeap(g.roots())
		running ends
		now     time.Duration
	)
	for len(ready) > 0 || len(running) > 0 {
		for len(ready) > 0 && len(running) < slots {
			i := heap.Pop(&ready).(int)
			heap.Push(&running, end{now + takes(i), i})
		}
		// All that end at one moment make room before the next begin.
		now = running[0].at
		for len(running) > 0 && running[0].at == now {
			for _, i := range g.finished(heap.Pop(&running).(end).task, true) {
				heap.Push(&ready, i)
			}
		}
	}
	return now
}

// end is when a task ends.
type end struct {
	at   time.Duration
	task int
}

// ends gives the earliest first (container/heap).
type ends []end

func (e ends) Len() int { return len(e) }
func (e ends) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].task < e[j].task
}
func (e ends) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(x any)   { *e = append(*e, x.(end)) }
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
