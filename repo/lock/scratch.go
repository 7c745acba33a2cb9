package lock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// Scratch is a folder in which a snapshot is being made. As long as its writer
// lives, a lock beside it says so.
type Scratch struct {
	Dir  string
	lock *Lock
}

const (
	scratchPrefix = ".new-"
	lockSuffix    = ".lock"

	// lockWait is how long a snapshot waits for publishers and sweeps, which hold
	// the tree's lock for moments.
	lockWait = time.Minute
)

// Tree makes sure that nothing is published in the tree at root or removed from it
// while it is held. The error is a *HeldError when others hold it for longer
// than wait.
func Tree(ctx context.Context, root string, wait time.Duration) (*Lock, error) {
	path, err := treeFile(root)
	if err != nil {
		return nil, err
	}
	return Exclusive(ctx, path, wait)
}

func treeFile(root string) (string, error) {
	path := filepath.Join(root, filepath.FromSlash(layout.LockFile))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("locking: %w", withNext(err, root))
	}
	return path, nil
}

// Sharing calls fn while nothing is removed from the tree. It does not wait when the
// tree's lock is held by the caller.
func Sharing(ctx context.Context, root string, held *Lock, fn func() error) error {
	if held != nil {
		return fn()
	}
	path, err := treeFile(root)
	if err != nil {
		return err
	}
	l, err := Shared(ctx, path, lockWait)
	if err != nil {
		return err
	}
	return errors.Join(fn(), l.Release())
}

// NewScratch makes a scratch folder in parent, a folder of the tree at root, whose lock
// may be held by the caller.
func NewScratch(ctx context.Context, root, parent string, held *Lock) (*Scratch, error) {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	var s Scratch
	err := Sharing(ctx, root, held, func() (err error) { // a sweep does not see it without its lock
		if s.Dir, err = os.MkdirTemp(parent, scratchPrefix); err != nil {
			return err
		}
		s.lock, err = Exclusive(ctx, s.Dir+lockSuffix, lockWait) // a dry run may be looking at it
		return err
	})
	if err != nil {
		return nil, err
	}
	return &s, os.Chmod(s.Dir, 0o755)
}

// Discard removes what is left of it.
func (s *Scratch) Discard() error {
	return errors.Join(os.RemoveAll(s.Dir), os.Remove(s.Dir+lockSuffix), s.lock.Release())
}

// Sweep removes from a folder what writers left behind there that did not end
// well, and returns its names. Those that are still at work are left alone. The
// caller holds the tree's lock.
func Sweep(ctx context.Context, parent string, dryRun bool) ([]string, error) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), scratchPrefix) {
			names = append(names, strings.TrimSuffix(e.Name(), lockSuffix))
		}
	}
	var swept []string
	for _, name := range slices.Compact(names) { // a folder and its lock are neighbours
		done, err := sweep(ctx, filepath.Join(parent, name), dryRun)
		if err != nil {
			return swept, fmt.Errorf("removing what an interrupted run left: %w", err)
		}
		if done {
			swept = append(swept, name)
		}
	}
	return swept, nil
}

func sweep(ctx context.Context, dir string, dryRun bool) (bool, error) {
	if dryRun {
		return abandoned(dir + lockSuffix)
	}
	if _, err := os.Lstat(dir + lockSuffix); !errors.Is(err, fs.ErrNotExist) {
		l, err := Exclusive(ctx, dir+lockSuffix, 0)
		var held *HeldError
		if errors.As(err, &held) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		defer l.Release() //nolint:errcheck // the file is about to be gone
	}
	if err := os.RemoveAll(dir); err != nil {
		return false, err
	}
	if err := os.Remove(dir + lockSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, nil
}

// abandoned tells whether nobody holds a lock, without writing anything.
func abandoned(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, &fs.PathError{Op: "flock", Path: path, Err: err}
		}
	}
}

// Doomed is the name of something that is about to be removed: a leftover already.
func Doomed(name string) string { return scratchPrefix + "gone-" + name }
