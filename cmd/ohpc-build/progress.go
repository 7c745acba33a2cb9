package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report/plain"
)

// heartbeat is how often plain progress says what is still running, so that a
// CI system does not take a long build for a dead one.
const heartbeat = 15 * time.Second

// newProgress shows progress on w as the flag says: a live view on a terminal, plain
// lines otherwise, or nothing. Other words for w, such as the log's, go through the
// writer that it returns, so that they do not end up in the view.
func newProgress(kind string, quiet bool, w *os.File) (matrix.Progress, io.Writer, error) {
	switch kind {
	case "auto", "plain", "none":
	default:
		return nil, nil, usageError("--progress is auto, plain or none, not %q", kind)
	}
	switch {
	case quiet || kind == "none":
		return matrix.NoProgress{}, w, nil
	case kind == "auto" && term.IsTerminal(int(w.Fd())) && os.Getenv("CI") == "" && os.Getenv("TERM") != "dumb":
		l := newLive(w, func() (int, int) {
			width, height, err := term.GetSize(int(w.Fd()))
			if err != nil || width < 1 || height < 1 { // a terminal without a size, as script(1) makes
				return 80, 24
			}
			return width, height
		}, utf8Locale(os.Getenv))
		return l, l, nil
	}
	return &lines{w: w, every: heartbeat}, w, nil
}

// utf8Locale says whether the terminal is told to take UTF-8 (POSIX: the first of
// these that is set and not empty decides).
func utf8Locale(getenv func(string) string) bool {
	locale := strings.ToLower(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}

// lines prints one line for each thing that was done, one for many for which nothing
// had to be, and a heartbeat.
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
	s := &lineStage{out: l, tally: newTally(name, total, time.Now), stop: make(chan struct{})}
	if total > 0 {
		l.printf("%-8s  %d to do", name, total)
	}
	go s.beat(l.every)
	return s
}

type lineStage struct {
	*tally
	out  *lines
	stop chan struct{}

	mu   sync.Mutex
	idle int // ended since the last line, unchanged
}

// named is how many of those that run a heartbeat names.
const named = 6

func (s *lineStage) beat(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			v := s.view()
			if len(v.running) == 0 {
				continue
			}
			var names []string
			for _, r := range v.running[:min(named, len(v.running))] {
				names = append(names, r.what+" ("+r.times()+")")
			}
			if n := len(v.running) - named; n > 0 {
				names = append(names, fmt.Sprintf("%d more", n))
			}
			left := ""
			if v.left >= time.Second {
				left = ", about " + short(v.left) + " left"
			}
			s.out.printf("%-8s  … %d/%d%s: %s", s.name, v.done, v.total, left, strings.Join(names, ", "))
		}
	}
}

func (s *lineStage) Begin(what string) { s.begin(what) }

func (s *lineStage) End(what, how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.end(what)
	if unchanged(how) {
		s.idle++
		return
	}
	s.tellIdle(done - 1)
	s.out.printf("%-8s  %d/%d  %s: %s", s.name, done, s.total, plain.Line(what), ending(what, how))
}

// tellIdle says how many things ended for which nothing had to be done.
func (s *lineStage) tellIdle(done int) {
	if s.idle > 0 {
		s.out.printf("%-8s  %d/%d  %d unchanged", s.name, done, s.total, s.idle)
		s.idle = 0
	}
}

func (s *lineStage) Close() {
	close(s.stop)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellIdle(s.view().done)
	s.out.printf("%-8s  done in %s", s.name, time.Since(s.begun).Round(100*time.Millisecond))
}
