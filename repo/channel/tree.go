package channel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/durable"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/lock"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Tree is a folder of snapshots and the channels that point to them. No symbolic
// link leads a Tree out of its folder.
type Tree struct {
	dir  string
	root *os.Root
	opt  Options
	held *lock.Lock // see Hold
}

// Options of a Tree.
type Options struct {
	Wait time.Duration    // for which another process that publishes is waited for
	Log  *slog.Logger     // is told what an interrupted process left to do; default: nobody
	Now  func() time.Time // default: time.Now
}

// Open opens the tree in a folder that exists.
func Open(dir string, opt Options) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the published repositories: %w", err)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Tree{dir: dir, root: root, opt: opt}, nil
}

// DefaultRetain is for how long a snapshot stays that a channel has left. Clients
// may remember it for as long as .repo files let their metadata be valid, and for
// the time that one installation takes.
const DefaultRetain = 24 * time.Hour

// Close ends the use of the tree.
func (t *Tree) Close() { _ = t.root.Close() }

// Current is the snapshot that a channel's clients see. The error is
// fs.ErrNotExist when nothing was published there.
func (t *Tree) Current(p layout.Pointer) (snapshot.Snapshot, error) {
	id, err := t.currentID(p)
	if err != nil {
		return snapshot.Snapshot{}, fmt.Errorf("looking up what is published in %s: %w", p, err)
	}
	return snapshot.Open(t.dir, p.Target, id)
}

func (t *Tree) currentID(p layout.Pointer) (string, error) {
	ids, err := t.mirrorlist(p)
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// mirrorlist are the snapshots that a channel's clients are told of, the current
// one first.
func (t *Tree) mirrorlist(p layout.Pointer) ([]string, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	b, err := t.read(p.Mirrorlist())
	if err != nil {
		return nil, err
	}
	ids, err := layout.ParseMirrorlist(b, p.Target)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Mirrorlist(), err)
	}
	return ids, nil
}

// Check tells whether a channel is as a publish leaves it, without reading its
// snapshots.
func (t *Tree) Check(p layout.Pointer) error {
	ids, err := t.mirrorlist(p)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := t.root.Lstat(layout.SnapshotDir(p.Target, id)); err != nil {
			return fmt.Errorf("%s: it names a snapshot that is not there: %w", p.Mirrorlist(), err)
		}
	}
	if to, err := t.root.Readlink(p.Link()); err != nil {
		return err
	} else if to != linkTo(p, ids[0]) {
		return fmt.Errorf("%s: it leads to %s, the mirrorlist to snapshot %s", p.Link(), to, ids[0])
	}
	s, err := snapshot.Open(t.dir, p.Target, ids[0])
	if err != nil {
		return err
	}
	base, err := layout.ParseURL(s.URL)
	if err != nil {
		return err
	}
	want, err := layout.ClientFile(base, p, "")
	if err != nil {
		return err
	}
	if is, err := t.read(p.RepoFile()); err != nil {
		return err
	} else if !bytes.Equal(is, want) {
		return fmt.Errorf("%s: it is not what was published", p.RepoFile())
	}
	if err := t.checkStatus(p, ids[0]); err != nil {
		return err
	}
	entries, err := t.History(p)
	if err != nil {
		return err
	}
	if n := len(entries); n == 0 || entries[n-1].ID != ids[0] {
		return fmt.Errorf("%s: its last entry is not the current snapshot", historyFile(p))
	}
	return nil
}

// Interrupted tells whether a publish waits to be completed.
func (t *Tree) Interrupted() (bool, error) {
	moves, err := t.pending()
	return len(moves) > 0, err
}

// Pointers are all that there are: what was published, in which channel.
func (t *Tree) Pointers() ([]layout.Pointer, error) {
	var all []layout.Pointer
	releases, err := t.folders(layout.Product)
	if err != nil {
		return nil, err
	}
	for _, release := range releases {
		err := t.pointersIn(release, layout.Release, &all)
		for _, c := range []layout.Channel{layout.Updates, layout.Staging, layout.Factory} {
			err = errors.Join(err, t.pointersIn(release, c, &all))
		}
		pulls, perr := t.folders(path.Join(layout.Product, release, layout.Pulls))
		for _, n := range pulls {
			err = errors.Join(err, t.pointersIn(release, layout.Channel(layout.Pulls+"/"+n), &all))
		}
		if err := errors.Join(err, perr); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (t *Tree) pointersIn(release string, c layout.Channel, all *[]layout.Pointer) error {
	names, err := t.list(path.Dir(layout.Pointer{Release: release, Channel: c, Target: "x"}.Link()))
	for _, name := range names {
		target, ok := strings.CutSuffix(name, layout.MirrorlistSuffix)
		if p := (layout.Pointer{Release: release, Channel: c, Target: target}); ok && p.Check() == nil {
			*all = append(*all, p)
		}
	}
	return err
}

// list are the names in a folder of the tree that are not hidden, in order; none if
// there is no such folder: people put files of their own beside what is published.
func (t *Tree) list(dir string) ([]string, error) {
	return t.names(dir, func(fs.DirEntry) bool { return true })
}

// folders are those of list that a publisher can have made. A key or a page that lies
// among them is none, and a link is another name for what is looked at already.
func (t *Tree) folders(dir string) ([]string, error) {
	return t.names(dir, func(e fs.DirEntry) bool { return e.IsDir() && layout.IsWord(e.Name()) })
}

func (t *Tree) names(dir string, wanted func(fs.DirEntry) bool) ([]string, error) {
	entries, err := fs.ReadDir(t.root.FS(), dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && wanted(e) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// read reads a small regular file of the tree.
func (t *Tree) read(name string) ([]byte, error) {
	const limit = 4 << 20
	fi, err := t.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > limit {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", name, limit)
	}
	f, err := t.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// write makes a file anew. It is to be synced before it gets its name.
func (t *Tree) write(name string, b []byte) error {
	if err := t.remove(name); err != nil {
		return err
	}
	f, err := t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return durable.Fill(f, b)
}

func (t *Tree) remove(name string) error {
	if err := t.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sync makes what is in files, and the names in folders, durable: all at once, which a
// disk does in the time of one.
func (t *Tree) sync(names ...string) error {
	return durable.Sync(t.root.Open, names...)
}
