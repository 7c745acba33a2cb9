package create

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/repo/durable"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// workplace is the folder in which metadata are made, beside those that they
// replace. As long as it is open no other process has one there. The lock is on
// the folder itself and ends with the process, so that none is ever left.
type workplace struct {
	output string
	dir    string // has repodata
	lock   *os.File
}

// temporary begins the name of the folder. What a run that was killed has left
// of it is removed by the next one.
const temporary = ".repodata-"

func openWorkplace(output string) (*workplace, error) {
	if err := os.MkdirAll(output, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder for metadata: %w", err)
	}
	lock, err := os.Open(output)
	if err != nil {
		return nil, fmt.Errorf("locking the folder for metadata: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrBusy
		}
		return nil, fmt.Errorf("locking %s: %w", output, err)
	}
	w := &workplace{output: output, dir: filepath.Join(output, temporary+"new"), lock: lock}
	if fi, err := os.Lstat(w.path(rpmmd.Dir)); err == nil && !fi.IsDir() {
		lock.Close()
		return nil, fmt.Errorf("%s is not a folder: it is to be replaced by one, so move it away, or name another place with --outputdir", w.path(rpmmd.Dir))
	}
	if err := w.empty(); err != nil {
		lock.Close()
		return nil, err
	}
	return w, nil
}

func (w *workplace) path(name string) string {
	return filepath.Join(w.output, filepath.FromSlash(name))
}

func (w *workplace) made(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

// empty begins anew.
func (w *workplace) empty() error {
	if err := os.RemoveAll(w.dir); err != nil {
		return fmt.Errorf("removing what an earlier run has left: %w", err)
	}
	if err := os.MkdirAll(w.made(rpmmd.Dir), 0o755); err != nil {
		return fmt.Errorf("making metadata: %w", err)
	}
	return os.Chmod(w.made(rpmmd.Dir), 0o755) // whatever the umask
}

func (w *workplace) close() {
	os.RemoveAll(w.dir)
	// Not only closed: a process that is just being started has the file too.
	_ = unix.Flock(int(w.lock.Fd()), unix.LOCK_UN)
	w.lock.Close()
}

// keep takes a data file over from the old metadata, if it is as they say.
func (w *workplace) keep(d rpmmd.Data) error {
	if path.Dir(d.Location) != rpmmd.Dir {
		return fmt.Errorf("keeping the %s of the old metadata: it lies at %s, outside of %s; --discard-additional-metadata leaves it out", d.Type, d.Location, rpmmd.Dir)
	}
	if err := w.keepVerified(d); err != nil {
		return fmt.Errorf("keeping the %s of the old metadata (--discard-additional-metadata leaves it out): %w", d.Type, err)
	}
	return nil
}

func (w *workplace) keepVerified(d rpmmd.Data) error {
	f, err := os.Open(w.path(d.Location))
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := rpmmd.NewHash(d.Checksum.Type)
	if err != nil {
		return err
	}
	if n, err := io.Copy(h, f); err != nil {
		return err
	} else if got := fmt.Sprintf("%x", h.Sum(nil)); got != d.Checksum.Value || n != d.Size {
		return &rpmmd.MismatchError{File: f.Name(), What: d.Checksum.Type + " digest", Want: d.Checksum.Value, Got: got}
	}
	return os.Link(w.path(d.Location), w.made(d.Location))
}

// differs says whether what was made is other than what is there.
func (w *workplace) differs() (bool, error) {
	files, err := os.ReadDir(w.made(rpmmd.Dir))
	if err != nil {
		return false, err
	}
	for _, f := range files {
		name := rpmmd.Dir + "/" + f.Name()
		same, err := sameFile(w.made(name), w.path(name))
		if err != nil || !same {
			return true, err
		}
	}
	return false, nil
}

// sameFile compares a file with another one that need not be there.
func sameFile(one, two string) (bool, error) {
	a, err := os.Open(one)
	if err != nil {
		return false, err
	}
	defer a.Close()
	b, err := os.Open(two)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer b.Close()
	bufA, bufB := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		switch {
		case !bytes.Equal(bufA[:n], bufB[:m]):
			return false, nil
		case errA != nil && errB != nil:
			return atEnd(errA) && atEnd(errB), nil
		case errA != nil || errB != nil:
			return false, nil
		}
	}
}

func atEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// setTimes gives all files a time.
func (w *workplace) setTimes(at time.Time) error {
	files, err := os.ReadDir(w.made(rpmmd.Dir))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.Chtimes(w.made(rpmmd.Dir+"/"+f.Name()), at, at); err != nil {
			return fmt.Errorf("setting the times of metadata: %w", err)
		}
	}
	return nil
}

// publish replaces the old metadata in one step, or as nearly as the file system
// can: everything that the new ones need is there before they are.
func (w *workplace) publish(old *rpmmd.Repomd, retain Retain) error {
	kept, err := retain.files(w.path(rpmmd.Dir), old)
	if err != nil {
		return fmt.Errorf("keeping old metadata: %w", err)
	}
	for _, name := range kept {
		name = rpmmd.Dir + "/" + name
		if err := os.Link(w.path(name), w.made(name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("keeping old metadata: %w", err)
		}
	}
	if err := w.sync(); err != nil {
		return fmt.Errorf("making the metadata durable: %w", err)
	}
	if err := exchange(w.made(rpmmd.Dir), w.path(rpmmd.Dir)); err != nil {
		return fmt.Errorf("replacing the metadata: %w", err)
	}
	return durable.Sync(os.Open, w.output)
}

// sync makes what was made durable; all files at once, which a disk does in the
// time of one.
func (w *workplace) sync() error {
	files, err := os.ReadDir(w.made(rpmmd.Dir))
	if err != nil {
		return err
	}
	names := []string{w.made(rpmmd.Dir)}
	for _, e := range files {
		names = append(names, w.made(rpmmd.Dir+"/"+e.Name()))
	}
	return durable.Sync(os.Open, names...)
}

// exchange puts one folder where another one is, or is not.
func exchange(made, place string) error {
	err := os.Rename(made, place)
	if err == nil {
		return nil
	}
	if _, missing := os.Lstat(place); missing != nil {
		return err
	}
	err = unix.Renameat2(unix.AT_FDCWD, made, unix.AT_FDCWD, place, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return fillIn(made, place)
	}
	return err
}

// fillIn replaces files one by one where folders cannot be exchanged, as on NFS:
// repomd.xml last, then what it no longer names goes.
func fillIn(made, place string) error {
	files, err := os.ReadDir(made)
	if err != nil {
		return err
	}
	fresh := map[string]bool{}
	last := filepath.Base(rpmmd.RepomdFile)
	move := func(name string) error { return os.Rename(filepath.Join(made, name), filepath.Join(place, name)) }
	for _, f := range files {
		if fresh[f.Name()] = true; f.Name() != last {
			if err := move(f.Name()); err != nil {
				return err
			}
		}
	}
	if err := move(last); err != nil {
		return err
	}
	files, err = os.ReadDir(place)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !fresh[f.Name()] {
			if err := os.RemoveAll(filepath.Join(place, f.Name())); err != nil {
				return err
			}
		}
	}
	return durable.Sync(os.Open, place)
}
