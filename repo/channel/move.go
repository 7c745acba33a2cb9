package channel

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/lock"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Move lets a channel point to another snapshot.
type Move struct {
	Pointer layout.Pointer `json:"pointer"`
	Was     string         `json:"was"`  // the snapshot to which it pointed when this was decided; empty for none
	To      string         `json:"to"`   // the snapshot's id
	From    string         `json:"from"` // see Entry
	Time    time.Time      `json:"time"` // set by Tree.Move
}

// MovedError says that a channel has moved since a decision was made.
type MovedError struct {
	Pointer layout.Pointer
	Was, Is string // snapshots' ids
}

func (e *MovedError) Error() string {
	return fmt.Sprintf("%s has moved meanwhile: it pointed to %s and points to %s now; compare again and repeat",
		e.Pointer, cmp.Or(e.Was, "nothing"), cmp.Or(e.Is, "nothing"))
}

// Move moves channels: all or, when it is interrupted, the others as soon as
// the next command comes. Each target moves, with all its architectures, by one
// rename. The errors are a *lock.HeldError when another process publishes for
// longer than Options.Wait, and a *MovedError.
func (t *Tree) Move(ctx context.Context, moves ...Move) error {
	unlock, err := t.lock(ctx)
	if err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	return errors.Join(t.move(moves), unlock())
}

// Hold keeps others from changing the tree while fn compares, makes and moves: they
// are waited for once. What was interrupted is completed before. The error is a
// *lock.HeldError when another process publishes for longer than Options.Wait.
func (t *Tree) Hold(ctx context.Context, fn func(held *Tree) error) error {
	if t.held != nil {
		return fn(t)
	}
	l, err := t.take(ctx)
	if err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	held := *t
	held.held = l
	return errors.Join(fn(&held), l.Release())
}

// Lock is the tree's, in a Tree that [Tree.Hold] gives; otherwise nil.
func (t *Tree) Lock() *lock.Lock { return t.held }

// lock keeps others from changing the tree, until it is unlocked.
func (t *Tree) lock(ctx context.Context) (unlock func() error, err error) {
	if t.held != nil {
		return func() error { return nil }, nil
	}
	l, err := t.take(ctx)
	if err != nil {
		return nil, err
	}
	return l.Release, nil
}

// take takes the lock, and completes what others began.
func (t *Tree) take(ctx context.Context) (*lock.Lock, error) {
	l, err := lock.Tree(ctx, t.dir, t.opt.Wait)
	if err != nil {
		return nil, err
	}
	if err := t.complete(); err != nil {
		return nil, errors.Join(err, l.Release())
	}
	return l, nil
}

// Recover completes what an interrupted process began.
func (t *Tree) Recover(ctx context.Context) error {
	if _, err := t.root.Lstat(journalFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := t.lock(ctx)
	if err != nil {
		return err
	}
	return unlock()
}

func (t *Tree) move(moves []Move) error {
	now := t.opt.Now().UTC()
	var todo []Move
	for _, m := range moves {
		is, err := t.currentID(m.Pointer)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("publishing in %s: %w", m.Pointer, err)
		}
		if is == m.To && t.settled(m) {
			continue
		}
		if is != m.Was && is != m.To {
			return fmt.Errorf("publishing: %w", &MovedError{m.Pointer, m.Was, is})
		}
		m.Time = now
		todo = append(todo, m)
	}
	if len(todo) == 0 {
		return nil
	}
	files, err := t.prepare(todo)
	if err != nil {
		return err
	}
	journal, err := t.writeJournal(todo)
	if err == nil {
		err = t.begin(files, journal)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("publishing: %w", err), t.abandon(append(files, journal)))
	}
	return t.commit(files)
}

// settled tells whether nothing of a move that was done before is missing.
func (t *Tree) settled(m Move) bool {
	to, err := t.root.Readlink(m.Pointer.Link())
	entries, herr := t.History(m.Pointer)
	return err == nil && herr == nil && to == linkTo(m.Pointer, m.To) && len(entries) > 0 && entries[len(entries)-1].ID == m.To
}

