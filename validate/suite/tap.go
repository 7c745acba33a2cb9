package suite

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/validate"
)

// Bounds of what is read and kept.
const (
	maxLine   = 8 << 10 // bytes of a line; the rest is not looked at
	maxCases  = 10_000
	maxName   = 500     // bytes of a case's name
	maxLines  = 60      // lines that are kept of a failed case
	maxReason = 8 << 10 // bytes of them
)

// unexplained is why a case failed that was skipped.
const unexplained = `it was skipped and no reason was given: write skip "why"`

// tap reads what BATS writes with its formatter cat: the Test Anything Protocol,
// and in it lines that tell which test begins (bats-core: formatter.bash).
type tap struct {
	line  []byte // that has not ended
	plan  int    // cases that were announced; -1: not yet
	cases []validate.Case
	seen  map[int]bool // numbers of cases that ended

	running  string   // the name of the case that has begun
	lines    []string // of the failed case that ended last
	size     int      // of lines, in bytes
	problems []string // what does not agree with itself
}

func newTAP() *tap { return &tap{plan: -1, seen: map[int]bool{}} }

// Write implements [io.Writer]; it never fails.
func (t *tap) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		part := p
		if i >= 0 {
			part = p[:i]
		}
		t.line = append(t.line, part[:min(len(part), maxLine-len(t.line))]...)
		if i < 0 {
			break
		}
		t.read(strings.ToValidUTF8(string(t.line), "\uFFFD"))
		t.line, p = t.line[:0], p[i+1:]
	}
	return n, nil
}

var (
	planLine  = regexp.MustCompile(`^1\.\.([0-9]{1,9})$`)
	beginLine = regexp.MustCompile(`^begin ([0-9]{1,9}) (.*)$`)
	endLine   = regexp.MustCompile(`^(not ok|ok) ([0-9]{1,9}) (.*)$`)
	// A name may hold the words of a directive; the time before it is ours.
	skipWords = regexp.MustCompile(`^(.*?) in ([0-9]{1,12})ms # skip(?: (.*))?$`)
	lateWords = regexp.MustCompile(`^(.*?) # (timeout after [0-9]+s)$`)
	timeWords = regexp.MustCompile(`^(.*) in ([0-9]{1,12})ms$`)
)

func (t *tap) read(line string) {
	if text, ok := strings.CutPrefix(line, "#"); ok {
		t.comment(strings.TrimPrefix(text, " "))
		return
	}
	if m := planLine.FindStringSubmatch(line); m != nil {
		n := number(m[1])
		switch {
		case t.plan >= 0:
			t.problem("the number of tests is told twice")
		case n > maxCases:
			t.problem(fmt.Sprintf("there are more than %d tests", maxCases))
		}
		t.plan = n
		return
	}
	if m := beginLine.FindStringSubmatch(line); m != nil {
		t.running = shorten(m[2], maxName)
		return
	}
	if m := endLine.FindStringSubmatch(line); m != nil {
		t.end(m[1] == "ok", number(m[2]), m[3])
	}
}

// end is the end of a case. What BATS calls outside of tests, such as a
// setup_file, ends as a case only when it fails, and is not among the announced.
func (t *tap) end(ok bool, n int, rest string) {
	t.finish()
	t.running = ""
	if len(t.cases) >= maxCases {
		t.problem(fmt.Sprintf("there are more than %d tests", maxCases))
		return
	}
	c := validate.Case{Outcome: validate.Fail}
	late := ""
	if m := lateWords.FindStringSubmatch(rest); m != nil {
		rest, late = m[1], m[2]
	}
	if m := skipWords.FindStringSubmatch(rest); m != nil && ok {
		rest, c.Duration = m[1], milliseconds(m[2])
		c.Outcome, c.Reason = validate.Skip, shorten(strings.TrimSpace(m[3]), maxReason)
		if c.Reason == "" {
			c.Outcome, c.Reason = validate.Fail, unexplained
		}
	} else if ok {
		c.Outcome = validate.Pass
	}
	if m := timeWords.FindStringSubmatch(rest); m != nil && c.Duration == 0 {
		rest, c.Duration = m[1], milliseconds(m[2])
	}
	c.Name = shorten(rest, maxName)
	if ok && (n < 1 || n > t.plan) {
		t.problem(fmt.Sprintf("test %d ended, which was not announced", n))
	}
	if t.seen[n] && ok {
		t.problem(fmt.Sprintf("test %d ended twice", n))
	}
	t.seen[n] = true
	if late != "" {
		t.lines, t.size = []string{late}, len(late)
	}
	t.cases = append(t.cases, c)
}

// comment is what a failed case printed, or why it failed.
func (t *tap) comment(text string) {
	failed := len(t.cases) > 0 && t.cases[len(t.cases)-1].Outcome == validate.Fail && t.running == ""
	if !failed || len(t.lines) >= maxLines || t.size+len(text) > maxReason {
		return
	}
	t.lines, t.size = append(t.lines, text), t.size+len(text)+1
}

// finish gives the case that ended last its reason.
func (t *tap) finish() {
	if len(t.lines) > 0 {
		c := &t.cases[len(t.cases)-1]
		c.Reason = strings.TrimSpace(strings.Join(append([]string{c.Reason}, t.lines...), "\n"))
	}
	t.lines, t.size = nil, 0
}

func (t *tap) problem(what string) {
	const enough = 10
	if len(t.problems) < enough && !slices.Contains(t.problems, what) {
		t.problems = append(t.problems, what)
	}
}

// close ends the reading. BATS has ended by itself with a status, unless it was
// interrupted: the case that runs then is one that failed.
func (t *tap) close(interrupted string) ([]validate.Case, []string) {
	if len(t.line) > 0 {
		t.read(strings.ToValidUTF8(string(t.line), "\uFFFD"))
		t.line = nil
	}
	t.finish()
	if interrupted != "" && t.running != "" {
		t.cases = append(t.cases, validate.Case{Name: t.running, Outcome: validate.Fail, Reason: interrupted})
		t.seen[len(t.cases)] = true
	}
	switch {
	case t.plan < 0:
		t.problem("BATS told of no tests")
	case t.plan == 0:
		t.problem("there is no test in it")
	case len(t.seen) < t.plan && len(t.problems) == 0:
		t.problem(fmt.Sprintf("only %d of %d tests ended", len(t.seen), t.plan))
	}
	return t.cases, t.problems
}

// number reads digits; the patterns bound how many.
func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}

func milliseconds(digits string) time.Duration {
	return time.Duration(number(digits)) * time.Millisecond
}

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
