package history

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/state"
)

// keeper is a state folder and what was told of it.
type keeper struct {
	dir   string
	store *store.Store
	told  bytes.Buffer
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	k := &keeper{dir: t.TempDir()}
	var err error
	k.store, err = store.Open(filepath.Join(k.dir, "store"))
	require.NoError(t, err)
	return k
}

func (k *keeper) open(t *testing.T) (*History, []state.Took) {
	t.Helper()
	h, took, err := Open(t.Context(), k.dir, k.store, slog.New(slog.NewTextHandler(&k.told, nil)))
	require.NoError(t, err)
	return h, took
}

func (k *keeper) begin(t *testing.T) (*History, []state.Took) {
	t.Helper()
	h, took := k.open(t)
	h.Begin(t.Context(), state.Run{Started: time.Now(), Program: "test", Release: "3", Slots: 1})
	return h, took
}

func results(samples []report.Sample) (all []report.Outcome) {
	for _, s := range samples {
		all = append(all, s.Result)
	}
	return all
}

func TestWhatRanIsToldToLaterRuns(t *testing.T) {
	k := newKeeper(t)
	rows := []report.Job{
		{ID: "hwloc", Key: "sha256:1", Result: report.Built, Seconds: 40},
		{ID: "pmix", Key: "sha256:2", Result: report.Fail, Seconds: 2, Reason: "rpmbuild failed"},
		{ID: "slurm", Result: report.Skip},
		{ID: "lmod", Key: "sha256:3", Result: report.Reused},
	}
	check := report.Check{Name: "closure", Subject: "all packages", Target: "Debian_12", Arch: "x86_64", Key: "sha256:4", Result: report.Pass, Seconds: 3}
	void := report.Check{Name: "upgrade", Subject: "all packages", Target: "Debian_12", Arch: "x86_64", Result: report.Skip}
	run := func(checks ...report.Check) (jobs, tried map[string][]report.Sample) {
		h, _ := k.begin(t)
		for _, row := range rows {
			h.Record(t.Context(), "estimates of "+row.ID, &plan.Job{ID: row.ID, Key: store.Digest(row.Key)}, row)
		}
		return h.End(&report.Run{Jobs: rows, Checks: checks})
	}
	jobs, checks := run(check, void)
	require.Equal(t, []report.Outcome{report.Built}, results(jobs["hwloc"]), "this run is told too")
	require.Equal(t, []report.Outcome{report.Fail}, results(jobs["pmix"]))
	require.Len(t, jobs, 2, "what did not run is not entered")
	require.Len(t, checks, 1)

	rows[1].Result = report.Built
	check.Reused = true
	jobs, checks = run(check, void)
	require.ElementsMatch(t, []report.Outcome{report.Fail, report.Built}, results(jobs["pmix"]))
	require.Len(t, checks[check.ID()], 1, "a result of before is no second one")

	rows = rows[:1]
	jobs, checks = run()
	require.Len(t, jobs["hwloc"], 3)
	require.Len(t, jobs, 1, "only of what is in this run")
	require.Empty(t, checks)

	h, took := k.open(t)
	h.Close()
	seconds := map[string]float64{}
	for _, j := range took {
		seconds[j.Name] = j.Seconds
	}
	require.Equal(t, 40.0, seconds["estimates of hwloc"])
	require.Empty(t, k.told.String())
}

func TestWhoIsNotEnteredIsToldNothing(t *testing.T) {
	r := &report.Run{Jobs: []report.Job{{ID: "hwloc", Result: report.Built}}}
	k := newKeeper(t)
	planned, _ := k.open(t)
	for name, h := range map[string]*History{"a run that only plans": planned, "none": nil} {
		h.Record(t.Context(), "hwloc", &plan.Job{ID: "hwloc"}, r.Jobs[0])
		jobs, checks := h.End(r)
		require.Empty(t, jobs, name)
		require.Empty(t, checks, name)
	}
	h, _ := k.begin(t)
	jobs, _ := h.End(r)
	require.Empty(t, jobs)
	require.Empty(t, k.told.String())
}

// TestNothingStopsARun has a folder where the history should be, and a history that
// goes while the run is under way.
func TestNothingStopsARun(t *testing.T) {
	k := newKeeper(t)
	require.NoError(t, os.Mkdir(filepath.Join(k.dir, "state.db.lock"), 0o755))
	r := &report.Run{Jobs: []report.Job{{ID: "hwloc", Result: report.Built}}}
	h, took := k.begin(t)
	require.Empty(t, took)
	h.Record(t.Context(), "hwloc", &plan.Job{ID: "hwloc"}, r.Jobs[0])
	jobs, _ := h.End(r)
	require.Len(t, jobs["hwloc"], 1, "it is kept in memory as long as the run lasts")
	require.Contains(t, k.told.String(), "that of this run will not be kept")

	k = newKeeper(t)
	h, _ = k.begin(t)
	require.NoError(t, h.db.Close())
	h.Record(t.Context(), "hwloc", &plan.Job{ID: "hwloc"}, r.Jobs[0])
	jobs, _ = h.End(r)
	require.Empty(t, jobs)
	require.Contains(t, k.told.String(), "the history of runs is not complete")
}

func TestTheReportIsNoLongerThanItsJobs(t *testing.T) {
	for number, want := range map[int]int{0: runs, 1: runs, 10_000: runs, 100_000: 2, 1_000_000: 1} {
		require.Equal(t, want, runsTold(number), fmt.Sprint(number, " jobs"))
	}
}
