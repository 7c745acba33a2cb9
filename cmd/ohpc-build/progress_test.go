package main

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// screen is as much of a terminal as the live view asks for.
type screen struct {
	width  int
	lines  [][]rune
	row    int
	hidden bool // the cursor
}

var sequence = regexp.MustCompile("^\x1b\\[(\\??)(\\d*)([A-Za-z])")

func (s *screen) Write(p []byte) (int, error) {
	text := string(p)
	column := 0
	for text != "" {
		if m := sequence.FindStringSubmatch(text); m != nil {
			text = text[len(m[0]):]
			n, _ := strconv.Atoi(m[2])
			switch m[3] {
			case "A":
				s.row = max(s.row-n, 0)
			case "J":
				s.lines = s.lines[:min(s.row, len(s.lines))]
			case "l", "h":
				s.hidden = m[3] == "l"
			}
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\n':
			s.row++
			column = 0
		case '\r':
			column = 0
		default:
			if column == s.width {
				s.row++
				column = 0
			}
			for len(s.lines) <= s.row {
				s.lines = append(s.lines, nil)
			}
			s.lines[s.row] = append(s.lines[s.row], r)
			column++
		}
	}
	return len(p), nil
}

func (s *screen) String() string {
	var sb strings.Builder
	for _, l := range s.lines {
		sb.WriteString(strings.TrimRight(string(l), " ") + "\n")
	}
	return sb.String()
}

// view of a run at a certain time on a terminal of a certain size.
func liveOn(s *screen, height int, utf8 bool) (l *live, pass func(time.Duration)) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	l = newLive(s, func() (int, int) { return s.width, height }, utf8)
	l.clock = func() time.Time { return now }
	return l, func(d time.Duration) {
		l.mu.Lock()
		defer l.mu.Unlock()
		now = now.Add(d)
	}
}

func TestLiveViewShowsWhatRunsAndWhatFailed(t *testing.T) {
	s := &screen{width: 80}
	l, pass := liveOn(s, 24, true)
	stage := l.Stage("build", 4).(*liveStage)
	require.Equal(t, "build        0% |                        |  0/4\n", s.String())
	stage.Expect("scotch@gnu12/Debian_12/aarch64", 2*time.Minute)
	stage.Begin("hwloc/Debian_12/x86_64")
	stage.Begin("scotch@gnu12/Debian_12/aarch64")
	pass(30 * time.Second)
	stage.End("hwloc/Debian_12/x86_64", "failed: rpmbuild: \x1b[2Jexit status 1")
	fmt.Fprintln(l, `level=WARN msg="a limit does not hold"`)
	require.Equal(t, `build     hwloc/Debian_12/x86_64: failed: rpmbuild: exit status 1
level=WARN msg="a limit does not hold"
build       25% |██████                  |  1/4  about 1m30s left
  scotch@gnu12/Debian_12/aarch64                             30s of about 2m00s
`, s.String())
	require.False(t, s.hidden)
	stage.End("scotch@gnu12/Debian_12/aarch64", "built in 30s")
	stage.Close()
	require.Equal(t, `build     hwloc/Debian_12/x86_64: failed: rpmbuild: exit status 1
level=WARN msg="a limit does not hold"
build     2/4 in 30s
`, s.String(), "the view is gone")
}

func TestLiveViewFitsTheTerminal(t *testing.T) {
	s := &screen{width: 30}
	l, pass := liveOn(s, 8, false)
	stage := l.Stage("build", 40)
	for i := range 20 {
		stage.Begin(fmt.Sprintf("größe-%02d@gnu12-openmpi4/openEuler_22.03/aarch64", i))
		pass(time.Second)
	}
	l.mu.Lock()
	require.NoError(t, l.draw(""))
	l.mu.Unlock()
	require.LessOrEqual(t, len(s.lines), 7, s.String())
	require.Contains(t, s.String(), "more\n")
	for _, line := range s.lines {
		require.Less(t, len(line), 30, "no line is broken")
		for _, r := range line {
			require.Less(t, r, rune(0x80), "the locale has no other characters")
		}
	}
	// The terminal becomes narrower, and wider again.
	for _, width := range []int{20, 12, 70} {
		s.width = width
		l.mu.Lock()
		require.NoError(t, l.draw(""))
		l.mu.Unlock()
		require.Equal(t, 1, strings.Count(s.String(), "0/40"), "%d: %s", width, s.String())
	}
	stage.Close()
	require.Equal(t, "build     20s\n", s.String())
}

