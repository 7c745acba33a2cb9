package report

import (
	"cmp"
	"slices"
)

// Bar is a job or a check that ran, as a timeline shows it.
type Bar struct {
	Lane    int     `json:"lane"` // from 0; a job's slot, or the first lane that was free
	Index   int     `json:"index"`
	Check   bool    `json:"check,omitempty"` // Index is of Checks, not of Jobs
	Begin   float64 `json:"begin"`           // seconds since the run's start
	Seconds float64 `json:"seconds"`
}

// Timeline is what ran, jobs and checks in lanes of their own, each in the order
// in which it began.
func (r *Run) Timeline() []Bar {
	jobs, checks := lanes{}, lanes{}
	for i, j := range r.Jobs {
		if j.Seconds > 0 {
			jobs.bars = append(jobs.bars, Bar{Lane: j.Slot - 1, Index: i, Begin: j.Begin, Seconds: j.Seconds})
		}
	}
	for i, c := range r.Checks {
		if c.Seconds > 0 && !c.Reused {
			checks.bars = append(checks.bars, Bar{Lane: -1, Index: i, Check: true, Begin: c.Begin, Seconds: c.Seconds})
		}
	}
	return append(jobs.fill(), checks.fill()...)
}

// maximumLanes bounds what a slot's number may be, as a file from elsewhere may
// say anything.
const maximumLanes = 10_000

// lanes gives each bar without a lane the first that is free.
type lanes struct {
	bars  []Bar
	until []float64 // when each lane is free again
}

func (l *lanes) fill() []Bar {
	slices.SortStableFunc(l.bars, func(a, b Bar) int { return cmp.Compare(a.Begin, b.Begin) })
	for i := range l.bars {
		b := &l.bars[i]
		if b.Lane < 0 || b.Lane >= maximumLanes {
			b.Lane = slices.IndexFunc(l.until, func(t float64) bool { return t <= b.Begin })
			if b.Lane < 0 {
				b.Lane = len(l.until)
			}
		}
		for len(l.until) <= b.Lane {
			l.until = append(l.until, 0)
		}
		l.until[b.Lane] = max(l.until[b.Lane], b.Begin+b.Seconds)
	}
	return l.bars
}
