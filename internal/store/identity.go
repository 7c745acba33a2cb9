package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// Identity tells whether an object's file is the one that it was when its bytes were
// hashed. Whoever keeps identities for another process has what is unchanged not
// hashed there: see [Store.Vouch].
type Identity struct {
	Device, Inode  uint64
	Size, Modified int64 // bytes; nanoseconds since 1970
	// Changed is when the file was written to, linked or renamed last, in nanoseconds
	// since 1970. Nobody can set it: a file whose time of modification was put back is
	// another one.
	Changed int64
}

// Identity is that of an object's file, which this store has verified or was vouched for,
// and which nobody has written to since.
func (s *Store) Identity(d Digest) (Identity, error) {
	now, err := s.identity(d)
	if err != nil {
		return Identity{}, err
	}
	unlinked := now
	unlinked.Changed = 0
	if was, ok := s.verified.find(d); !ok || was != unlinked {
		return Identity{}, fmt.Errorf("object %s has not been verified as it is now", d)
	}
	return now, nil
}

// identity is that of the file as it is. What it holds is not looked at.
func (s *Store) identity(d Digest) (Identity, error) {
	fi, err := os.Lstat(s.objectPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, fmt.Errorf("object %s: %w", d, ErrNotFound)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("reading from the store: %w", err)
	}
	id := identify(fi)
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		id.Changed = st.Ctim.Nano()
	}
	return id, nil
}

// Vouch tells the store that an object was verified when its file had that identity.
// If the file still has it, it is not hashed again by this store, and Vouch returns true.
func (s *Store) Vouch(d Digest, was Identity) bool {
	now, err := s.identity(d)
	if err != nil || now != was {
		return false
	}
	now.Changed = 0
	s.verified.add(d, now)
	return true
}

// verified is what this process has hashed, by digest and without Changed. There may be
// as many as the packages of a hundred thousand jobs.
type verified struct {
	mu  sync.RWMutex
	was map[Digest]Identity
}

func (v *verified) add(d Digest, id Identity) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.was == nil {
		v.was = map[Digest]Identity{}
	}
	v.was[d] = id
}

func (v *verified) find(d Digest) (id Identity, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	id, ok = v.was[d]
	return id, ok
}

// identify is the identity without Changed, which the store's own links change.
func identify(fi fs.FileInfo) Identity {
	id := Identity{Size: fi.Size(), Modified: fi.ModTime().UnixNano()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		id.Device, id.Inode = uint64(st.Dev), st.Ino //nolint:unconvert // its width depends on the architecture
	}
	return id
}
