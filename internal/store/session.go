package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// session is one use of the store by one process: a locked file whose name begins
// the name of each temporary file of that use. The kernel gives the lock back
// when the process ends, however it ends, so that what it has left is found.
type session struct {
	name string
	lock *os.File
}

// newSession begins a session and removes what dead ones have left.
func newSession(dir string) (*session, error) {
	sessions := filepath.Join(dir, "sessions")
	// While the gate is locked no session begins: one that is not locked yet would
	// be taken for a dead one.
	gate, err := lockGate(sessions)
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	alive, err := removeDead(sessions)
	if err != nil {
		return nil, err
	}
	if err := removeTemporary(filepath.Join(dir, "tmp"), alive); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(sessions, "")
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return &session{name: filepath.Base(f.Name()), lock: f}, nil
}

// lockGate waits until no other process begins a session, or sweeps the store alone.
func lockGate(sessions string) (*os.File, error) {
	gate, err := os.Open(sessions)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(gate.Fd()), unix.LOCK_EX)
		if err == nil {
			return gate, nil
		}
		if !errors.Is(err, unix.EINTR) {
			gate.Close()
			return nil, &fs.PathError{Op: "flock", Path: sessions, Err: err}
		}
	}
}

// removeDead returns the sessions that somebody still holds.
func removeDead(sessions string) (alive map[string]bool, err error) {
	entries, err := os.ReadDir(sessions)
	if err != nil {
		return nil, err
	}
	alive = map[string]bool{}
	for _, e := range entries {
		path := filepath.Join(sessions, e.Name())
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			err = os.Remove(path)
		} else {
			alive[e.Name()] = true
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return alive, nil
}

// removeTemporary removes what belongs to no session that lives.
func removeTemporary(tmp string, alive map[string]bool) error {
	entries, err := os.ReadDir(tmp)
	if err != nil {
		return err
	}
	for _, e := range entries {
		owner, _, _ := strings.Cut(e.Name(), ".")
		if alive[owner] {
			continue
		}
		// Programs that a killed process has left may still write there, until
		// somebody ends them: then it goes another time.
		if err := os.RemoveAll(filepath.Join(tmp, e.Name())); err != nil && !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
	}
	return nil
}

// pattern is a name for [os.CreateTemp] that tells whose the file is.
func (s *session) pattern(name string) string { return s.name + "." + name }
