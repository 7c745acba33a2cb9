package channel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/lock"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Retention says what a collection leaves.
type Retention struct {
	Keep   int           // how many snapshots of each channel's history can be rolled back to, beside the current one
	Retain time.Duration // for which a snapshot stays after its last use; see DefaultRetain
	DryRun bool          // nothing is removed
}

// Collected is what a collection has removed.
type Collected struct {
	Snapshots []snapshot.Snapshot
	Leftovers []string // of interrupted runs, relative to the tree's folder
	Kept      int      // snapshots
}

// Collect removes snapshots that nobody needs: they are no channel's current one
// nor among those that one can be rolled back to, no channel had them within the
// retention time, and they were not made or found made within it, so that they
// are waiting to be published. What interrupted writers left goes too.
func (t *Tree) Collect(ctx context.Context, r Retention) (Collected, error) {
	lock := t.lock
	if r.DryRun {
		lock = t.quiet
	}
	unlock, err := lock(ctx)
	if err != nil {
		return Collected{}, fmt.Errorf("removing snapshots: %w", err)
	}
	done, doomed, full, err := t.doom(ctx, r)
	// What is doomed has no name any more: others need not wait for its removal.
	err = errors.Join(err, unlock())
	for _, dir := range doomed {
		err = errors.Join(err, ctx.Err())
		if err == nil {
			err = t.root.RemoveAll(dir)
		}
	}
	if err == nil && full {
		err = t.forgetGone(ctx)
	}
	if err != nil {
		return done, fmt.Errorf("removing snapshots: %w", err)
	}
	return done, nil
}

// quiet is lock for those who change nothing: where they may not write, they do without
// it, and what was interrupted stays for the next one to complete.
func (t *Tree) quiet(ctx context.Context) (unlock func() error, err error) {
	none := func() error { return nil }
	if t.held != nil {
		return none, nil
	}
	l, err := lock.Tree(ctx, t.dir, t.opt.Wait)
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return none, nil
	case err != nil:
		return nil, err
	}
	return l.Release, nil
}

// forgetGone does what there was no room for before something was removed.
func (t *Tree) forgetGone(ctx context.Context) error {
	unlock, err := t.lock(ctx)
	if err != nil {
		return err
	}
	return errors.Join(t.forget(nil), unlock())
}

// isFull tells the errors of a file system that takes no more.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// doom renames what is to be removed, so that a removal that is interrupted leaves
// no snapshot that lacks something, but only leftovers. It returns their folders.
//
// Mirrorlists and histories forget them first. On a full disk, where that cannot be
// written, it is to be done afterwards: full says so. Meanwhile a mirrorlist's later
// lines and a history name what is not there, which harms nobody: clients go on to
// the next line.
func (t *Tree) doom(ctx context.Context, r Retention) (done Collected, doomed []string, full bool, err error) {
	needed, err := t.needed(r)
	if err != nil {
		return done, nil, false, err
	}
	targets, err := t.folders(layout.Snapshots)
	if err != nil {
		return done, nil, false, err
	}
	since := t.opt.Now().Add(-r.Retain)
	for _, target := range targets {
		dir := layout.SnapshotDir(target, "")
		left, err := lock.Sweep(ctx, filepath.Join(t.dir, filepath.FromSlash(dir)), r.DryRun)
		for _, name := range left {
			done.Leftovers = append(done.Leftovers, path.Join(dir, name))
		}
		if err != nil {
			return done, doomed, full, err
		}
		ids, err := t.folders(dir)
		if err != nil {
			return done, doomed, full, err
		}
		for _, id := range ids {
			fi, err := t.root.Lstat(layout.SnapshotDir(target, id))
			if err != nil {
				return done, doomed, full, err
			}
			if !layout.IsID(id) {
				continue // not ours
			}
			if needed[target+"/"+id] || fi.ModTime().After(since) {
				done.Kept++
				continue
			}
			s, err := snapshot.Open(t.dir, target, id)
			if err != nil { // damaged, and needed by nobody
				s = snapshot.Snapshot{ID: id, Target: target}
			}
			done.Snapshots = append(done.Snapshots, s)
		}
	}
	unnamed, err := t.unnamed()
	if err != nil {
		return done, nil, false, err
	}
	done.Leftovers = append(done.Leftovers, unnamed...)
	if r.DryRun {
		return done, nil, false, nil
	}
	for _, name := range unnamed {
		if err := t.remove(name); err != nil {
			return done, nil, false, err
		}
	}
	err = t.forget(done.Snapshots)
	if full = isFull(err); err != nil && !full {
		return done, nil, false, err
	}
	for _, s := range done.Snapshots {
		gone := layout.SnapshotDir(s.Target, lock.Doomed(s.ID))
		if err := t.root.Rename(layout.SnapshotDir(s.Target, s.ID), gone); err != nil {
			return done, doomed, full, err
		}
		doomed = append(doomed, gone)
		if err := t.remove(layout.StandingFile(s.Target, s.ID)); err != nil {
			return done, doomed, full, err
		}
	}
	return done, doomed, full, nil
}

