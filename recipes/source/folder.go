package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source/tarball"
)

// folderTime is the time of every file in the archive of a folder, whose files'
// own times say when they were copied there.
var folderTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// archiveFolder writes a folder of this machine, without what belongs to version
// control.
func (f *Fetcher) archiveFolder(ctx context.Context, folder recipes.Folder, w io.Writer) error {
	root, err := OpenLocal(f.options.local, folder.Path)
	if err != nil {
		return err
	}
	defer io.Closer(root).Close()
	t := tarball.New(w, folder.Prefix, folderTime, f.options.maxSize)
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
			return t.Folder(name)
		case entry.Type() == fs.ModeSymlink:
			target, err := root.Readlink(name)
			if err != nil {
				return err
			}
			return t.Link(name, target)
		case entry.Type().IsRegular():
			return addFile(t, root, name)
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link", name)
		}
	})
	if err != nil {
		return err
	}
	return t.Close()
}

func addFile(t *tarball.Writer, root *os.Root, name string) error {
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return err
	}
	return t.File(name, fi.Mode()&0o100 != 0, fi.Size(), file)
}

// OpenLocal opens a folder of this machine that recipes may use: it must lie in
// the folder allowed, and there is none when that is empty. Links that lead out of
// it are not followed.
func OpenLocal(allowed, dir string) (*os.Root, error) {
	rel, err := localPath(allowed, dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(allowed)
	if err != nil {
		return nil, err
	}
	defer io.Closer(root).Close()
	return root.OpenRoot(rel)
}

// localPath is a folder's path below what was allowed.
func localPath(allowed, dir string) (string, error) {
	if allowed == "" {
		return "", errors.New("sources from this machine are not allowed; name the folder they may come from")
	}
	root, err := filepath.Abs(allowed)
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
