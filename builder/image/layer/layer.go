package layer

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
	"maps"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder/rootless"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

const (
	// Bounds on what a layer may unpack to. Real ones have some gigabytes and
	// some hundred thousand files; a hostile one would fill the disk.
	maxUnpacked = 64 << 30
	maxEntries  = 4 << 20

	// maxWindow bounds what decompression keeps in memory, in bytes.
	maxWindow = 128 << 20

	// paxAttribute begins the archive's records of extended attributes.
	paxAttribute = "SCHILY.xattr."
)

// Unpack writes the files of a layer's archive to dir, as a lower layer for
// overlayfs, and reads the archive to its end.
//
// Of the extended attributes only the users' own and file capabilities are kept:
// others say something to this host's kernel, such as overlayfs's notes about the
// layers below, and a user namespace may not set them.
func Unpack(ctx context.Context, dir string, r io.Reader) error {
	entries := 0
	mapped := rootless.Inside()
	_, err := archive.Apply(
		ctx, dir, r,
		archive.WithConvertWhiteout(func(hdr *tar.Header, path string) (bool, error) {
			if mapped && filepath.Base(path) == whiteoutOpaque {
				// As the overlay is told by its option userxattr.
				return false, unix.Setxattr(filepath.Dir(path), "user.overlay.opaque", []byte{'y'}, 0)
			}
			return archive.OverlayConvertWhiteout(hdr, path)
		}),
		archive.WithFilter(func(hdr *tar.Header) (bool, error) {
			entries++
			if entries > maxEntries {
				return false, fmt.Errorf("more than %d files", maxEntries)
			}
			maps.DeleteFunc(hdr.PAXRecords, func(record, _ string) bool {
				name, ok := strings.CutPrefix(record, paxAttribute)
				return ok && !kept(name)
			})
			return true, nil
		}),
	)
	if err != nil {
		return err
	}
	// What comes after the archive's end counts in its digest.
	_, err = io.Copy(io.Discard, r)
	return err
}

// kept says whether an extended attribute of an archive's is set on its file.
func kept(name string) bool {
	return name == "security.capability" || strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.")
}

// Open returns the archive that a blob holds: plain, or compressed with gzip or
// zstd. Its last Read returns an error instead of io.EOF when the archive does not
// have the digest want, or when the blob's own last Read does. Close closes the
// blob as well.
func Open(blob io.ReadCloser, want store.Digest) (io.ReadCloser, error) {
	r, err := open(blob, want)
	if err != nil {
		blob.Close()
		return nil, fmt.Errorf("reading a layer: %w", err)
	}
	return r, nil
}

func open(blob io.ReadCloser, want store.Digest) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(blob, 1<<20)
	r := &reader{archive: buffered, blob: buffered, want: want, hash: sha256.New(), closers: []func() error{blob.Close}}
	magic, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		if r.archive, err = gzip.NewReader(buffered); err != nil {
			return nil, err
		}
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		zr, err := zstd.NewReader(buffered, zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		r.archive = zr
		r.closers = append(r.closers, func() error { zr.Close(); return nil })
	}
	return r, nil
}

// reader reads an archive and compares its digest at the end.
type reader struct {
	archive io.Reader
	blob    io.Reader // what archive reads from
	want    store.Digest
	hash    hash.Hash
	n       int64
	closers []func() error
}

func (r *reader) Read(p []byte) (int, error) {
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

func (r *reader) Close() error {
	var errs []error
	for i := len(r.closers) - 1; i >= 0; i-- {
		errs = append(errs, r.closers[i]())
	}
	return errors.Join(errs...)
}
