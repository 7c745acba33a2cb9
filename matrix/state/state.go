package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite" // the driver, and its errors
	sqlite3 "modernc.org/sqlite/lib"
)

// DB is the history of runs. It is safe for concurrent use.
type DB struct {
	db     *sql.DB
	notice string
}

// busyTimeout is how long to wait for another process that writes.
const busyTimeout = 10 * time.Second

// maxChecked is up to which size all of the file is looked at when it is opened, in
// bytes. Damage in a larger one is found when it is read.
const maxChecked = 32 << 20

// Past are jobs that the store remembers.
type Past func(context.Context) ([]Job, error)

// Open opens the database at path, and makes it where there is none. One that is of
// no use is set aside and begun anew with the past. What happened to it is told by
// [DB.Notice]; an error is only that of ctx.
func Open(ctx context.Context, path string, past Past) (*DB, error) {
	d, err := open(ctx, path, past)
	if err == nil {
		return d, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	why := err
	if d, err = openMemory(ctx); err != nil {
		return nil, fmt.Errorf("opening a database in memory: %w", err)
	}
	d.notice = fmt.Sprintf("the history of runs in %s cannot be used, that of this run will not be kept: %v", path, why)
	return d, nil
}

// open opens the file, in turn with other processes that might find it damaged too.
func open(ctx context.Context, path string, past Past) (*DB, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := flock(ctx, lock); err != nil {
		return nil, err
	}
	_, err = os.Lstat(path)
	exists := !errors.Is(err, fs.ErrNotExist)
	if !exists {
		// What is left of another file must not be taken for this one's.
		if err := removeRest(path); err != nil {
			return nil, err
		}
	}
	db, err := connect(ctx, path)
	if err == nil {
		return &DB{db: db}, nil
	}
	if !exists || ctx.Err() != nil || passing(err) {
		return nil, err
	}
	aside, aerr := setAside(path)
	if aerr != nil {
		return nil, errors.Join(err, aerr)
	}
	if db, aerr = connect(ctx, path); aerr != nil {
		return nil, errors.Join(err, aerr)
	}
	d := &DB{db: db}
	jobs, perr := past(ctx)
	if perr == nil {
		perr = d.AddJobs(ctx, 0, jobs)
	}
	d.notice = fmt.Sprintf("the history of runs in %s is of no use (%v); it was set aside as %s and made anew: %d jobs are known from the store",
		path, err, filepath.Base(aside), len(jobs))
	if perr != nil {
		d.notice += fmt.Sprintf("; not all could be read: %v", perr)
	}
	return d, nil
}

// connect opens a database that is whole, ours and writable.
func connect(ctx context.Context, path string) (_ *sql.DB, err error) {
	fi, err := os.Stat(path)
	if err == nil && !fi.Mode().IsRegular() {
		return nil, errors.New("it is no file")
	}
	name := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "synchronous(NORMAL)", "trusted_schema(OFF)",
		},
		"_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = db.Close()
		}
	}()
	db.SetMaxOpenConns(1)
	if fi != nil {
		if err := examine(ctx, db, fi.Size()); err != nil {
			return nil, err
		}
	}
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	// A file that may only be read is opened without a word.
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return db, tx.Rollback()
}

// examine says why a file that was there is not to be used.
func examine(ctx context.Context, db *sql.DB, size int64) error {
	if size <= maxChecked {
		var verdict string
		if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
			return err
		}
		if verdict != "ok" {
			return fmt.Errorf("it is damaged: %s", verdict)
		}
	}
	version, err := number(ctx, db, "PRAGMA user_version")
	if err != nil {
		return err
	}
	if version > len(steps) {
		return fmt.Errorf("a newer ohpc-build made it: its schema has version %d, this one knows %d", version, len(steps))
	}
	tables, err := number(ctx, db, "SELECT count(*) FROM sqlite_master")
	if err != nil {
		return err
	}
	id, err := number(ctx, db, "PRAGMA application_id")
	if err != nil {
		return err
	}
	if tables > 0 && id != applicationID {
		return errors.New("it is another program's database")
	}
	known, err := number(ctx, db, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('runs', 'jobs')")
	if err != nil {
		return err
	}
	if version > 0 && known != 2 {
		return errors.New("tables are missing")
	}
	return nil
}

// openMemory makes a database that lasts as long as the process.
func openMemory(ctx context.Context) (*DB, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // each connection has a memory of its own
	if err := migrate(ctx, db); err != nil {
		_ = db.Close()
		return nil, err
	}
	return &DB{db: db}, nil
}

// passing says that an error is no fault of the file: nothing is to be set aside.
func passing(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT:
		return true
	}
	return false
}

// beside are the files that belong to a database (sqlite: WAL-mode File Format).
var beside = []string{"-wal", "-shm", "-journal"}

// setAside gives a database another name, and says which.
func setAside(path string) (string, error) {
	aside := path + ".damaged-" + time.Now().UTC().Format("20060102T150405.000")
	for _, ending := range append([]string{""}, beside...) {
		if err := os.Rename(path+ending, aside+ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("setting it aside: %w", err)
		}
	}
	return aside, nil
}

func removeRest(path string) error {
	for _, ending := range beside {
		if err := os.Remove(path + ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// flock waits for its turn.
func flock(ctx context.Context, f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Notice says, in a sentence, what was wrong with the database; "" when nothing was.
func (d *DB) Notice() string { return d.notice }

// Close closes the database.
func (d *DB) Close() error { return d.db.Close() }