func linkTo(p layout.Pointer, id string) string {
	to, err := filepath.Rel(filepath.FromSlash(path.Dir(p.Link())), filepath.FromSlash(layout.SnapshotDir(p.Target, id)))
	if err != nil { // both are relative to the root
		return ""
	}
	return filepath.ToSlash(to)
}

const replacementPrefix = ".new-"

// replacement is a file or link that waits for its name; without one, the name goes.
type replacement struct {
	tmp, name string
	link      bool
}

func (t *Tree) replacement(name string) replacement {
	// Who holds the lock is alone here, so the name need not be unique.
	return replacement{tmp: path.Join(path.Dir(name), replacementPrefix+path.Base(name)), name: name}
}

// prepare writes everything that the moves need, so that only renames remain,
// which want no space. They are in the order in which they are to happen: first
// what tells the standing, which names its snapshot; then all mirrorlists, the moment
// of publication; then the links.
func (t *Tree) prepare(moves []Move) (files []replacement, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, t.abandon(files))
		}
	}()
	type kind func(Move, snapshot.Snapshot) error
	put := func(name string, b []byte) error {
		r := t.replacement(name)
		files = append(files, r)
		if err := t.root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		return t.write(r.tmp, b)
	}
	for _, k := range []kind{
		func(m Move, s snapshot.Snapshot) error {
			b, err := t.Standing(s.Target, s.ID)
			if errors.Is(err, fs.ErrNotExist) {
				files = append(files, replacement{name: m.Pointer.StatusFile()})
				return nil
			}
			if err != nil {
				return err
			}
			return put(m.Pointer.StatusFile(), b)
		},
		func(m Move, s snapshot.Snapshot) error {
			base, err := layout.ParseURL(s.URL)
			if err != nil {
				return err
			}
			entries, err := t.entries(m)
			if err != nil {
				return err
			}
			return put(m.Pointer.Mirrorlist(), layout.MirrorlistFile(base, s.Target, s.ID, t.existing(s.Target, earlier(entries, m.Time.Add(-DefaultRetain)))...))
		},
		func(m Move, s snapshot.Snapshot) error {
			r := t.replacement(m.Pointer.Link())
			if fi, err := t.root.Lstat(r.name); err == nil && fi.Mode()&fs.ModeSymlink == 0 {
				return fmt.Errorf("%s is not ours to replace: it is no symbolic link; move it away first", filepath.Join(t.dir, r.name))
			}
			r.link = true
			files = append(files, r)
			if err := t.remove(r.tmp); err != nil {
				return err
			}
			return t.root.Symlink(linkTo(m.Pointer, s.ID), r.tmp)
		},
		func(m Move, s snapshot.Snapshot) error {
			base, err := layout.ParseURL(s.URL)
			if err != nil {
				return err
			}
			b, err := layout.ClientFile(base, m.Pointer, "")
			if err != nil {
				return err
			}
			return put(m.Pointer.RepoFile(), b)
		},
		func(m Move, _ snapshot.Snapshot) error {
			entries, err := t.entries(m)
			if err != nil {
				return err
			}
			b, err := encodeHistory(entries)
			if err != nil {
				return err
			}
			return put(historyFile(m.Pointer), b)
		},
	} {
		for _, m := range moves {
			s, err := snapshot.Open(t.dir, m.Pointer.Target, m.To)
			if err == nil && s.Release != m.Pointer.Release {
				err = fmt.Errorf("snapshot %s is of release %s", s.ID, s.Release)
			}
			if err == nil {
				err = k(m, s)
			}
			if err != nil {
				return files, fmt.Errorf("publishing in %s: %w", m.Pointer, err)
			}
		}
	}
	return files, nil
}

// entries are the history with the move.
func (t *Tree) entries(m Move) ([]Entry, error) {
	entries, err := t.History(m.Pointer)
	e := Entry{m.To, m.Time, m.From}
	if len(entries) == 0 || entries[len(entries)-1] != e { // it is there when the move is completed
		entries = append(entries, e)
	}
	return entries, err
}

