package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// markEvery is how old the mark of an entry's last use may grow while the entry
// is in use. The mark is the file's modification time: access times are not kept
// everywhere, and a plan that reads ten thousand records must not write as many.
const markEvery = 24 * time.Hour

// use marks the entry at path as used. The error is [fs.ErrNotExist] when there is
// none. An entry that is marked stays as long as this process lives: see [Sweep].
func (s *Store) use(path string) error {
	_, err := s.used(path)
	return err
}

// used is use, and what the file was before.
func (s *Store) used(path string) (fs.FileInfo, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	// A file with more names is part of a published repository, whose times are
	// its own. The record that led here has a mark.
	if time.Since(fi.ModTime()) < markEvery || !fi.Mode().IsRegular() || links(fi) > 1 {
		return fi, nil
	}
	unlock, err := s.lockEntries(unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer unlock()
	now := unix.NsecToTimespec(time.Now().UnixNano())
	err = unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{now, now}, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &fs.PathError{Op: "utimes", Path: path, Err: err}
	}
	return fi, nil // who may not write may still read
}

// lockEntries keeps a sweep from removing entries (LOCK_SH) or everybody from
// making and marking them (LOCK_EX). It is held for moments only.
func (s *Store) lockEntries(how int) (unlock func(), err error) {
	f, err := os.Open(filepath.Join(s.dir, "objects"))
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}
