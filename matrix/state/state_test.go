package state_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/state"
)

func job(name string, seconds float64, result string) state.Job {
	return state.Job{
		Name: name, ID: name, Key: "sha256:0", Recipe: name, Target: "Debian_12", Arch: "x86_64",
		Ended: time.Unix(1_700_000_000, 0), Seconds: seconds, Result: result, Packages: []string{name + ".rpm"},
	}
}

func past(jobs ...state.Job) state.Past {
	return func(context.Context) ([]state.Job, error) { return jobs, nil }
}

func open(t *testing.T, path string, p state.Past) *state.DB {
	t.Helper()
	db, err := state.Open(t.Context(), path, p)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func took(t *testing.T, db *state.DB) map[string]float64 {
	t.Helper()
	all, err := db.Took(t.Context())
	require.NoError(t, err)
	seconds := map[string]float64{}
	for _, j := range all {
		seconds[j.Name] = j.Seconds
	}
	return seconds
}

func TestWhatIsEnteredIsThereAfterwards(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a folder?#%", "state.db")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o755))
	db := open(t, path, past(job("never asked for", 1, "built")))
	require.Empty(t, db.Notice())
	run, err := db.Begin(t.Context(), state.Run{Started: time.Now(), Program: "test", Release: "3", Slots: 2})
	require.NoError(t, err)
	later := job("hwloc", 40, "built")
	later.Ended = later.Ended.Add(time.Hour)
	failed := job("hwloc", 2, "fail")
	failed.Ended = later.Ended.Add(time.Hour)
	require.NoError(t, db.AddJobs(t.Context(), run, []state.Job{job("hwloc", 36, "built"), later, failed, job("scotch", -3, "built")}))
	require.NoError(t, db.AddChecks(t.Context(), run, []state.Check{{ID: "Debian_12/x86_64/closure/all", Ended: time.Now(), Result: "pass", Seconds: 1}}))
	require.NoError(t, db.Finish(t.Context(), run, state.End{Seconds: 9, Result: "pass", Built: 3, Failed: 1}))
	require.NoError(t, db.Close())

	db = open(t, path, nil)
	require.Empty(t, db.Notice())
	require.Equal(t, map[string]float64{"hwloc": 40, "scotch": 0}, took(t, db), "a clock that went back is not recorded")
	samples, err := db.Jobs(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, samples, 3)
	require.Equal(t, []any{"hwloc", 40.0, "built", "fail", "scotch"}, []any{samples[0].ID, samples[0].Seconds, samples[0].Result, samples[1].Result, samples[2].ID})
	samples, err = db.Checks(t.Context(), 20)
	require.NoError(t, err)
	require.Len(t, samples, 1)
	require.Equal(t, "Debian_12/x86_64/closure/all", samples[0].ID)
}

func TestADamagedDatabaseIsSetAsideAndMadeAnew(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"empty":     func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) },
		"cut":       func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 5000)) },
		"cut short": func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 50)) },
		"garbage": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("garbage "), 5000), 0o644))
		},
		"zeros in the middle": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteAt(make([]byte, 8192), 4096)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		},
		"a folder": func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o755))
		},
		"a newer schema":       func(t *testing.T, path string) { execute(t, path, "PRAGMA user_version = 99") },
		"another program's":    func(t *testing.T, path string) { execute(t, path, "PRAGMA application_id = 1") },
		"a table that is gone": func(t *testing.T, path string) { execute(t, path, "DROP TABLE jobs") },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			db := open(t, path, nil)
			require.NoError(t, db.AddJobs(t.Context(), 1, []state.Job{job("lost", 5, "built")}))
			require.NoError(t, db.Close())
			damage(t, path)

			db = open(t, path, past(job("hwloc", 36, "built")))
			seconds := took(t, db)
			if name == "empty" { // is what a new one is
				require.Empty(t, db.Notice())
				require.Empty(t, seconds)
				return
			}
			if db.Notice() == "" {
				t.Fatalf("nothing is told; it knows %v", seconds)
			}
			require.Contains(t, db.Notice(), "set aside as state.db.damaged-")
			require.Contains(t, db.Notice(), "1 jobs are known from the store")
			require.Equal(t, map[string]float64{"hwloc": 36}, seconds)
			aside, err := filepath.Glob(path + ".damaged-*")
			require.NoError(t, err)
			require.NotEmpty(t, aside)
			require.NoError(t, db.Close())
			require.Empty(t, open(t, path, nil).Notice(), "the new one is whole")
		})
	}
}

// execute runs SQL on a database that nobody has open.
func execute(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.Exec(query)
	require.NoError(t, err)
}