func TestEstimateOfTheRest(t *testing.T) {
	now := time.Unix(0, 0)
	ta := newTally("build", 10, func() time.Time { return now })
	require.Zero(t, ta.view().left, "nothing is known")
	for i := range 10 {
		ta.Expect(fmt.Sprint(i), time.Minute)
	}
	ta.begin("0")
	ta.begin("1")
	require.Equal(t, 5*time.Minute, ta.view().left, "two at a time")
	now = now.Add(time.Minute)
	ta.end("0")
	require.Equal(t, 4*time.Minute, ta.view().left)
	ta.Expect("9", time.Hour)
	require.Equal(t, time.Hour, ta.view().left, "it takes as long as the longest")

	unknown := newTally("plan", 4, func() time.Time { return now })
	unknown.begin("a")
	now = now.Add(10 * time.Second)
	unknown.end("a")
	require.Equal(t, 30*time.Second, unknown.view().left)
}

func TestPlainLinesSayWhatRuns(t *testing.T) {
	r, w := io.Pipe()
	l := &lines{w: w, every: time.Millisecond}
	go func() {
		stage := l.Stage("build", 2)
		stage.Begin("hwloc\n\x1b[2J")
		time.Sleep(20 * time.Millisecond)
		stage.End("hwloc\n\x1b[2J", "built in 1s")
		stage.Close()
		_ = w.Close()
	}()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Contains(t, string(b), "build     2 to do\n")
	require.Contains(t, string(b), "build     … 0/2: hwloc (0s)\n")
	require.Contains(t, string(b), "build     1/2  hwloc: built in 1s\n")
	require.Contains(t, string(b), "build     done in ")
}

func TestPlainLinesCountWhatIsUnchanged(t *testing.T) {
	var b strings.Builder
	l := &lines{w: &b, every: time.Hour}
	stage := l.Stage("build", 5)
	for _, end := range [][2]string{{"a", "reused"}, {"b", "reused"}, {"c", "built in 1s"}, {"d", "signed before"}, {"e", "passed before, on the same bytes"}} {
		stage.Begin(end[0])
		stage.End(end[0], end[1])
	}
	stage.Close()
	require.Regexp(t, `^build     5 to do
build     2/5  2 unchanged
build     3/5  c: built in 1s
build     5/5  2 unchanged
build     done in \S+
$`, b.String())
}

func TestAnEndingIsOneLineThatSaysWhatWentWrong(t *testing.T) {
	for _, tc := range [][2]string{
		{"built in 1s (the spec changed)", "built in 1s (the spec changed)"},
		{"failed: x: rpmbuild failed: exit status 1\n+ make\nx.c:3: error: no \x1b[31msuch thing\nmake: *** [all] Error 1\nRPM build errors:", "failed: rpmbuild failed: exit status 1: x.c:3: error: no such thing"},
		{"failed: x: nothing is said\nof why", "failed: nothing is said"},
		{"", ""},
	} {
		require.Equal(t, tc[1], ending("x", tc[0]))
	}
	require.LessOrEqual(t, columns(ending("x", strings.Repeat("wörd ", 200))), longest)
}

// TestManyEndingsAreNotDrawnOneByOne: a run that reuses everything has thousands in a moment.
func TestManyEndingsAreNotDrawnOneByOne(t *testing.T) {
	var written strings.Builder
	now := time.Unix(1000, 0)
	l := newLive(&written, func() (int, int) { return 80, 24 }, true)
	l.clock = func() time.Time { return now }
	stage := l.Stage("build", 10_000)
	for i := range 10_000 {
		stage.Begin(fmt.Sprint(i))
		stage.End(fmt.Sprint(i), "reused")
	}
	stage.Close()
	require.Less(t, written.Len(), 10_000)
	require.Contains(t, written.String(), "build     10000/10000 in 0s\n")
}

func TestLocale(t *testing.T) {
	for name, tc := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"usual":           {map[string]string{"LANG": "en_US.UTF-8"}, true},
		"LC_ALL is first": {map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "C"}, false},
		"C.utf8":          {map[string]string{"LC_CTYPE": "C.utf8"}, true},
		"nothing":         {nil, false},
	} {
		require.Equal(t, tc.want, utf8Locale(func(k string) string { return tc.env[k] }), name)
	}
}
