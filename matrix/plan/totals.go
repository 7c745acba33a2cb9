package plan

import (
	"cmp"
	"slices"
	"time"
)

// Totals is a plan in numbers. All times are in seconds.
type Totals struct {
	Count
	Cells []CellTotals `json:"cells"`

	All Course `json:"all"` // of all jobs, as if nothing were reused
	Run Course `json:"run"` // of those that must run
}

// Count is how many there are of each kind.
type Count struct {
	Jobs     int `json:"jobs"` // to run and reused
	ToRun    int `json:"to_run"`
	Reused   int `json:"reused"`
	Skipped  int `json:"skipped"`
	Failed   int `json:"failed"`   // whose specs cannot be read
	Unknown  int `json:"unknown"`  // requirements that nobody provides
	Recorded int `json:"recorded"` // of the jobs, those that ran before, so that it is known how long they take
}

// CellTotals is the count of one cell.
type CellTotals struct {
	Target string `json:"target"`
	Arch   string `json:"arch"`
	Count
	Seconds float64 `json:"seconds"` // of those to run, one after the other
}

// Course is how a number of jobs can run.
type Course struct {
	Seconds         float64    `json:"seconds"`          // one after the other
	CriticalSeconds float64    `json:"critical_seconds"` // no less, however many run at a time
	CriticalPath    []string   `json:"critical_path"`    // IDs of jobs
	Levels          []int      `json:"levels"`           // how many could run side by side, one level after the other
	Parallel        []Parallel `json:"parallel"`
}

// Parallel is how long it takes with so many jobs at a time.
type Parallel struct {
	Jobs    int     `json:"jobs"`
	Seconds float64 `json:"seconds"`
}

// sideBySide are the numbers of jobs at a time that are estimated.
var sideBySide = [...]int{1, 2, 4, 8, 16, 32, 64}

// Totals counts.
func (p *Plan) Totals() Totals {
	run := p.ToRun()
	t := Totals{All: p.course(), Run: run.course()}
	type slot struct{ target, arch string }
	cells := map[slot]*CellTotals{}
	of := func(target, arch string) *CellTotals {
		s := slot{target, arch}
		if cells[s] == nil {
			cells[s] = &CellTotals{Target: target, Arch: arch}
		}
		return cells[s]
	}
	for _, j := range p.Jobs {
		c := of(j.Target, j.Arch)
		c.Jobs++
		c.Unknown += len(j.Unknown)
		if j.Recorded {
			c.Recorded++
		}
		if j.Reason == ReasonReused {
			c.Reused++
		} else {
			c.ToRun++
			c.Seconds += j.Takes.Seconds()
		}
	}
	for _, s := range p.Skips {
		of(s.Target, s.Arch).Skipped++
	}
	for _, f := range p.Failures {
		of(f.Target, f.Arch).Failed++
	}
	t.Cells = []CellTotals{}
	for _, c := range cells {
		t.Cells = append(t.Cells, *c)
		t.Jobs += c.Jobs
		t.ToRun += c.ToRun
		t.Reused += c.Reused
		t.Skipped += c.Skipped
		t.Failed += c.Failed
		t.Unknown += c.Unknown
		t.Recorded += c.Recorded
	}
	slices.SortFunc(t.Cells, func(a, b CellTotals) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Arch, b.Arch))
	})
	return t
}

func (p *Plan) course() Course {
	path, critical := p.CriticalPath()
	c := Course{
		Seconds: p.Total().Seconds(), CriticalSeconds: critical.Seconds(),
		CriticalPath: []string{}, Levels: []int{}, Parallel: []Parallel{},
	}
	for _, j := range path {
		c.CriticalPath = append(c.CriticalPath, j.ID)
	}
	widest := 0
	for _, level := range p.Levels() {
		c.Levels = append(c.Levels, len(level))
		widest = max(widest, len(level))
	}
	if critical == 0 {
		return c // nothing is known of how long they take
	}
	for i, takes := range p.estimates(sideBySide[:]...) {
		c.Parallel = append(c.Parallel, Parallel{sideBySide[i], takes.Seconds()})
		if takes <= critical || sideBySide[i] >= widest {
			break // more at a time are of no use
		}
	}
	return c
}

// Duration is a number of seconds as a duration.
func Duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}
