package tarball

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Compress returns a compressor for the file name that an archive will have. It
// writes no name and no time.
func Compress(name string, w io.Writer) (io.WriteCloser, error) {
	switch {
	case strings.HasSuffix(name, ".tar"):
		return nopCloser{w}, nil
	case strings.HasSuffix(name, ".tar.gz"), strings.HasSuffix(name, ".tgz"):
		return gzip.NewWriterLevel(w, gzip.BestCompression)
	case strings.HasSuffix(name, ".tar.xz"):
		return xz.NewWriter(w)
	case strings.HasSuffix(name, ".tar.zst"):
		// One worker: the output must not depend on the number of processors.
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	default:
		return nil, fmt.Errorf("the file name must end in .tar, .tar.gz, .tar.xz or .tar.zst, not %s", path.Ext(name))
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// Writer writes an archive that is the same for the same content: entries in
// the order they are added, no owners, one time for all, and of the permissions
// only whether a file is executable.
type Writer struct {
	w      *tar.Writer
	prefix string // a folder that everything is put into
	time   time.Time
	left   int64 // bytes that may still be added
	limit  int64
}

// New returns a writer of an archive in which everything lies in the folder
// prefix and has the time t. The files together may have limit bytes.
func New(w io.Writer, prefix string, t time.Time, limit int64) *Writer {
	return &Writer{w: tar.NewWriter(w), prefix: strings.TrimSuffix(prefix, "/"), time: t.UTC().Truncate(time.Second), left: limit, limit: limit}
}

// name refuses what would unpack to somewhere else.
func (t *Writer) name(rel string) (string, error) {
	if !fs.ValidPath(rel) || strings.ContainsRune(rel, 0) {
		return "", fmt.Errorf("%q is not a path that an archive may have", rel)
	}
	return path.Join(t.prefix, rel), nil
}

// Folder adds a folder.
func (t *Writer) Folder(rel string) error {
	name, err := t.name(rel)
	if err != nil {
		return err
	}
	return t.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: t.time})
}

// Link adds a symbolic link.
func (t *Writer) Link(rel, target string) error {
	name, err := t.name(rel)
	if err != nil {
		return err
	}
	return t.w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, ModTime: t.time})
}

// File adds a file of size bytes, which r must have.
func (t *Writer) File(rel string, executable bool, size int64, r io.Reader) error {
	name, err := t.name(rel)
	if err != nil {
		return err
	}
	if t.left -= size; t.left < 0 {
		return &SizeError{t.limit}
	}
	mode := int64(0o644)
	if executable {
		mode = 0o755
	}
	if err := t.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: mode, ModTime: t.time}); err != nil {
		return err
	}
	n, err := io.Copy(t.w, io.LimitReader(r, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Close ends the archive; what it is written to stays open.
func (t *Writer) Close() error { return t.w.Close() }

// SizeError says that a source is larger than is allowed.
type SizeError struct{ Limit int64 } // bytes

func (e *SizeError) Error() string {
	return fmt.Sprintf("it is larger than the limit of %d MiB", e.Limit>>20)
}
