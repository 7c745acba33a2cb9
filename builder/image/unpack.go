package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder/image/layer"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

// Root is a root file system, ready for overlayfs.
type Root struct {
	Digest store.Digest // of the image's configuration
	Layers []string     // folders, the uppermost first; only to be read
	Env    []string     // what the image sets
}

// Unpack returns the image's layers as folders. What was unpacked before is used
// as it is.
func (s *Images) Unpack(ctx context.Context, img *Image) (*Root, error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("unpacking the image %s: %w", img.Digest.Short(), err)
	}
	root := &Root{Digest: img.Digest, Env: img.Env}
	for i := len(img.Layers) - 1; i >= 0; i-- {
		dir, err := s.unpackLayer(ctx, img.Layers[i])
		if err != nil {
			return nil, fmt.Errorf("unpacking layer %d of the image %s: %w", i+1, img.Digest.Short(), err)
		}
		root.Layers = append(root.Layers, dir)
	}
	return root, nil
}

func (s *Images) unpackLayer(ctx context.Context, l Layer) (string, error) {
	dir := filepath.Join(s.dir, l.DiffID.Hex())
	if isDir(dir) {
		return dir, nil
	}
	unlock, err := s.lock(ctx, l.DiffID.Hex())
	if err != nil {
		return "", err
	}
	defer unlock()
	if isDir(dir) {
		return dir, nil
	}
	tmp, err := os.MkdirTemp(s.dir, ".new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", err
	}
	if err := s.apply(ctx, tmp, l); err != nil {
		// A blob that has rotted is of no use to anybody, and its image is taken
		// for absent and made anew once it is gone. Decompression often stumbles
		// before the digest tells.
		var corrupt *store.CorruptError
		if _, verr := s.store.Path(l.Blob); errors.As(verr, &corrupt) {
			os.Remove(corrupt.Path)
			return "", fmt.Errorf("%w; it was removed, and the next run gets it anew", corrupt)
		}
		return "", err
	}
	// The name says that the folder is whole, even after the power was cut.
	if err := store.SyncFileSystem(tmp); err != nil {
		return "", err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return "", err
	}
	return dir, nil
}

// apply unpacks a layer's blob and verifies both of its digests on the way.
func (s *Images) apply(ctx context.Context, dir string, l Layer) error {
	r, err := uncompressed(s.store, l)
	if err != nil {
		return err
	}
	defer r.Close()
	return layer.Unpack(ctx, dir, r)
}

// uncompressed opens a layer's archive.
func uncompressed(st *store.Store, l Layer) (io.ReadCloser, error) {
	blob, err := st.Open(l.Blob)
	if err != nil {
		return nil, err
	}
	return layer.Open(blob, l.DiffID)
}

// lock waits until no other process holds the lock of that name. The kernel
// gives it back when its owner dies.
func (s *Images) lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("locking an image: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.dir, "."+name+".lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking an image: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func isDir(path string) bool {
	fi, err := os.Lstat(path)
	return err == nil && fi.IsDir()
}
