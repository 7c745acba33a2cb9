package schedule_test

import (
	"context"
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/schedule"
)

// A graph is recorded from what "ohpc-build plan --format json" writes after a run, of
// whatever catalogue or tree:
//
//	ohpc-build matrix && ohpc-build plan --format json >plan.json
//	go test ./matrix/schedule -run TestRecordedGraphs -v -plan $PWD/plan.json
//
// tells by how much the simulated run takes longer than the bound; with -update the
// graph becomes testdata/catalogue.json.
var (
	update  = flag.Bool("update", false, "write the graph of -plan to testdata/catalogue.json")
	planned = flag.String("plan", "", "a `file` with a plan, absolute")
)

// recorded is what a plan tells of a job that matters here.
type recorded struct {
	ID       string             `json:"id"`
	Needs    []string           `json:"needs"`
	Seconds  float64            `json:"seconds"`
	Recorded bool               `json:"recorded"`
	Uses     schedule.Resources `json:"uses,omitzero"`
}

func readGraph(t *testing.T, path string) []recorded {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var graph struct {
		Jobs []recorded `json:"jobs"`
	}
	require.NoError(t, json.Unmarshal(b, &graph))
	require.NotEmpty(t, graph.Jobs)
	return graph.Jobs
}

func tasksOf(jobs []recorded) []schedule.Task {
	tasks := make([]schedule.Task, len(jobs))
	for i, j := range jobs {
		tasks[i] = schedule.Task{ID: j.ID, Needs: j.Needs, Takes: time.Duration(j.Seconds * float64(time.Second)), Uses: j.Uses}
	}
	return tasks
}

const gib = 1 << 30

// hosts are rooms such as there are: a small machine, a workstation, a server, and so
// many slots as if there were a cluster.
var hosts = []schedule.Room{
	{Slots: 1},
	{Slots: 2},
	{Slots: 4},
	{Slots: 16},
	{Slots: 64},
	{Slots: 1024},
	{Slots: 2, Resources: schedule.Resources{Memory: 8 * gib, Disk: 20 * gib, Cores: 2}},
	{Slots: 8, Resources: schedule.Resources{Memory: 32 * gib, Disk: 100 * gib, Cores: 8}},
	{Slots: 32, Resources: schedule.Resources{Memory: 128 * gib, Disk: 500 * gib, Cores: 32}},
}

func requireNearBound(t *testing.T, name string, tasks []schedule.Task) {
	t.Helper()
	for _, room := range hosts {
		if len(schedule.Check(tasks, room)) > 0 {
			t.Logf("%s: %+v is too small", name, room)
			continue
		}
		begin := time.Now()
		r := ratio(t, tasks, room)
		t.Logf("%s: %d tasks, %d at a time of %d GiB and %d cores: %.3f × the bound, told in %s",
			name, len(tasks), room.Slots, room.Memory/gib, room.Cores, r, time.Since(begin).Round(time.Millisecond))
		require.GreaterOrEqual(t, r, 0.999999)
		require.LessOrEqual(t, r, 1.1, "%s with %+v", name, room)
	}
}

func TestRecordedGraphs(t *testing.T) {
	path := filepath.Join("testdata", "catalogue.json")
	if *planned != "" {
		jobs := readGraph(t, *planned)
		if !*update {
			requireNearBound(t, filepath.Base(*planned), tasksOf(jobs))
			return
		}
		b, err := json.MarshalIndent(map[string]any{"jobs": jobs}, "", "\t")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(b, '\n'), 0o644))
	}
	jobs := readGraph(t, path)
	for _, j := range jobs {
		require.True(t, j.Recorded, "%s: how long it takes is an estimate", j.ID)
	}
	requireNearBound(t, "the catalogue", tasksOf(jobs))
	requireNearBound(t, "a release", drawn(1180, jobs))
}

// drawn is a graph of the shape of a release, which is made up, where each task takes as
// long, and uses as much, as a job that is drawn from recorded ones. Only a compiler takes
// an hour, as none of these is one.
func drawn(n int, jobs []recorded) []schedule.Task {
	tasks := release(n, 1)
	r := rand.New(rand.NewPCG(1, 3))
	for i := range tasks {
		if tasks[i].Takes == time.Hour {
			tasks[i].Uses = schedule.Resources{Memory: 8 * gib, Disk: 20 * gib}
			continue
		}
		j := jobs[r.IntN(len(jobs))]
		tasks[i].Takes, tasks[i].Uses = time.Duration(j.Seconds*float64(time.Second)), j.Uses
	}
	return tasks
}

// TestDurationsThatAreNotAsExpected runs tasks of which each takes between half and
// twice as long as the schedule was made for.
func TestDurationsThatAreNotAsExpected(t *testing.T) {
	for memory, most := range map[int64]float64{128: 1.1, 96: 1.25} {
		room := schedule.Room{Slots: 32, Resources: schedule.Resources{Memory: memory * gib, Disk: 100 * gib, Cores: 48}}
		tasks := packed(1180, 7)
		actual := slices.Clone(tasks)
		r := rand.New(rand.NewPCG(7, 4))
		for i := range tasks {
			actual[i].Takes = time.Duration(float64(tasks[i].Takes) * math.Exp2(2*r.Float64()-1))
		}
		bound, err := schedule.Bound(actual, room)
		require.NoError(t, err)
		synctest.Test(t, func(t *testing.T) {
			for i := range tasks {
				tasks[i].Run = func(context.Context, schedule.Place) error { time.Sleep(actual[i].Takes); return nil }
			}
			begin := time.Now()
			failed, err := schedule.Run(t.Context(), tasks, room)
			require.NoError(t, err)
			require.Empty(t, failed)
			took := time.Since(begin).Seconds() / bound.Seconds()
			t.Logf("%d GiB: %.3f × the bound", memory, took)
			require.LessOrEqual(t, took, most)
		})
	}
}
