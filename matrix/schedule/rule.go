package schedule

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// rule says which of the tasks that could begin does so first: that with the highest
// rank, and with a fit the one of which rank and fit together are highest.
type rule struct {
	ranks []time.Duration
	fit   int // the power of how well a task fits what is free; 0: it does not count
}

// fits are the powers that are tried.
var fits = [...]int{4, 8, 16}

const (
	// goodEnough is by how much a simulated run may take longer than the bound without
	// another rule being looked for.
	goodEnough = 1.03

	// passes is how often a schedule is made from its end and then from its beginning.
	passes = 3

	// effort bounds how many beginnings of tasks are simulated to find a rule. It is a
	// number and no time, so that the same tasks always run in the same way.
	effort = 400_000

	// others is how many ranks of any tasks are moved at a time.
	others = 8

	// spread is how far ranks are moved at random: most by a factor between half and
	// twice.
	spread = 0.7
)

// rule finds the rule by which the tasks run. Where nothing is scarce but slots, the
// longest chain to the end is hard to improve on. Where it is not good enough for what
// else the room has, other rules are simulated, which takes milliseconds, and the best is
// kept.
func (g *graph) rule(room Room) rule {
	best := rule{ranks: g.ranks()}
	if room.Resources == (Resources{}) || len(g.tasks) == 0 {
		return best
	}
	s := &search{graph: g, room: room, best: best, left: effort}
	s.spans = g.again().simulate(best, room)
	s.takes = makespan(s.spans)
	s.enough = time.Duration(float64(g.bound(room)) * goodEnough)
	s.run()
	return s.best
}

// search is the search for a rule.
type search struct {
	graph  *graph
	room   Room
	best   rule
	spans  []Span        // of the best
	takes  time.Duration // the best
	enough time.Duration
	left   int // of the effort
}

func (s *search) run() {
	first := s.best
	for _, fit := range fits {
		s.try(rule{first.ranks, fit})
	}
	s.backAndForth()
	s.shuffle()
}

func (s *search) over() bool { return s.takes <= s.enough || s.left < len(s.graph.tasks) }

// try simulates a rule and keeps it if it is better.
func (s *search) try(r rule) {
	if s.over() {
		return
	}
	s.left -= len(s.graph.tasks)
	spans := s.graph.again().simulate(r, s.room)
	if takes := makespan(spans); takes < s.takes {
		s.best, s.spans, s.takes = r, spans, takes
	}
}

// backAndForth makes the schedule from its end, each task as late as it can be, and of
// that the ranks: how long before the end a task must begin beside all others. This is
// the justification of resource-constrained project scheduling (Valls, Ballestin,
// Quintanilla 2005).
func (s *search) backAndForth() {
	for range passes {
		if s.left -= len(s.graph.tasks); s.over() {
			return
		}
		back := s.graph.reversed().simulate(rule{ends(s.spans), s.best.fit}, s.room)
		s.try(rule{ends(back), s.best.fit})
	}
}

func ends(spans []Span) []time.Duration {
	all := make([]time.Duration, len(spans))
	for i, s := range spans {
		all[i] = s.End
	}
	return all
}

// shuffle moves ranks: of those tasks that use more than half of something and so run
// one after the other, as they are few, and what can run beside them depends on when
// they do; and of some others.
func (s *search) shuffle() {
	var large []int
	for i, t := range s.graph.tasks {
		if shares := s.room.shares(t.Uses); slices.Max(shares[:]) > 0.5 {
			large = append(large, i)
		}
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time is what is wanted
	for try := 0; !s.over(); try++ {
		ranks := slices.Clone(s.best.ranks)
		move := func(i int) { ranks[i] = time.Duration(float64(ranks[i]) * math.Exp(random.NormFloat64()*spread)) }
		for _, i := range large {
			if random.IntN(3) == 0 {
				move(i)
			}
		}
		for range try % 3 * others {
			move(random.IntN(len(ranks)))
		}
		s.try(rule{ranks, s.best.fit})
	}
}
