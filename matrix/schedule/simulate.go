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
	return g.simulate(g.rule(room), room), nil
}

// Makespans are how long it takes in each of several rooms.
func Makespans(tasks []Task, rooms ...Room) ([]time.Duration, error) {
	g, err := newGraph(tasks)
	if err != nil {
		return nil, err
	}
	ends := make([]time.Duration, len(rooms))
	for i, room := range rooms {
		if errs := Check(tasks, room); len(errs) > 0 {
			return nil, errs[0]
		}
		ends[i] = makespan(g.again().simulate(g.rule(room), room))
	}
	return ends, nil
}

func makespan(spans []Span) (end time.Duration) {
	for _, s := range spans {
		end = max(end, s.End)
	}
	return end
}

// simulate uses the graph up.
func (g *graph) simulate(r rule, room Room) []Span {
	q := newQueue(g.tasks, r, room)
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
