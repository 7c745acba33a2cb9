package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/ohpc-build/ohpc-build/matrix"
)

// heartbeat is how often plain progress says what is still running, so that a
// CI system does not take a long build for a dead one.
const heartbeat = 30 * time.Second

// newProgress shows progress on w as the flag says: a bar for each stage on a
// terminal, plain lines otherwise, or nothing.
func newProgress(kind string, w *os.File) (matrix.Progress, error) {
	switch kind {
	case "auto":
		if term.IsTerminal(int(w.Fd())) && os.Getenv("CI") == "" {
			return &bars{w: w}, nil
		}
		return &lines{w: w, every: heartbeat}, nil
	case "plain":
		return &lines{w: w, every: heartbeat}, nil
	case "none":
		return matrix.NoProgress{}, nil
	}
	return nil, usageError("--progress is auto, plain or none, not %q", kind)
}

// running remembers what has begun and not ended.
type running struct {
	mu    sync.Mutex
	since map[string]time.Time
}

func (r *running) begin(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since == nil {
		r.since = map[string]time.Time{}
	}
	r.since[what] = time.Now()
}

func (r *running) end(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.since, what)
}

// String lists what runs, the longest first.
func (r *running) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.since))
	for what := range r.since {
		names = append(names, what)
	}
	slices.SortFunc(names, func(a, b string) int { return r.since[a].Compare(r.since[b]) })
	for i, what := range names {
		names[i] = fmt.Sprintf("%s (%s)", what, time.Since(r.since[what]).Round(time.Second))
	}
	return strings.Join(names, ", ")
}

// lines prints one line for each thing that ends, and a heartbeat.
type lines struct {
	mu    sync.Mutex
	w     io.Writer
	every time.Duration
}

func (l *lines) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.w, format+"\n", args...)
}

func (l *lines) Stage(name string, total int) matrix.Stage {
	s := &lineStage{out: l, name: name, total: total, begun: time.Now(), stop: make(chan struct{})}
	if total > 0 {
		l.printf("%-8s  %d to do", name, total)
	}
	go s.beat(l.every)
	return s
}

type lineStage struct {
	out     *lines
	name    string
	begun   time.Time
	running running
	stop    chan struct{}

	mu          sync.Mutex
	done, total int
}

func (s *lineStage) beat(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			if what := s.running.String(); what != "" {
				s.out.printf("%-8s  … %s", s.name, what)
			}
		}
	}
}

func (s *lineStage) Begin(what string) { s.running.begin(what) }

func (s *lineStage) End(what, how string) {
	s.running.end(what)
	s.mu.Lock()
	s.done++
	done := s.done
	s.mu.Unlock()
	s.out.printf("%-8s  %d/%d  %s: %s", s.name, done, s.total, what, how)
}

func (s *lineStage) Close() {
	close(s.stop)
	s.out.printf("%-8s  done in %s", s.name, time.Since(s.begun).Round(100*time.Millisecond))
}

// bars shows one progress bar for each stage.
type bars struct{ w io.Writer }

func (b *bars) Stage(name string, total int) matrix.Stage {
	bar := progressbar.NewOptions(total,
		progressbar.OptionSetWriter(b.w),
		progressbar.OptionSetDescription(fmt.Sprintf("%-8s", name)),
		progressbar.OptionShowCount(),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSpinnerCustom([]string{" "}),
	)
	s := &barStage{w: b.w, name: name, bar: bar, stop: make(chan struct{})}
	go s.refresh()
	return s
}

type barStage struct {
	w       io.Writer
	name    string
	bar     *progressbar.ProgressBar
	running running
	stop    chan struct{}
	mu      sync.Mutex
}

// refresh keeps the elapsed times moving while nothing else happens.
func (s *barStage) refresh() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.show()
		}
	}
}

func (s *barStage) show() {
	s.mu.Lock()
	defer s.mu.Unlock()
	what := s.running.String()
	if len(what) > 60 {
		what = what[:60] + "…"
	}
	s.bar.Describe(strings.TrimRight(fmt.Sprintf("%-8s  %s", s.name, what), " "))
}

func (s *barStage) Begin(what string) {
	s.running.begin(what)
	s.show()
}

func (s *barStage) End(what, how string) {
	s.running.end(what)
	if strings.HasPrefix(how, "fail") {
		s.mu.Lock()
		_ = s.bar.Clear()
		fmt.Fprintf(s.w, "%-8s  %s: %s\n", s.name, what, how)
		s.mu.Unlock()
	}
	_ = s.bar.Add(1)
	s.show()
}

func (s *barStage) Close() {
	close(s.stop)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bar.Describe(fmt.Sprintf("%-8s", s.name))
	_ = s.bar.Finish()
	fmt.Fprintln(s.w)
}
