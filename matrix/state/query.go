package state

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Took is how long a job ran when it last succeeded.
type Took struct {
	Name, Recipe, Variant, Target, Arch string
	Seconds                             float64
}

// Took lists for each job that ever succeeded how long it last ran.
func (d *DB) Took(ctx context.Context) ([]Took, error) {
	var all []Took
	err := d.each(ctx, func(rows *sql.Rows) error {
		var t Took
		err := rows.Scan(&t.Name, &t.Recipe, &t.Variant, &t.Target, &t.Arch, &t.Seconds)
		all = append(all, t)
		return err
	}, `SELECT name, recipe, variant, target, arch, seconds FROM jobs
		WHERE rowid IN (SELECT max(rowid) FROM jobs WHERE result = 'built' GROUP BY name) ORDER BY name`)
	return all, err
}

// Sample is how a job or a check went once.
type Sample struct {
	ID      string
	Key     string // of the job or the check
	Ended   time.Time
	Seconds float64
	Result  string
}

// Jobs lists what came of each job in the last n runs that it ran in, the oldest
// first.
func (d *DB) Jobs(ctx context.Context, n int) ([]Sample, error) {
	return d.samples(ctx, `SELECT id, key, ended, seconds, result FROM (
		SELECT id, key, ended, seconds, result, row_number() OVER (PARTITION BY id ORDER BY rowid DESC) AS age FROM jobs
		) WHERE age <= ? ORDER BY id, age DESC`, n)
}

// Checks lists what came of each check in the last n runs that it was made in, the
// oldest first.
func (d *DB) Checks(ctx context.Context, n int) ([]Sample, error) {
	return d.samples(ctx, `SELECT id, key, ended, seconds, result FROM (
		SELECT id, key, ended, seconds, result, row_number() OVER (PARTITION BY id ORDER BY rowid DESC) AS age FROM checks
		) WHERE age <= ? ORDER BY id, age DESC`, n)
}

// samples are in the order in which they were entered: clocks are set, and a run in the
// future must not be the last one for years.
func (d *DB) samples(ctx context.Context, query string, n int) ([]Sample, error) {
	var all []Sample
	err := d.each(ctx, func(rows *sql.Rows) error {
		var s Sample
		var ended int64
		err := rows.Scan(&s.ID, &s.Key, &ended, &s.Seconds, &s.Result)
		s.Ended = time.UnixMilli(ended).UTC()
		all = append(all, s)
		return err
	}, query, n)
	return all, err
}

func (d *DB) each(ctx context.Context, row func(*sql.Rows) error, query string, args ...any) error {
	rows, err := d.db.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("reading the history of runs: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err has told
	for rows.Next() {
		if err := row(rows); err != nil {
			return fmt.Errorf("reading the history of runs: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the history of runs: %w", err)
	}
	return nil
}
