package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

const (
	// Bounds on what a layer may unpack to. Real ones have some gigabytes and
	// some hundred thousand files; a hostile one would fill the disk.
	maxUnpacked = 64 << 30
	maxEntries  = 4 << 20

	// maxWindow bounds what decompression keeps in memory, in bytes.
	maxWindow = 128 << 20
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
	if err := syncFileSystem(tmp); err != nil {
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
	entries := 0
	_, err = archive.Apply(ctx, dir, r,
		archive.WithConvertWhiteout(archive.OverlayConvertWhiteout),
		archive.WithFilter(func(*tar.Header) (bool, error) {
			entries++
			if entries > maxEntries {
				return false, fmt.Errorf("more than %d files", maxEntries)
			}
			return true, nil
		}))
	if err != nil {
		return err
	}
	// The archive's end is not the blob's: what comes after counts in the digests.
	_, err = io.Copy(io.Discard, r)
	return err
}

// uncompressed opens a layer's archive. Its last Read returns an error instead of
// io.EOF when the blob or the archive does not have the digest that it should.
func uncompressed(st *store.Store, l Layer) (io.ReadCloser, error) {
	blob, err := st.Open(l.Blob)
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewReaderSize(blob, 1<<20)
	r := &diffReader{want: l.DiffID, hash: sha256.New(), blob: buffered, closers: []func() error{blob.Close}}
	magic, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		blob.Close()
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		zr, err := gzip.NewReader(buffered)
		if err != nil {
			blob.Close()
			return nil, fmt.Errorf("reading %s: %w", l.Blob, err)
		}
		r.archive = zr
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		zr, err := zstd.NewReader(buffered, zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			blob.Close()
			return nil, fmt.Errorf("reading %s: %w", l.Blob, err)
		}
		r.archive = zr
		r.closers = append(r.closers, func() error { zr.Close(); return nil })
	default:
		r.archive = buffered
	}
	return r, nil
}

// diffReader reads an archive and compares its digest, and its blob's, at the end.
type diffReader struct {
	archive io.Reader
	blob    io.Reader // what archive reads from
	hash    hash.Hash
	n       int64
	want    store.Digest
	closers []func() error
}

func (r *diffReader) Read(p []byte) (int, error) {
	n, err := r.archive.Read(p)
	r.hash.Write(p[:n])
	r.n += int64(n)
	if r.n > maxUnpacked {
		return n, fmt.Errorf("unpacks to more than %d bytes", int64(maxUnpacked))
	}
	if errors.Is(err, io.EOF) {
		// Decompressors stop at their own end; only the blob's end verifies it.
		if _, err := io.Copy(io.Discard, r.blob); err != nil {
			return n, err
		}
		if got := hex.EncodeToString(r.hash.Sum(nil)); got != r.want.Hex() {
			return n, fmt.Errorf("its archive has the digest sha256:%s, its image promises %s", got, r.want)
		}
	}
	return n, err
}

func (r *diffReader) Close() error {
	var errs []error
	for i := len(r.closers) - 1; i >= 0; i-- {
		errs = append(errs, r.closers[i]())
	}
	return errors.Join(errs...)
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

func syncFileSystem(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &fs.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return nil
}
