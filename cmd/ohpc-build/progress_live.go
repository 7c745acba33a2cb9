package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report/plain"
)

// live is a view of a run at the bottom of a terminal: a bar for each stage that
// goes on, and below it what runs. Failures and what others write scroll away
// above it.
//
// The cursor is hidden only within one write, which shows it again: whatever ends
// the program, the terminal is as it was.
type live struct {
	w     io.Writer
	size  func() (width, height int)
	utf8  bool
	clock func() time.Time

	mu     sync.Mutex
	stages []*liveStage
	drawn  []int  // columns of the lines of the view that stand on the terminal
	shown  string // they themselves, and the size that they were made for
	last   time.Time
	stop   chan struct{}
}

// refresh is how often the view is drawn at most, but for what is written above it:
// thousands of things may end within a second.
const refresh = 100 * time.Millisecond

func newLive(w io.Writer, size func() (int, int), utf8 bool) *live {
	return &live{w: w, size: size, utf8: utf8, clock: time.Now}
}

// Write writes above the view.
func (l *live) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := string(p)
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if err := l.draw(text); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (l *live) Stage(name string, total int) matrix.Stage {
	s := &liveStage{tally: newTally(name, total, l.clock), live: l}
	s.bar = l.newBar(total, &s.rendered)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stages = append(l.stages, s)
	if l.stop == nil {
		l.stop = make(chan struct{})
		go l.keepDrawing(l.stop)
	}
	_ = l.draw("")
	return s
}

func (l *live) keepDrawing(stop chan struct{}) {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			l.mu.Lock()
			if text := l.text(); text != l.shown {
				_ = l.draw("")
			}
			l.mu.Unlock()
		}
	}
}

// newBar is a bar that is drawn into a buffer: the view puts it where it belongs.
func (l *live) newBar(total int, w io.Writer) *progressbar.ProgressBar {
	theme := progressbar.ThemeDefault
	if !l.utf8 {
		theme = progressbar.ThemeASCII
	}
	return progressbar.NewOptions(
		max(total, 1),
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetTheme(theme),
		progressbar.OptionSetWidth(24),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSpinnerCustom([]string{" "}),
	)
}

// liveStage is one stage in the view.
type liveStage struct {
	*tally
	live     *live
	bar      *progressbar.ProgressBar
	rendered bytes.Buffer
}

func (s *liveStage) Begin(what string) {
	s.begin(what)
	s.redraw("")
}

func (s *liveStage) End(what, how string) {
	s.end(what)
	above := ""
	if strings.HasPrefix(how, "fail") {
		above = fmt.Sprintf("%-8s  %s: %s\n", s.name, plain.Line(what), ending(what, how))
	}
	s.redraw(above)
}

func (s *liveStage) redraw(above string) {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	if above == "" && s.live.clock().Sub(s.live.last) < refresh {
		return // it is drawn soon
	}
	_ = s.live.draw(above)
}

// Close leaves one line of the stage behind.
func (s *liveStage) Close() {
	l := s.live
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stages = slices.DeleteFunc(l.stages, func(o *liveStage) bool { return o == s })
	v := s.view()
	count := ""
	if v.done > 0 {
		count = fmt.Sprintf("%d/%d in ", v.done, v.total)
	}
	_ = l.draw(fmt.Sprintf("%-8s  %s%s\n", s.name, count, short(l.clock().Sub(s.begun))))
	if len(l.stages) == 0 && l.stop != nil {
		close(l.stop)
		l.stop = nil
	}
}

// draw takes the view away, writes above it, and puts it there again.
func (l *live) draw(above string) error {
	width, height := l.size()
	width = max(width, 10)
	var b strings.Builder
	b.WriteString("\x1b[?25l")
	if len(l.drawn) > 0 {
		// A terminal that became narrower has broken the lines of the last view.
		rows := 0
		for _, n := range l.drawn {
			rows += max((n+width-1)/width, 1)
		}
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", min(rows, max(height-1, 1)))
	}
	b.WriteString(l.encode(above))
	lines := l.lines(width, max(height-2, 1))
	l.shown, l.last = l.text(), l.clock()
	l.drawn = l.drawn[:0]
	for _, line := range lines {
		l.drawn = append(l.drawn, columns(line))
		b.WriteString(line + "\n")
	}
	b.WriteString("\x1b[?25h")
	if _, err := io.WriteString(l.w, b.String()); err != nil {
		return fmt.Errorf("showing the progress: %w", err)
	}
	return nil
}

// text is what the view would be now.
func (l *live) text() string {
	width, height := l.size()
	width = max(width, 10)
	return fmt.Sprintf("%d %d\n%s", width, height, strings.Join(l.lines(width, max(height-2, 1)), "\n"))
}

// lines are the view, at most so many and none longer than the terminal is wide.
func (l *live) lines(width, most int) []string {
	var all []string
	for _, s := range l.stages {
		v := s.view()
		all = append(all, l.fit(s.head(v, width), width))
		room := max(most/max(len(l.stages), 1)-1, 0)
		room = min(room, 12)
		for i, r := range v.running {
			if i == room-1 && len(v.running) > room {
				all = append(all, l.fit(fmt.Sprintf("  and %d more", len(v.running)-i), width))
				break
			}
			if i >= room {
				break
			}
			all = append(all, l.fit(runningLine(r, width), width))
		}
	}
	return all[:min(most, len(all))]
}

// head is a stage's bar, with how many are done and how long the rest takes.
func (s *liveStage) head(v view, width int) string {
	text := fmt.Sprintf("%-8s  ", s.name)
	if v.total == 0 {
		return strings.TrimRight(text, " ")
	}
	if width >= 60 {
		s.rendered.Reset()
		if v.done == 0 {
			_ = s.bar.RenderBlank() // Set draws what has changed only
		}
		_ = s.bar.Set(min(v.done, v.total))
		text += fmt.Sprintf("%32s", strings.TrimSpace(s.bar.String())) + "  "
	}
	text += fmt.Sprintf("%d/%d", v.done, v.total)
	if v.left >= time.Second {
		text += "  about " + short(v.left) + " left"
	}
	return text
}

// runningLine is what runs with its times to the right.
func runningLine(r thing, width int) string {
	times := r.times()
	room := min(width, 100) - len(times) - 5
	if room < 12 {
		return "  " + r.what
	}
	return fmt.Sprintf("  %-*s  %s", room, cut(r.what, room), times)
}

// fit cuts a line to the terminal's width, and to what it can show.
func (l *live) fit(line string, width int) string { return l.encode(cut(line, width-1)) }

// encode replaces what a terminal that does not take UTF-8 could not show.
func (l *live) encode(s string) string {
	if l.utf8 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x80:
			return r
		case r == '…':
			return '.'
		}
		return '?'
	}, s)
}

// cut shortens text in its middle, as both the name and the cell say much.
func cut(s string, width int) string {
	r := []rune(s)
	if columns(s) <= width || width < 3 {
		return string(r[:min(len(r), max(width, 0))])
	}
	head := (width - 1) * 2 / 3
	return string(r[:head]) + "…" + string(r[len(r)-(width-1-head):])
}

func columns(s string) int { return len([]rune(s)) }
