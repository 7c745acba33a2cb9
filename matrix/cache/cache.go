package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

// Where layers are, below the state folder.
var (
	imageLayers = filepath.Join("layers", "images")
	rootLayers  = filepath.Join("layers", "roots")
)

// Cache is a state folder.
type Cache struct {
	state string
	store *store.Store
}

// Open opens a state folder. The error is [fs.ErrNotExist] when there is none, or it
// is somebody else's folder: nothing is ever removed from one.
func Open(state string) (*Cache, error) {
	abs, err := filepath.Abs(state)
	if err != nil {
		return nil, fmt.Errorf("the state folder %s: %w", state, err)
	}
	// Whoever keeps the state elsewhere may have a link here; below it none is followed.
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, fmt.Errorf("the state folder %s: %w", state, err)
	}
	for _, dir := range []string{"store", "store/objects", "store/records", "store/sessions"} {
		if fi, err := os.Lstat(filepath.Join(abs, dir)); err != nil || !fi.IsDir() {
			return nil, fmt.Errorf("%s is not a state folder, it has no folder %s: %w", state, dir, errors.Join(err, fs.ErrNotExist))
		}
	}
	st, err := store.Open(filepath.Join(abs, "store"))
	if err != nil {
		return nil, err
	}
	return &Cache{state: abs, store: st}, nil
}

// Free is the room left on a folder's file system for its owner, in bytes.
func Free(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:unconvert // their types depend on the architecture
}
