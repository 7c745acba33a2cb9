package schedule

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Bound is how long the tasks take at least, however they are arranged: as long as
// their longest chain, as all their work and all their use of each resource takes when
// the room is full all the time, as those take of which only so many fit beside each
// other, and as what is left over takes when as much as can be ran beside those that run
// one after the other.
func Bound(tasks []Task, room Room) (time.Duration, error) {
	g, err := newGraph(tasks)
	if err != nil {
		return 0, err
	}
	return g.bound(room), nil
}

func (g *graph) bound(room Room) time.Duration {
	ranks, heads := g.ranks(), g.heads()
	late := make([]int, len(g.tasks)) // the latest first
	for i := range late {
		late[i] = i
	}
	slices.SortFunc(late, func(a, b int) int { return cmp.Compare(heads[b], heads[a]) })
	among := func(some func(Task) bool, share func(Task) float64) time.Duration {
		return g.among(late, ranks, heads, some, share)
	}
	bound := slices.Max(append(slices.Clone(ranks), 0))
	slots := max(room.Slots, 1)
	all := func(Task) bool { return true }
	bound = max(bound, among(all, func(Task) float64 { return 1 / float64(slots) }))
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
		bound = max(bound, among(func(t Task) bool { return r.of(t) > 0 }, func(t Task) float64 { return float64(r.of(t)) / float64(r.has) }))
		// Of tasks that use more than a third there are never more than two at a time.
		for n := 1; n <= min(slots, maxBeside); n++ {
			large := func(t Task) bool { return r.of(t) > r.has/int64(n+1) }
			bound = max(bound, among(large, func(Task) float64 { return 1 / float64(n) }))
		}
	}
	return max(bound, g.beside(room))
}

// maxBeside is up to how many that fit beside each other are looked at.
const maxBeside = 8

// among is how long some tasks keep the room busy, each of them a share of it, with
// what must come before the first of them and after the last. What holds of all of them
// holds of those alone that cannot begin early.
func (g *graph) among(late []int, ranks, heads []time.Duration, some func(Task) bool, share func(Task) float64) (bound time.Duration) {
	var busy float64 // seconds
	tail := time.Duration(math.MaxInt64)
	for _, i := range late {
		t := g.tasks[i]
		if !some(t) {
			continue
		}
		busy += t.Takes.Seconds() * share(t)
		tail = min(tail, ranks[i]-t.Takes)
		bound = max(bound, heads[i]+time.Duration(busy*float64(time.Second))+tail)
	}
	return bound
}

// beside is a bound where some tasks use more than half of something, so that they run
// one after the other. As long as they do, others use of a second thing what there is
// beside them at most, and no more than those of them do that make the best of what is
// left of the first. All the rest is used before and after.
func (g *graph) beside(room Room) (bound time.Duration) {
	// Parts of a room: of its memory, disk and cores, and at last of its slots.
	shares := func(t Task) [4]float64 {
		v := room.shares(t.Uses)
		return [4]float64{v[0], v[1], v[2], 1 / float64(max(room.Slots, 1))}
	}
	for first := range 3 {
		var alone float64 // seconds
		var free, rest [4]float64
		var others [][4]float64 // shares, as long as they are used
		for _, t := range g.tasks {
			s, takes := shares(t), t.Takes.Seconds()
			large := s[first] > 0.5
			for i := range s {
				if large {
					free[i] += takes * (1 - s[i])
				} else {
					s[i] *= takes
					rest[i] += s[i]
				}
			}
			if large {
				alone += takes
			} else {
				others = append(others, s)
			}
		}
		if alone == 0 {
			continue
		}
		for second := range free {
			if second != first {
				seconds := alone + rest[second] - min(free[second], most(others, first, second, free[first]))
				bound = max(bound, time.Duration(seconds*float64(time.Second)))
			}
		}
	}
	return bound
}

// most is how much of a second thing is used by those that use least of the first for
// it, when there is only so much of the first.
func most(of [][4]float64, first, second int, free float64) (used float64) {
	// What uses nothing of the second counts for nothing, and what uses nothing of either
	// has no place in the order.
	of = slices.DeleteFunc(slices.Clone(of), func(s [4]float64) bool { return s[second] == 0 })
	slices.SortFunc(of, func(a, b [4]float64) int { return cmp.Compare(a[first]*b[second], b[first]*a[second]) })
	for _, s := range of {
		if s[first] > free {
			return used + s[second]*free/s[first]
		}
		used, free = used+s[second], free-s[first]
	}
	return used
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