// existing are those of a target's snapshots that are there.
func (t *Tree) existing(target string, ids []string) []string {
	return slices.DeleteFunc(ids, func(id string) bool {
		_, err := t.root.Lstat(layout.SnapshotDir(target, id))
		return err != nil
	})
}

func (t *Tree) abandon(files []replacement) error {
	var errs []error
	for _, f := range files {
		if f.tmp != "" {
			errs = append(errs, t.remove(f.tmp))
		}
	}
	return errors.Join(errs...)
}

// commit gives everything its name and ends the journal.
func (t *Tree) commit(files []replacement) error {
	var dirs []string
	for _, f := range files {
		act := func() error { return t.root.Rename(f.tmp, f.name) }
		if f.tmp == "" {
			act = func() error { return t.remove(f.name) }
		}
		if err := act(); err != nil {
			return fmt.Errorf("publishing, to be completed by the next command: %w", err)
		}
		dirs = append(dirs, path.Dir(f.name))
	}
	if err := t.sync(dirs...); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	return t.remove(journalFile)
}

const (
	journalFile    = layout.Private + "/journal.json"
	journalVersion = 1
)

type journal struct {
	Version int    `json:"version"`
	Moves   []Move `json:"moves"`
}

func (t *Tree) writeJournal(moves []Move) (replacement, error) {
	r := t.replacement(journalFile)
	b, err := json.MarshalIndent(journal{journalVersion, moves}, "", " ")
	if err != nil {
		return r, err
	}
	return r, t.write(r.tmp, b)
}

// begin makes durable what was prepared, all at once, and then the journal: what is in
// it happens.
func (t *Tree) begin(files []replacement, journal replacement) error {
	if err := t.sync(contents(append(files[:len(files):len(files)], journal))...); err != nil {
		return err
	}
	if err := t.root.Rename(journal.tmp, journal.name); err != nil {
		return err
	}
	return t.sync(path.Dir(journal.name))
}

// contents are the files that have something in them: a link has its name only.
func contents(files []replacement) []string {
	var names []string
	for _, f := range files {
		if f.tmp != "" && !f.link {
			names = append(names, f.tmp)
		}
	}
	return names
}

// pending are the moves that an interrupted process left in the journal.
func (t *Tree) pending() ([]Move, error) {
	b, err := t.read(journalFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var j journal
	if err == nil {
		err = json.Unmarshal(b, &j)
	}
	name := filepath.Join(t.dir, filepath.FromSlash(journalFile))
	if err == nil && j.Version > journalVersion {
		return nil, fmt.Errorf("a publish was interrupted, and %s is version %d, this program reads %d: complete it with the program that began it, which is a later one",
			name, j.Version, journalVersion)
	}
	if err == nil && j.Version != journalVersion {
		err = fmt.Errorf("it is version %d", j.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("a publish was interrupted, and what was left of it to do cannot be read from %s (%w): "+
			"move that file away; ohpc-build repo verify then tells which channels are half moved, and to publish there again completes them", name, err)
	}
	return j.Moves, nil
}

// complete does what the journal says. That is what was decided, all snapshots
// are there, and some of the names may have moved already.
func (t *Tree) complete() error {
	moves, err := t.pending()
	if err != nil || len(moves) == 0 {
		return err
	}
	files, err := t.prepare(moves)
	if err != nil {
		return fmt.Errorf("completing what was interrupted (see %s): %w", filepath.Join(t.dir, journalFile), err)
	}
	if err := t.sync(contents(files)...); err != nil {
		return fmt.Errorf("completing what was interrupted: %w", err)
	}
	if err := t.commit(files); err != nil {
		return err
	}
	for _, m := range moves {
		t.opt.Log.Warn("an interrupted publish was completed", "channel", m.Pointer.String(), "snapshot", m.To)
	}
	return nil
}
