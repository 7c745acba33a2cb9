// Package overlay looks files up in the layers of an overlay that is not mounted,
// as the kernel would: upper layers hide lower ones, and links are followed
// inside the root, so that no layer leads out of it.
package overlay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks is the kernel's bound on symbolic links in one path.
const maxLinks = 40

// Layers are the folders of a root file system, the uppermost first.
type Layers []string

// Entry is what a path of a root leads to.
type Entry struct {
	Path   string // free of symbolic links
	Source string // where it lies on the host; "" for a folder

	dirs []string // a folder: where its parts lie on the host, the uppermost first
}

// Find follows a path as a process inside the root would. The error is
// fs.ErrNotExist when it leads nowhere; the entry's Path is then the place that
// would have to be made.
func (l Layers) Find(name string) (Entry, error) {
	top := Entry{Path: "/", dirs: l}
	stack := []Entry{top}
	rest := strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		here := stack[len(stack)-1]
		switch part {
		case "", ".":
			continue
		case "..":
			stack = stack[:max(len(stack)-1, 1)]
			continue
		}
		next, target, err := here.step(part)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// path.Join cleans; a ".." cannot leave what does not exist.
			missing := path.Join(append([]string{here.Path, part}, rest...)...)
			return Entry{Path: missing}, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		case err != nil:
			return Entry{}, fmt.Errorf("looking up %s: %w", name, err)
		case target != "":
			if links++; links > maxLinks {
				return Entry{}, fmt.Errorf("looking up %s: %w", name, syscall.ELOOP)
			}
			if path.IsAbs(target) {
				stack = stack[:1]
			}
			rest = append(strings.Split(target, "/"), rest...)
		case next.Source != "" && len(rest) > 0:
			return Entry{}, fmt.Errorf("looking up %s: %s: %w", name, next.Path, syscall.ENOTDIR)
		default:
			stack = append(stack, next)
		}
	}
	return stack[len(stack)-1], nil
}

// step enters one name of a folder. For a symbolic link it returns its target.
func (e Entry) step(name string) (next Entry, target string, err error) {
	next.Path = path.Join(e.Path, name)
	for _, dir := range e.dirs {
		at := filepath.Join(dir, name)
		fi, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return Entry{}, "", err
		}
		if fi.IsDir() {
			next.dirs = append(next.dirs, at)
			if opaque(at) {
				break
			}
			continue
		}
		if whiteout(fi) || len(next.dirs) > 0 {
			break // the layers below are hidden
		}
		if fi.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(at)
			return Entry{}, target, err
		}
		next.Source = at
		return next, "", nil
	}
	if len(next.dirs) == 0 {
		return Entry{}, "", fs.ErrNotExist
	}
	return next, "", nil
}

// List returns the sorted names in a folder; none when there is no such folder.
func (l Layers) List(name string) ([]string, error) {
	folder, err := l.Find(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var names []string
	for _, dir := range folder.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(name string) bool {
		_, _, err := folder.step(name)
		return errors.Is(err, fs.ErrNotExist) // removed by a layer
	}), nil
}

// Place is where a path lies when nothing needs to lie there yet.
func (l Layers) Place(name string) (string, error) {
	e, err := l.Find(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return e.Path, nil
}

// whiteout and opaque are overlayfs's marks for what a layer removes
// (Documentation/filesystems/overlayfs.rst).
func whiteout(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && fi.Mode()&fs.ModeCharDevice != 0 && st.Rdev == 0
}

func opaque(dir string) bool {
	var mark [1]byte
	for _, name := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
		if n, err := unix.Lgetxattr(dir, name, mark[:]); err == nil && n == 1 && mark[0] == 'y' {
			return true
		}
	}
	return false
}
