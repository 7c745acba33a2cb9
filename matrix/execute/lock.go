package execute

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

// lockEvery is how often a process looks whether another one has ended.
const lockEvery = 100 * time.Millisecond

// lock takes the turn to run the job of a key. Whoever has to wait is told, once.
// The kernel gives the lock back when the process ends, however it ends.
func lock(ctx context.Context, state string, key store.Digest, wait func()) (free func(), err error) {
	path := filepath.Join(Folder(state), key.Hex()+".lock")
	for told := false; ; {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil && same(f, path) {
			return func() {
				os.Remove(path) // as long as it is locked; whoever waits for this file looks again
				f.Close()
			}, nil
		}
		f.Close()
		if err == nil {
			continue // it was removed between opening and locking
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, &fs.PathError{Op: "flock", Path: path, Err: err}
		}
		if !told {
			wait()
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockEvery):
		}
	}
}

// same says whether an open file is still the one of that name.
func same(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// leftover is how old a description is that nobody is going to run any more.
const leftover = time.Hour

// Clean removes from a state folder what processes that have died left of jobs.
func Clean(state string) error {
	entries, err := os.ReadDir(Folder(state))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cleaning up after earlier jobs: %w", err)
	}
	var errs []error
	for _, e := range entries {
		path := filepath.Join(Folder(state), e.Name())
		if filepath.Ext(path) != ".lock" && !strings.HasPrefix(e.Name(), newPrefix) {
			fi, err := e.Info()
			if err == nil && time.Since(fi.ModTime()) > leftover {
				errs = append(errs, os.Remove(path))
			}
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			continue // its owner has ended by now
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && same(f, path) {
			errs = append(errs, os.Remove(path))
		}
		f.Close()
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cleaning up after earlier jobs: %w", err)
	}
	return nil
}
