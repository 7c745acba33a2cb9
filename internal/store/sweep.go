package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Sweep is the right to remove entries. Programs that use the store meanwhile keep
// what they need: whatever was used since the first of them began stays. While
// nobody else uses the store nothing is in use, and nobody begins before the sweep
// is over.
type Sweep struct {
	store *Store
	root  *os.Root
	gate  *os.File  // locked while nobody else is there
	since time.Time // what was used later is in use; zero: nothing is
	gone  []string  // folders that were put aside, to be removed at the end
}

// Sweep begins a sweep. Close it soon.
func (s *Store) Sweep() (_ *Sweep, err error) {
	w := &Sweep{store: s}
	defer func() {
		if err != nil {
			_ = w.Close()
			err = fmt.Errorf("beginning to clean the store up: %w", err)
		}
	}()
	if w.root, err = os.OpenRoot(s.dir); err != nil {
		return nil, err
	}
	sessions := filepath.Join(s.dir, "sessions")
	if w.gate, err = lockGate(sessions); err != nil {
		return nil, err
	}
	alive, err := removeDead(sessions)
	if err != nil {
		return nil, err
	}
	delete(alive, s.session.name)
	for name := range alive {
		fi, err := os.Lstat(filepath.Join(sessions, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			return nil, err
		}
		if w.since.IsZero() || fi.ModTime().Before(w.since) {
			w.since = fi.ModTime()
		}
	}
	if !w.since.IsZero() {
		// A mark may be older than the use that it stands for. The hour is for file
		// systems with a coarse or another machine's clock.
		w.since = w.since.Add(-markEvery - time.Hour)
		w.gate.Close()
		w.gate = nil
	}
	return w, nil
}

// Close ends the sweep. Others may begin before it removes what takes long.
func (w *Sweep) Close() error {
	if w.root != nil {
		w.root.Close()
	}
	if w.gate != nil {
		w.gate.Close()
	}
	var errs []error
	for _, dir := range w.gone {
		errs = append(errs, os.RemoveAll(dir))
	}
	w.gone = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cleaning the store up: %w", err)
	}
	return nil
}

// Alone says that no other program uses the store.
func (w *Sweep) Alone() bool { return w.since.IsZero() }

// InUse says whether a running program may rely on an entry.
func (w *Sweep) InUse(e Entry) bool {
	// What has names elsewhere is not marked; removing it frees nothing anyway.
	return !w.Alone() && (!e.Used.Before(w.since) || e.Kind == "" && e.Links > 1)
}

// Removal is what goes together, wholly or not at all.
type Removal struct {
	Entries []Entry
	Folders []string // on the store's file system; nobody ever sees a part of one
	Users   []Entry  // records that lead to the folders and stay: while one is in use, so are these
}

// Remove says whether it removed anything: it does not when an entry is in use by
// now or was replaced. What is gone already counts as removed.
func (w *Sweep) Remove(r Removal) (bool, error) {
	done, err := w.remove(r)
	if err != nil {
		return false, fmt.Errorf("cleaning the store up: %w", err)
	}
	return done, nil
}

func (w *Sweep) remove(r Removal) (bool, error) {
	unlock, err := w.store.lockEntries(unix.LOCK_EX)
	if err != nil {
		return false, err
	}
	defer unlock()
	for _, e := range append(slices.Clone(r.Entries), r.Users...) {
		fi, err := w.root.Lstat(e.path())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		if now := e.with(fi); !fi.Mode().IsRegular() || !now.Used.Equal(e.Used) || w.InUse(now) {
			return false, nil
		}
	}
	var gone string
	if len(r.Folders) > 0 {
		if gone, err = w.store.Temp("gone-"); err != nil {
			return false, err
		}
		w.gone = append(w.gone, gone)
	}
	// Records go first: one whose object is gone would promise too much.
	for _, records := range []bool{true, false} {
		for _, e := range r.Entries {
			if (e.Kind != "") != records {
				continue
			}
			if err := w.root.Remove(e.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, err
			}
		}
	}
	// Moving a folder takes a moment, however large it is.
	for i, dir := range r.Folders {
		if err := os.Rename(dir, filepath.Join(gone, strconv.Itoa(i))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return true, nil
}
