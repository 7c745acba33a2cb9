package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/lock"
)

// scratch is a folder in which a snapshot is being made. As long as its writer
// lives, a lock beside it says so.
type scratch struct {
	dir  string
	lock *lock.Lock
}

const (
	scratchPrefix = ".new-"
	lockSuffix    = ".lock"

	// lockWait is how long a snapshot waits for publishers and sweeps, which hold
	// the tree's lock for moments.
	lockWait = time.Minute
)

// Lock makes sure that nothing is published or removed from the tree at root
// while it is held. The error is a *lock.HeldError when others hold it for longer
// than wait.
func Lock(ctx context.Context, root string, wait time.Duration) (*lock.Lock, error) {
	path, err := lockFile(root)
	if err != nil {
		return nil, err
	}
	return lock.Exclusive(ctx, path, wait)
}

func lockFile(root string) (string, error) {
	path := filepath.Join(root, filepath.FromSlash(layout.LockFile))
	return path, os.MkdirAll(filepath.Dir(path), 0o755)
}

// sharing calls fn while nothing is removed from the tree.
func sharing(ctx context.Context, root string, fn func() error) error {
	path, err := lockFile(root)
	if err != nil {
		return err
	}
	l, err := lock.Shared(ctx, path, lockWait)
	if err != nil {
		return err
	}
	return errors.Join(fn(), l.Release())
}

// newScratch makes a scratch folder in parent, a folder of the tree at root.
func newScratch(ctx context.Context, root, parent string) (*scratch, error) {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	var s scratch
	err := sharing(ctx, root, func() (err error) { // a sweep does not see it without its lock
		if s.dir, err = os.MkdirTemp(parent, scratchPrefix); err != nil {
			return err
		}
		s.lock, err = lock.Exclusive(ctx, s.dir+lockSuffix, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &s, os.Chmod(s.dir, 0o755)
}

// discard removes what is left of it.
func (s *scratch) discard() error {
	return errors.Join(os.RemoveAll(s.dir), os.Remove(s.dir+lockSuffix), s.lock.Release())
}

// Sweep removes what writers left behind that did not end well, and returns its
// names. Those that are still at work are left alone. The caller holds the lock.
func Sweep(ctx context.Context, root string, dryRun bool) ([]string, error) {
	targets, err := subfolders(filepath.Join(root, layout.Snapshots))
	if err != nil {
		return nil, err
	}
	var swept []string
	for _, target := range targets {
		parent := filepath.Join(root, layout.Snapshots, target)
		entries, err := os.ReadDir(parent)
		if err != nil {
			return swept, err
		}
		for _, e := range entries {
			name := strings.TrimSuffix(e.Name(), lockSuffix)
			if !strings.HasPrefix(name, scratchPrefix) || e.Name() != name && isDir(filepath.Join(parent, name)) {
				continue // with its folder
			}
			done, err := sweep(ctx, filepath.Join(parent, name), dryRun)
			if err != nil {
				return swept, fmt.Errorf("removing what an interrupted run left: %w", err)
			}
			if done {
				swept = append(swept, layout.SnapshotDir(target, name))
			}
		}
	}
	return swept, nil
}

func isDir(path string) bool {
	fi, err := os.Lstat(path)
	return err == nil && fi.IsDir()
}

func sweep(ctx context.Context, dir string, dryRun bool) (bool, error) {
	if _, err := os.Lstat(dir + lockSuffix); !errors.Is(err, fs.ErrNotExist) {
		l, err := lock.Exclusive(ctx, dir+lockSuffix, 0)
		var held *lock.HeldError
		if errors.As(err, &held) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		defer l.Release() //nolint:errcheck // the file is about to be gone
	}
	if dryRun {
		return true, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return false, err
	}
	if err := os.Remove(dir + lockSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, nil
}
