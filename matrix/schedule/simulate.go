package schedule

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Span is when a task runs, from the beginning of the whole.
type Span struct {
	Begin, End time.Duration
	Slot       int
}

// Simulate tells when [Run] runs each task if all succeed and take as long as is
// expected.
func Simulate(tasks []Task, room Room) ([]Span, error) {
	g, err := newGraph(tasks)
	if err != nil {
		return nil, err
	}
	if errs := Check(tasks, room); len(errs) > 0 {
		return nil, errs[0]
	}
	return g.simulate(g.ranks(), room), nil
}

// Makespans are how long it takes in each of several rooms.
func Makespans(tasks []Task, rooms ...Room) ([]time.Duration, error) {
	g, err := newGraph(tasks)
	if err != nil {
		return nil, err
	}
	ranks := g.ranks()
	ends := make([]time.Duration, len(rooms))
	for i, room := range rooms {
		if errs := Check(tasks, room); len(errs) > 0 {
			return nil, errs[0]
		}
		for _, s := range g.again().simulate(ranks, room) {
			ends[i] = max(ends[i], s.End)
		}
	}
	return ends, nil
}

// simulate uses the graph up.
func (g *graph) simulate(ranks []time.Duration, room Room) []Span {
	q := newQueue(g.tasks, ranks, room)
	for _, i := range g.roots() {
		q.add(i)
	}
	spans := make([]Span, len(g.tasks))
	var now time.Duration
	for q.ready > 0 || len(q.running) > 0 {
		for {
			r, ok := q.next(now)
			if !ok {
				break
			}
			spans[r.task] = Span{now, r.end, r.slot}
		}
		// All that end at one moment make room before the next begin.
		now = q.running[0].end
		for len(q.running) > 0 && q.running[0].end == now {
			r := q.running[0]
			q.end(r)
			for _, i := range g.finished(r.task) {
				q.add(i)
			}
		}
	}
	return spans
}

// Bound is how long the tasks take at least, however they are arranged: as long as
// their longest chain, as all their work and all their use of each resource takes when
// the room is full all the time, and as those take of which only so many fit beside
// each other.
func Bound(tasks []Task, room Room) (time.Duration, error) {
	g, err := newGraph(tasks)
	if err != nil {
		return 0, err
	}
	ranks, heads := g.ranks(), g.heads()
	bound := slices.Max(append(slices.Clone(ranks), 0))
	slots := max(room.Slots, 1)
	all := func(Task) bool { return true }
	bound = max(bound, g.among(ranks, heads, all, func(Task) float64 { return 1 / float64(slots) }))
	for _, r := range []struct {
		has int64
		of  func(Task) int64
	}{
		{room.Memory, func(t Task) int64 { return t.Uses.Memory }},
		{room.Disk, func(t Task) int64 { return t.Uses.Disk }},
		{int64(room.Cores), func(t Task) int64 { return int64(t.Uses.Cores) }},
	} {
		if r.has == 0 {
			continue
		}
		bound = max(bound, g.among(ranks, heads, func(t Task) bool { return r.of(t) > 0 }, func(t Task) float64 { return float64(r.of(t)) / float64(r.has) }))
		// Of tasks that use more than a third there are never more than two at a time.
		for n := 1; n <= min(slots, maxBeside); n++ {
			large := func(t Task) bool { return r.of(t) > r.has/int64(n+1) }
			bound = max(bound, g.among(ranks, heads, large, func(Task) float64 { return 1 / float64(n) }))
		}
	}
	return bound, nil
}

// maxBeside is up to how many that fit beside each other are looked at.
const maxBeside = 8

// among is how long some tasks keep the room busy, each of them a share of it, with
// what must come before the first of them and after the last. What holds of all of them
// holds of those alone that cannot begin early.
func (g *graph) among(ranks, heads []time.Duration, some func(Task) bool, share func(Task) float64) (bound time.Duration) {
	var late []int // the latest first
	for i, t := range g.tasks {
		if some(t) {
			late = append(late, i)
		}
	}
	slices.SortFunc(late, func(a, b int) int { return cmp.Compare(heads[b], heads[a]) })
	var busy float64 // seconds
	tail := time.Duration(math.MaxInt64)
	for _, i := range late {
		t := g.tasks[i]
		busy += t.Takes.Seconds() * share(t)
		tail = min(tail, ranks[i]-t.Takes)
		bound = max(bound, heads[i]+time.Duration(busy*float64(time.Second))+tail)
	}
	return bound
}

// heads are for each task how long the longest chain takes that it needs.
func (g *graph) heads() []time.Duration {
	heads := make([]time.Duration, len(g.tasks))
	for _, i := range g.again().order() {
		for _, d := range g.dependents[i] {
			heads[d] = max(heads[d], heads[i]+g.tasks[i].Takes)
		}
	}
	return heads
}
