package lock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Tidy shares a folder with others that make files in it under temporary names, which
// match the patterns (see filepath.Match), until it is released. Who is alone there removes
// first what interrupted ones left. It is the folder itself that is locked: nothing
// else is left in it. Where a file system knows no such locks, nothing is removed.
func Tidy(dir string, patterns ...string) (release func() error, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		err = removeFiles(dir, patterns)
	}
	// Nothing is made before: another one may remove what is left in between.
	lerr := unix.Flock(int(f.Fd()), unix.LOCK_SH)
	for errors.Is(lerr, unix.EINTR) {
		lerr = unix.Flock(int(f.Fd()), unix.LOCK_SH)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// removeFiles removes a folder's files, and nothing else, whose names match.
func removeFiles(dir string, patterns []string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		for _, p := range patterns {
			match, err := filepath.Match(p, e.Name())
			if err != nil {
				return err
			}
			if !match || !e.Type().IsRegular() {
				continue
			}
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
