package state

import (
	"context"
	"database/sql"
	"fmt"
)

// applicationID marks the file as ours (sqlite: PRAGMA application_id): "ohpc".
const applicationID = 0x6f687063

// steps make each version of the schema of the one before; the number of those that
// were taken is the file's user_version. A step that was released is never changed.
//
// Times are Unix times in milliseconds, lengths of time are in seconds.
var steps = []string{
	`CREATE TABLE runs (
		id      INTEGER PRIMARY KEY AUTOINCREMENT,
		started INTEGER NOT NULL,
		program TEXT NOT NULL,
		release TEXT NOT NULL,
		slots   INTEGER NOT NULL,
		seconds REAL,              -- NULL: it runs, or was killed
		result  TEXT,
		error   TEXT,
		built   INTEGER NOT NULL DEFAULT 0,
		reused  INTEGER NOT NULL DEFAULT 0,
		failed  INTEGER NOT NULL DEFAULT 0,
		skipped INTEGER NOT NULL DEFAULT 0
	);
	CREATE TABLE jobs (             -- those that ran, not those that were reused
		run      INTEGER,           -- NULL: known from the store only
		name     TEXT NOT NULL,     -- id, for recipes of a tree with a mark
		id       TEXT NOT NULL,
		key      TEXT NOT NULL,
		recipe   TEXT NOT NULL,
		variant  TEXT NOT NULL,
		target   TEXT NOT NULL,
		arch     TEXT NOT NULL,
		ended    INTEGER NOT NULL,
		seconds  REAL NOT NULL,
		result   TEXT NOT NULL,
		reason   TEXT NOT NULL,
		cpu      REAL NOT NULL,
		memory   INTEGER NOT NULL,
		attempts INTEGER NOT NULL,
		packages TEXT NOT NULL      -- JSON: file names
	);
	CREATE INDEX jobs_name ON jobs (name, ended);
	CREATE INDEX jobs_run ON jobs (run);`,

	`CREATE TABLE checks (
		run     INTEGER NOT NULL,
		id      TEXT NOT NULL,      -- target/arch/name/subject
		ended   INTEGER NOT NULL,
		seconds REAL NOT NULL,
		result  TEXT NOT NULL,
		reason  TEXT NOT NULL
	);
	CREATE INDEX checks_id ON checks (id, ended);
	CREATE INDEX checks_run ON checks (run);`,

	`ALTER TABLE checks ADD COLUMN key TEXT NOT NULL DEFAULT ''; -- of what was checked, and with what`,
}

// migrate brings the schema to the newest version.
func migrate(ctx context.Context, db *sql.DB) error {
	version, err := number(ctx, db, "PRAGMA user_version")
	if err != nil {
		return err
	}
	if version == len(steps) {
		return nil
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	for i := version; i < len(steps); i++ {
		if _, err := tx.ExecContext(ctx, steps[i]); err != nil {
			return fmt.Errorf("bringing its schema to version %d: %w", i+1, err)
		}
	}
	for _, pragma := range []string{
		fmt.Sprintf("PRAGMA user_version = %d", len(steps)), fmt.Sprintf("PRAGMA application_id = %d", applicationID),
	} {
		if _, err := tx.ExecContext(ctx, pragma); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func number(ctx context.Context, db *sql.DB, query string) (n int, err error) {
	err = db.QueryRowContext(ctx, query).Scan(&n)
	return n, err
}
