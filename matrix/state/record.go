package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Run is one call of the program that builds.
type Run struct {
	Started time.Time
	Program string
	Release string
	Slots   int
}

// End is how a run ended.
type End struct {
	Seconds                        float64
	Result, Error                  string
	Built, Reused, Failed, Skipped int
}

// Job is one build, as it is kept in the database and, when it succeeded, in the
// store.
type Job struct {
	Name    string    `json:"name"` // what the history goes by: the ID, for recipes of a tree with a mark
	ID      string    `json:"id"`
	Key     string    `json:"key"`
	Recipe  string    `json:"recipe"`
	Variant string    `json:"variant"`
	Target  string    `json:"target"`
	Arch    string    `json:"arch"`
	Ended   time.Time `json:"ended"`
	Seconds float64   `json:"seconds"` // by a clock that nobody sets
	Result  string    `json:"result"`  // built or fail
	Reason  string    `json:"reason,omitempty"`

	CPUSeconds float64  `json:"cpu_seconds,omitempty"`
	PeakMemory int64    `json:"peak_memory,omitempty"` // bytes
	Attempts   int      `json:"attempts,omitempty"`
	Packages   []string `json:"packages,omitempty"` // file names
}

// Check is one validation.
type Check struct {
	ID      string
	Key     string // the same for a check of the same bytes
	Ended   time.Time
	Seconds float64
	Result  string
	Reason  string
}

// How much is kept: runs, and bytes of a reason.
const (
	maxRuns   = 500
	maxReason = 4 << 10
)

// Begin enters a run and returns its number. It forgets what is very old, but for
// how long each job took.
func (d *DB) Begin(ctx context.Context, r Run) (run int64, err error) {
	err = d.update(ctx, "entering the run", func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO runs (started, program, release, slots) VALUES (?, ?, ?, ?)`,
			r.Started.UnixMilli(), r.Program, r.Release, r.Slots)
		if err != nil {
			return err
		}
		if run, err = res.LastInsertId(); err != nil || run <= maxRuns {
			return err
		}
		for _, query := range []string{
			`DELETE FROM checks WHERE run <= ?1`,
			`DELETE FROM jobs WHERE run <= ?1 AND rowid NOT IN (SELECT max(rowid) FROM jobs WHERE result = 'built' GROUP BY name)`,
			`DELETE FROM runs WHERE id <= ?1`,
		} {
			if _, err := tx.ExecContext(ctx, query, run-maxRuns); err != nil {
				return err
			}
		}
		return nil
	})
	return run, err
}

// Finish enters how a run ended.
func (d *DB) Finish(ctx context.Context, run int64, e End) error {
	return d.update(ctx, "entering the end of the run", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE runs SET seconds = ?, result = ?, error = ?, built = ?, reused = ?, failed = ?, skipped = ? WHERE id = ?`,
			max(e.Seconds, 0), e.Result, short(e.Error), e.Built, e.Reused, e.Failed, e.Skipped, run)
		return err
	})
}

// AddJobs enters builds of a run; of run 0 such as are known from the store.
func (d *DB) AddJobs(ctx context.Context, run int64, jobs []Job) error {
	return d.update(ctx, "entering jobs", func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, `INSERT INTO jobs
			(run, name, id, key, recipe, variant, target, arch, ended, seconds, result, reason, cpu, memory, attempts, packages)
			VALUES (nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer insert.Close() //nolint:errcheck // the transaction tells
		for _, j := range jobs {
			packages, err := json.Marshal(append([]string{}, j.Packages...))
			if err != nil {
				return err
			}
			if _, err := insert.ExecContext(ctx, run, j.Name, j.ID, j.Key, j.Recipe, j.Variant, j.Target, j.Arch, j.Ended.UnixMilli(),
				max(j.Seconds, 0), j.Result, short(j.Reason), j.CPUSeconds, j.PeakMemory, j.Attempts, string(packages)); err != nil {
				return fmt.Errorf("%s: %w", j.ID, err)
			}
		}
		return nil
	})
}

// AddChecks enters validations of a run.
func (d *DB) AddChecks(ctx context.Context, run int64, checks []Check) error {
	return d.update(ctx, "entering checks", func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, `INSERT INTO checks (run, id, key, ended, seconds, result, reason) VALUES (?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer insert.Close() //nolint:errcheck // the transaction tells
		for _, c := range checks {
			if _, err := insert.ExecContext(ctx, run, c.ID, c.Key, c.Ended.UnixMilli(), max(c.Seconds, 0), c.Result, short(c.Reason)); err != nil {
				return fmt.Errorf("%s: %w", c.ID, err)
			}
		}
		return nil
	})
}

func (d *DB) update(ctx context.Context, what string, change func(*sql.Tx) error) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err == nil {
		defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
		if err = change(tx); err == nil {
			err = tx.Commit()
		}
	}
	if err != nil {
		return fmt.Errorf("the history of runs: %s: %w", what, err)
	}
	return nil
}

// short keeps what a log's end of many lines says within bounds.
func short(text string) string { return text[:min(len(text), maxReason)] }
