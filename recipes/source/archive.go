package source

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/ohpc-build/ohpc-build/recipes"
)

// compress returns a compressor for the file name that an archive will have. It
// writes no name and no time.
func compress(name string, w io.Writer) (io.WriteCloser, error) {
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

// tarball writes an archive that is the same for the same content: entries in
// the order they are added, no owners, one time for all, and of the permissions
// only whether a file is executable.
type tarball struct {
	w      *tar.Writer
	prefix string // a folder that everything is put into
	time   time.Time
	left   int64 // bytes that may still be added
	limit  int64
}

func newTarball(w io.Writer, prefix string, t time.Time, limit int64) *tarball {
	return &tarball{w: tar.NewWriter(w), prefix: strings.TrimSuffix(prefix, "/"), time: t.UTC().Truncate(time.Second), left: limit, limit: limit}
}

// name refuses what would unpack to somewhere else.
func (t *tarball) name(rel string) (string, error) {
	if !fs.ValidPath(rel) || strings.ContainsRune(rel, 0) {
		return "", fmt.Errorf("%q is not a path that an archive may have", rel)
	}
	return path.Join(t.prefix, rel), nil
}

func (t *tarball) folder(rel string) error {
	name, err := t.name(rel)
	if err != nil {
		return err
	}
	return t.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: t.time})
}

func (t *tarball) link(rel, target string) error {
	name, err := t.name(rel)
	if err != nil {
		return err
	}
	return t.w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, ModTime: t.time})
}

func (t *tarball) file(rel string, executable bool, size int64, r io.Reader) error {
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

func (t *tarball) close() error { return t.w.Close() }

// folderTime is the time of every file in the archive of a folder, whose files'
// own times say when they were copied there.
var folderTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// archiveFolder writes a folder of this machine, without what belongs to version
// control.
func (f *Fetcher) archiveFolder(ctx context.Context, folder recipes.Folder, w io.Writer) error {
	root, err := f.openLocal(folder.Path)
	if err != nil {
		return err
	}
	defer io.Closer(root).Close()
	t := newTarball(w, folder.Prefix, folderTime, f.options.maxSize)
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case name == ".":
			return nil
		case entry.IsDir() && entry.Name() == ".git":
			return fs.SkipDir
		case entry.IsDir():
			return t.folder(name)
		case entry.Type() == fs.ModeSymlink:
			target, err := root.Readlink(name)
			if err != nil {
				return err
			}
			return t.link(name, target)
		case entry.Type().IsRegular():
			return addFile(t, root, name)
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link", name)
		}
	})
	if err != nil {
		return err
	}
	return t.close()
}

func addFile(t *tarball, root *os.Root, name string) error {
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return err
	}
	return t.file(name, fi.Mode()&0o100 != 0, fi.Size(), file)
}

// openLocal opens a folder of this machine that recipes may use. Links that
// lead out of what was allowed are not followed.
func (f *Fetcher) openLocal(dir string) (*os.Root, error) {
	rel, err := f.localPath(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(f.options.local)
	if err != nil {
		return nil, err
	}
	defer io.Closer(root).Close()
	return root.OpenRoot(rel)
}

// localPath is a folder's path below what was allowed.
func (f *Fetcher) localPath(dir string) (string, error) {
	if f.options.local == "" {
		return "", errors.New("sources from this machine are not allowed; name the folder they may come from")
	}
	root, err := filepath.Abs(f.options.local)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(root, dir)
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("it is not in %s, from where sources may come", root)
	}
	return rel, nil
}