// unnamed are replacements that an interrupted publisher prepared and nobody will
// give their names: who holds the lock is alone.
func (t *Tree) unnamed() ([]string, error) {
	var names []string
	for _, dir := range []string{layout.Product, layout.Private} {
		err := fs.WalkDir(t.root.FS(), dir, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && !d.IsDir() && strings.HasPrefix(d.Name(), replacementPrefix) {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

// needed are the snapshots, as <target>/<id>, that channels need.
func (t *Tree) needed(r Retention) (map[string]bool, error) {
	needed := map[string]bool{}
	since := t.opt.Now().Add(-r.Retain)
	pending, err := t.pending() // none, unless nothing was completed before
	if err != nil {
		return nil, err
	}
	for _, m := range pending {
		needed[m.Pointer.Target+"/"+m.To] = true
	}
	pointers, err := t.Pointers()
	if err != nil {
		return nil, err
	}
	for _, p := range pointers {
		current, err := t.currentID(p)
		if err != nil {
			return nil, err
		}
		needed[p.Target+"/"+current] = true
		// The link follows the mirrorlist, but nobody's mistake is made worse here.
		if to, err := t.root.Readlink(p.Link()); err == nil {
			needed[p.Target+"/"+path.Base(to)] = true
		}
		entries, err := t.History(p)
		if err != nil {
			return nil, err
		}
		for _, id := range recent(entries, r.Keep, since) {
			needed[p.Target+"/"+id] = true
		}
	}
	return needed, nil
}

// recent are the snapshots of a history that can be rolled back to, as many as
// keep says, and those that were current since a time.
func recent(entries []Entry, keep int, since time.Time) []string {
	var ids []string
	distinct := 0
	for i, e := range slices.Backward(entries) {
		last := i == len(entries)-1
		known := slices.Contains(ids, e.ID)
		if !last && !known {
			distinct++
		}
		if last || distinct <= keep || !entries[i+1].Time.Before(since) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// forget takes snapshots that are about to be removed, or are gone, out of
// mirrorlists and histories.
func (t *Tree) forget(gone []snapshot.Snapshot) error {
	pointers, err := t.Pointers()
	if err != nil {
		return err
	}
	for _, p := range pointers {
		isGone := func(id string) bool {
			if slices.ContainsFunc(gone, func(s snapshot.Snapshot) bool { return s.Target == p.Target && s.ID == id }) {
				return true
			}
			_, err := t.root.Lstat(layout.SnapshotDir(p.Target, id))
			return errors.Is(err, fs.ErrNotExist)
		}
		ids, err := t.mirrorlist(p)
		if err != nil {
			return err
		}
		// The first one is current; whatever is the matter with it, it is not ours to change.
		if left := slices.DeleteFunc(slices.Clone(ids[1:]), isGone); len(left) < len(ids)-1 {
			s, err := snapshot.Open(t.dir, p.Target, ids[0])
			if err != nil {
				return err
			}
			base, err := layout.ParseURL(s.URL)
			if err != nil {
				return err
			}
			if err := t.replace(p.Mirrorlist(), layout.MirrorlistFile(base, p.Target, ids[0], left...)); err != nil {
				return err
			}
		}
		entries, err := t.History(p)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return e.ID != ids[0] && isGone(e.ID) })
		if len(left) == len(entries) {
			continue
		}
		b, err := encodeHistory(left)
		if err != nil {
			return err
		}
		if err := t.replace(historyFile(p), b); err != nil {
			return err
		}
	}
	return nil
}

// replace gives a file other content at once.
func (t *Tree) replace(name string, b []byte) error {
	r := t.replacement(name)
	err := t.write(r.tmp, b)
	if err == nil {
		err = t.sync(r.tmp)
	}
	if err != nil {
		return errors.Join(err, t.abandon([]replacement{r}))
	}
	if err := t.root.Rename(r.tmp, r.name); err != nil {
		return err
	}
	return t.sync(path.Dir(name))
}

// Drop ends a channel, such as that of a pull request: its clients find nothing any
// more. Its snapshots stay until they are collected.
func (t *Tree) Drop(ctx context.Context, p layout.Pointer) error {
	if err := p.Check(); err != nil {
		return err
	}
	unlock, err := t.lock(ctx)
	if err != nil {
		return fmt.Errorf("dropping %s: %w", p, err)
	}
	ids, err := t.mirrorlist(p)
	now := t.opt.Now()
	for _, id := range t.existing(p.Target, ids) {
		// Clients may still be there: it was used just now.
		err = errors.Join(err, t.root.Chtimes(layout.SnapshotDir(p.Target, id), now, now))
	}
	// The mirrorlist, which makes it a channel, goes last: a drop can be repeated.
	for _, name := range []string{p.StatusFile(), p.RepoFile(), p.Link(), historyFile(p), p.Mirrorlist()} {
		if err == nil {
			err = t.remove(name)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("nothing is published there: %w", err)
	}
	if err = errors.Join(err, unlock()); err != nil {
		return fmt.Errorf("dropping %s: %w", p, err)
	}
	return nil
}
