package trace_test

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report/reporttest"
	"github.com/ohpc-build/ohpc-build/matrix/report/trace"
)

var update = flag.Bool("update", false, "write the golden files anew")

type event struct {
	Name string
	Ph   string
	Ts   *int64
	Dur  int64
	Pid  int
	Tid  int
	ID   int
	Args map[string]any
}

// TestTraceIsWhatPerfettoReads holds it to the format's rules.
func TestTraceIsWhatPerfettoReads(t *testing.T) {
	r := reporttest.Sample()
	r.Jobs[4].Seconds = 80 // the last to end
	var sb strings.Builder
	require.NoError(t, trace.Write(&sb, r))
	var doc struct {
		TraceEvents     []event
		DisplayTimeUnit string
	}
	dec := json.NewDecoder(strings.NewReader(sb.String()))
	require.NoError(t, dec.Decode(&doc))
	require.Equal(t, "ms", doc.DisplayTimeUnit)
	named := map[[2]int]string{}
	complete := map[string]event{}
	arrows := map[int][]event{}
	for _, e := range doc.TraceEvents {
		require.NotNil(t, e.Ts, e.Name)
		require.Positive(t, e.Pid)
		switch e.Ph {
		case "M":
			named[[2]int{e.Pid, e.Tid}] = e.Args["name"].(string)
		case "X":
			require.Positive(t, e.Dur)
			require.Contains(t, named, [2]int{e.Pid, e.Tid}, "a thread is named before it is used")
			complete[e.Name] = e
		case "s", "f":
			arrows[e.ID] = append(arrows[e.ID], e)
		default:
			t.Errorf("phase %q", e.Ph)
		}
	}
	require.Equal(t, "builds", named[[2]int{1, 0}])
	require.Equal(t, "checks", named[[2]int{2, 0}])
	require.Equal(t, "slot 2", named[[2]int{1, 2}])
	scotch := complete["scotch@gnu12/Debian_12/x86_64"]
	require.Equal(t, int64(12_500_000), *scotch.Ts)
	require.Equal(t, "new", scotch.Args["reason"])
	require.Equal(t, true, scotch.Args["criticalPath"])
	require.NotContains(t, complete, "lmod/Debian_12/x86_64", "what did not run is no part of it")
	require.Equal(t, "rpmbuild failed:\ngcc: <oops>?", complete["scotch@gnu12/Debian_12/aarch64"].Args["reason"])
	require.Len(t, arrows, 1)
	for _, pair := range arrows {
		require.Len(t, pair, 2)
		require.Equal(t, "s", pair[0].Ph)
		require.Less(t, *pair[0].Ts, *pair[1].Ts)
	}
}

// TestNothingOverlapsInAThread: Perfetto leaves out what ends within another event. An
// arrow begins and ends in an event.
func TestNothingOverlapsInAThread(t *testing.T) {
	r := reporttest.Large(1200)
	for i := range r.Jobs {
		if r.Jobs[i].Seconds > 0 {
			r.Jobs[i].Seconds += 0.001 // as rounding may have it
		}
	}
	var sb strings.Builder
	require.NoError(t, trace.Write(&sb, r))
	var doc struct{ TraceEvents []event }
	require.NoError(t, json.Unmarshal([]byte(sb.String()), &doc))
	end := map[[2]int]int64{}
	inside := func(e event) bool {
		return slices.ContainsFunc(doc.TraceEvents, func(x event) bool {
			return x.Ph == "X" && x.Pid == e.Pid && x.Tid == e.Tid && *x.Ts <= *e.Ts && *e.Ts < *x.Ts+x.Dur
		})
	}
	checks := 0
	for _, e := range doc.TraceEvents {
		thread := [2]int{e.Pid, e.Tid}
		switch e.Ph {
		case "X":
			require.GreaterOrEqual(t, *e.Ts, end[thread], e.Name)
			end[thread] = *e.Ts + e.Dur
			if e.Pid == 2 {
				checks++
			}
		case "s", "f":
			require.True(t, inside(e), "arrow %d", e.ID)
		}
	}
	require.Greater(t, checks, 1000, "checks are part of it")
}

func TestGolden(t *testing.T) {
	var sb strings.Builder
	require.NoError(t, trace.Write(&sb, reporttest.Sample()))
	const golden = "testdata/trace.json"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(sb.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), sb.String())
}
