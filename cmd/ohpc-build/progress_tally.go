package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/report/excerpt"
	"github.com/ohpc-build/ohpc-build/matrix/report/plain"
)

// tally knows of a stage's things which run, which are done, and how long the
// rest will take.
type tally struct {
	name  string
	total int
	begun time.Time
	now   func() time.Time

	mu       sync.Mutex
	since    map[string]time.Time     // of those that run
	expected map[string]time.Duration // of those that are not done
	spent    time.Duration            // by those that are done
	done     int
	most     int // that ran at a time
}

func newTally(name string, total int, now func() time.Time) *tally {
	return &tally{name: name, total: total, begun: now(), now: now, since: map[string]time.Time{}, expected: map[string]time.Duration{}}
}

// Expect implements [matrix.Expecter].
func (t *tally) Expect(what string, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expected[what] = d
}

func (t *tally) begin(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since[what] = t.now()
	t.most = max(t.most, len(t.since))
}

func (t *tally) end(what string) (done int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if since, ok := t.since[what]; ok {
		t.spent += t.now().Sub(since)
	}
	delete(t.since, what)
	delete(t.expected, what)
	t.done++
	return t.done
}

// view is a moment of a stage.
type view struct {
	done, total int
	left        time.Duration // an estimate; 0: there is none
	running     []thing       // the longest first
}

type thing struct {
	what              string
	elapsed, expected time.Duration
}

// times is how long a thing runs, and how long it was expected to.
func (r thing) times() string {
	if r.expected <= 0 {
		return short(r.elapsed)
	}
	return short(r.elapsed) + " of about " + short(r.expected)
}

func (t *tally) view() view {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := view{done: t.done, total: t.total}
	now := t.now()
	for what, since := range t.since {
		v.running = append(v.running, thing{plain.Line(what), now.Sub(since), t.expected[what]})
	}
	slices.SortFunc(v.running, func(a, b thing) int {
		if a.elapsed != b.elapsed {
			return int(b.elapsed - a.elapsed)
		}
		if a.what < b.what {
			return -1
		}
		return 1
	})
	v.left = t.left(now)
	return v
}

// left estimates how long the rest takes: what work there is, over as many at a
// time as were seen, and no less than the longest of what runs.
func (t *tally) left(now time.Time) time.Duration {
	rest := t.total - t.done
	if rest <= 0 || t.most == 0 || t.done == 0 && len(t.expected) == 0 {
		return 0
	}
	var known, longest time.Duration
	for what, d := range t.expected {
		if since, runs := t.since[what]; runs {
			d = max(d-now.Sub(since), 0)
		}
		known += d
		longest = max(longest, d)
	}
	var usual time.Duration
	switch {
	case t.done > 0:
		usual = t.spent / time.Duration(t.done)
	default:
		usual = known / time.Duration(len(t.expected))
	}
	unknown := max(rest-len(t.expected), 0)
	return max((known+usual*time.Duration(unknown))/time.Duration(t.most), longest)
}

// unchanged says of how a thing ended that nothing had to be done. There may be
// thousands of them, and nobody wants to read of each.
func unchanged(how string) bool {
	return strings.HasPrefix(how, "reused") || strings.HasPrefix(how, "signed before") || strings.HasPrefix(how, "passed before")
}

// longest is how many columns are said of how a thing ended.
const longest = 240

// ending is how a thing ended, in one line: of a failure with many lines the first, and
// the one that tells best what went wrong.
func ending(what, how string) string {
	lines := strings.Split(strings.TrimSpace(plain.Text(how)), "\n")
	text := strings.Replace(lines[0], "failed: "+what+": ", "failed: ", 1)
	if i := excerpt.Failure(lines[1:]); i >= 0 {
		text += ": " + lines[1:][i]
	}
	return cut(plain.Line(text), longest)
}

// short is a duration as people say it: 4s, 2m05s, 1h03m.
func short(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
