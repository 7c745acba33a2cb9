package schedule

import "time"

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
// their longest chain, and as all their work, and all their use of each resource,
// takes when the room is full all the time.
func Bound(tasks []Task, room Room) (time.Duration, error) {
	g, err := newGraph(tasks)
	if err != nil {
		return 0, err
	}
	var bound time.Duration
	for _, rank := range g.ranks() {
		bound = max(bound, rank)
	}
	var work, memory, disk, cores float64 // of one second each
	for _, t := range tasks {
		s := t.Takes.Seconds()
		work += s
		memory += s * float64(t.Uses.Memory)
		disk += s * float64(t.Uses.Disk)
		cores += s * float64(t.Uses.Cores)
	}
	for _, area := range []struct{ of, in float64 }{
		{work, float64(max(room.Slots, 1))},
		{memory, float64(room.Memory)},
		{disk, float64(room.Disk)},
		{cores, float64(room.Cores)},
	} {
		if area.in > 0 {
			bound = max(bound, time.Duration(area.of/area.in*float64(time.Second)))
		}
	}
	return bound, nil
}
