package lock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Lock is held until it is released or the process ends.
type Lock struct{ f *os.File }

// HeldError says that somebody else holds a lock.
type HeldError struct {
	Path   string
	Holder string // "process 4711 on host (ohpc-build repo gc), since …"; empty when it did not say
	Waited time.Duration
}

func (e *HeldError) Error() string {
	by := "another process"
	if e.Holder != "" {
		by = e.Holder
	}
	s := fmt.Sprintf("%s is held by %s", e.Path, by)
	if e.Waited > 0 {
		s += fmt.Sprintf("; waited %s for it", e.Waited)
	}
	return s + "; try again when it has ended, or wait longer (--wait)"
}

// poll is how often a lock is tried while waiting for it.
const poll = 20 * time.Millisecond

// Exclusive takes the lock in the file at path, which is made when it is missing,
// for one process alone. It waits at most that long for others; the error is then
// a *HeldError. The file tells who holds it.
func Exclusive(ctx context.Context, path string, wait time.Duration) (*Lock, error) {
	l, err := take(ctx, path, wait, unix.LOCK_EX)
	if err == nil {
		l.sign()
	}
	return l, err
}

// Shared takes the lock together with others that share it.
func Shared(ctx context.Context, path string, wait time.Duration) (*Lock, error) {
	return take(ctx, path, wait, unix.LOCK_SH)
}

func take(ctx context.Context, path string, wait time.Duration, how int) (*Lock, error) {
	// Following no link, it is not made to write elsewhere.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", withNext(err, filepath.Dir(path)))
	}
	begin := time.Now()
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return &Lock{f}, nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			return nil, errors.Join(&fs.PathError{Op: "flock", Path: path, Err: err}, f.Close())
		case time.Since(begin) >= wait:
			return nil, errors.Join(&HeldError{Path: path, Holder: holder(f), Waited: wait}, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		case <-time.After(poll):
		}
	}
}

// withNext says what to do when a lock cannot be written in a folder.
func withNext(err error, dir string) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; whoever changes what is there must be able to write in %s: do it as its owner, or let the owner give the right", err, dir)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w; what is there can only be read from here: change it where its file system can be written", err)
	}
	return err
}

// sign writes who holds the lock, for those who wait. It is held without that too:
// on a full disk things must be removable.
func (l *Lock) sign() {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	args := append([]string{filepath.Base(os.Args[0])}, os.Args[1:]...)
	text := fmt.Sprintf("process %d on %s (%s), since %s\n", os.Getpid(), host, printable(strings.Join(args, " ")), time.Now().UTC().Format(time.RFC3339))
	_ = l.f.Truncate(0)
	_, _ = l.f.WriteAt([]byte(text), 0)
}

// holder is what the one who holds the lock wrote. A lock that is shared was not
// signed, and what the file holds then is of somebody before.
func holder(f *os.File) string {
	b := make([]byte, 512)
	n, err := f.ReadAt(b, 0)
	if n == 0 && err != nil {
		return ""
	}
	line, _, _ := bytes.Cut(b[:n], []byte("\n"))
	return printable(string(line))
}

// printable keeps what another process wrote from doing things to a terminal.
func printable(s string) string {
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// Release gives the lock back. Closing the file is not enough: a process that is
// being started has it too until its program is there, and would hold on to it.
func (l *Lock) Release() error {
	return errors.Join(l.f.Truncate(0), unix.Flock(int(l.f.Fd()), unix.LOCK_UN), l.f.Close())
}
