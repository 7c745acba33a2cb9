package figure_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
)

func TestMedian(t *testing.T) {
	times := []time.Duration{9 * time.Second, time.Second, 2 * time.Second, 4 * time.Second}
	for n, want := range map[int]float64{0: 9, 1: 9, 2: 5, 3: 2, 4: 3} {
		i := 0
		got, err := figure.Median(n, func() (time.Duration, error) { i++; return times[i-1], nil })
		require.NoError(t, err)
		require.InDelta(t, want, got, 1e-9, "of %d", n)
	}
	_, err := figure.Median(3, func() (time.Duration, error) { return 0, errors.New("no") })
	require.EqualError(t, err, "no")
	require.Zero(t, figure.Middle(nil))
}

func report() *figure.Report {
	quick := figure.Figure{Name: "quick", What: "a thing", Unit: figure.Seconds, Ours: 0.25, Runs: 3}
	quick.Against("other", 1, 2)
	quick.AtMost(0.5)
	slow := figure.Figure{Name: "slow", What: "another", Unit: figure.Seconds, Ours: 120.4, Runs: 1, CPU: 70, Load: "4.5"}
	slow.AtMost(60)
	same := figure.Figure{Name: "same", What: "two runs", Unit: figure.Differences, Runs: 1, Lines: []string{"none found"}}
	same.AtMost(0)
	return &figure.Report{
		Machine: figure.Machine{Processor: "cpu", Cores: 2, Kernel: "6", RPM: "4.18.0", Program: "ohpc-build 1", Before: "0.1 0.2 0.3"},
		Tree:    "a tree", Figures: []figure.Figure{quick, slow, same},
		Failed: []figure.Failed{{Name: "broken", Error: "no such program"}},
	}
}

func TestText(t *testing.T) {
	var sb strings.Builder
	require.NoError(t, report().Text(&sb))
	require.Equal(t, `cpu, 2 cores, Linux 6, rpm 4.18.0, ohpc-build 1; load 0.1 0.2 0.3
a tree

FIGURE  OURS    PEER    RATIO  LIMIT            RUNS  CPU      LOAD  WHAT
quick   250 ms  1.00 s  4.00   500 ms   OK      3     -        -     a thing : other
slow    120 s   -       -      60.00 s  MISSED  1     70.00 s  4.5   another
same    0       -       -      0        OK      1     -        -     two runs
same: none found
broken: FAILED: no such program
`, sb.String())
}

func TestManyLines(t *testing.T) {
	r := &figure.Report{Figures: []figure.Figure{{Name: "f", Lines: make([]string, 12)}}}
	var sb strings.Builder
	require.NoError(t, r.Text(&sb))
	require.Equal(t, 10, strings.Count(sb.String(), "f: \n"))
	require.Contains(t, sb.String(), "f: and 2 more, all in the JSON\n")
}

func TestMissed(t *testing.T) {
	r := report()
	require.True(t, r.Missed())
	r.Figures = r.Figures[:1]
	require.False(t, r.Missed())
}

func TestJSON(t *testing.T) {
	var sb strings.Builder
	require.NoError(t, report().JSON(&sb))
	var back figure.Report
	require.NoError(t, json.Unmarshal([]byte(sb.String()), &back))
	require.Equal(t, report(), &back)
}

func TestThisMachine(t *testing.T) {
	m := figure.ThisMachine(t.Context(), "/nonexistent")
	require.Positive(t, m.Cores)
	require.NotEqual(t, "?", m.Kernel)
	require.Equal(t, "?", m.Program)
	require.Len(t, strings.Fields(m.Before), 3)
}