func TestWhereNothingCanBeKept(t *testing.T) {
	// Not even a file that is no folder's can be set aside.
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	db := open(t, filepath.Join(file, "state.db"), past())
	require.Contains(t, db.Notice(), "will not be kept")
	run, err := db.Begin(t.Context(), state.Run{Started: time.Now()})
	require.NoError(t, err)
	require.NoError(t, db.AddJobs(t.Context(), run, []state.Job{job("hwloc", 36, "built")}))
	require.Equal(t, map[string]float64{"hwloc": 36}, took(t, db), "the run itself goes on")
}

func TestAPastThatCannotBeReadIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	require.NoError(t, os.WriteFile(path, []byte("this was never a database, whatever its name says"), 0o644))
	db := open(t, path, func(context.Context) ([]state.Job, error) { return nil, errors.New("the store is gone") })
	require.Contains(t, db.Notice(), "the store is gone")
}

func TestAnOlderSchemaIsBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := open(t, path, nil)
	require.NoError(t, db.AddJobs(t.Context(), 1, []state.Job{job("hwloc", 36, "built")}))
	require.NoError(t, db.Close())
	execute(t, path, "DROP TABLE checks; PRAGMA user_version = 1") // as the first version was

	db = open(t, path, nil)
	require.Empty(t, db.Notice())
	require.Equal(t, map[string]float64{"hwloc": 36}, took(t, db))
	require.NoError(t, db.AddChecks(t.Context(), 1, []state.Check{{ID: "x", Key: "of x", Result: "pass"}}))
	checks, err := db.Checks(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, "of x", checks[0].Key)
}

func TestManyHaveItOpenAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	require.NoError(t, os.WriteFile(path, []byte("all of them find it damaged, and one of them sets it aside"), 0o644))
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			db, err := state.Open(t.Context(), path, past())
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = db.Close() }()
			for k := range 20 {
				if err := db.AddJobs(t.Context(), int64(i+1), []state.Job{job(fmt.Sprintf("job%d.%d", i, k), 1, "built")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, took(t, open(t, path, nil)), 120)
	aside, err := filepath.Glob(path + ".damaged-*")
	require.NoError(t, err)
	require.Len(t, aside, 1)
}

func TestWhatIsVeryOldIsForgotten(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "state.db"), nil)
	for i := range 510 {
		run, err := db.Begin(t.Context(), state.Run{Started: time.Now()})
		require.NoError(t, err)
		jobs := []state.Job{job("often", float64(i), "built")}
		if i == 0 {
			jobs = append(jobs, job("once", 77, "built"), job("once", 78, "fail"))
		}
		require.NoError(t, db.AddJobs(t.Context(), run, jobs))
	}
	require.Equal(t, map[string]float64{"often": 509, "once": 77}, took(t, db))
	samples, err := db.Jobs(t.Context(), 10_000)
	require.NoError(t, err)
	require.Less(t, len(samples), 505)
}

// TestAClockThatWasSet has a run in the far future, after which the clock was right.
func TestAClockThatWasSet(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "state.db"), past())
	for i, when := range []time.Time{time.Unix(1_700_000_000, 0), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(1_700_001_000, 0), time.Unix(0, 0)} {
		run, err := db.Begin(t.Context(), state.Run{Started: when, Program: "test", Release: "3", Slots: 1})
		require.NoError(t, err)
		require.EqualValues(t, i+1, run)
		j := job("hwloc", float64(10*i-10), "built")
		j.Ended = when
		require.NoError(t, db.AddJobs(t.Context(), run, []state.Job{j}))
		require.NoError(t, db.AddChecks(t.Context(), run, []state.Check{{ID: "c", Ended: when, Seconds: float64(10*i - 10), Result: "pass"}}))
		require.NoError(t, db.Finish(t.Context(), run, state.End{Seconds: -5, Result: "pass"}))
	}
	for name, list := range map[string]func(context.Context, int) ([]state.Sample, error){"jobs": db.Jobs, "checks": db.Checks} {
		all, err := list(t.Context(), 3)
		require.NoError(t, err)
		var seconds []float64
		for _, s := range all {
			seconds = append(seconds, s.Seconds)
		}
		require.Equal(t, []float64{0, 10, 20}, seconds, "%s: in the order of the runs", name)
		first, err := list(t.Context(), 4)
		require.NoError(t, err)
		require.Zero(t, first[0].Seconds, "%s: no time is negative", name)
	}
	require.Equal(t, map[string]float64{"hwloc": 20}, took(t, db))
}
