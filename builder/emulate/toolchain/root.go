package toolchain

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

// Root is a root file system as its overlay layers.
type Root struct {
	Arch   string   // as rpm calls it: x86_64, aarch64
	Digest string   // of what the layers hold
	Layers []string // folders, the uppermost first
}

// entry is what a path of a root leads to.
type entry struct {
	path   string   // free of symbolic links
	source string   // a regular or special file: where it lies on the host
	dirs   []string // a folder: where its parts lie on the host, the uppermost first
}

// find follows a path as a process inside the root would. The error is
// fs.ErrNotExist when it leads nowhere; the entry's path is then the place that
// would have to be made.
func (r Root) find(name string) (entry, error) {
	top := entry{path: "/", dirs: r.Layers}
	stack := []entry{top}
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
			missing := path.Join(append([]string{here.path, part}, rest...)...)
			return entry{path: missing}, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		case err != nil:
			return entry{}, fmt.Errorf("looking up %s: %w", name, err)
		case target != "":
			if links++; links > maxLinks {
				return entry{}, fmt.Errorf("looking up %s: %w", name, syscall.ELOOP)
			}
			if path.IsAbs(target) {
				stack = stack[:1]
			}
			rest = append(strings.Split(target, "/"), rest...)
		case next.source != "" && len(rest) > 0:
			return entry{}, fmt.Errorf("looking up %s: %s: %w", name, next.path, syscall.ENOTDIR)
		default:
			stack = append(stack, next)
		}
	}
	return stack[len(stack)-1], nil
}

// step enters one name of a folder. For a symbolic link it returns its target.
func (e entry) step(name string) (next entry, target string, err error) {
	next.path = path.Join(e.path, name)
	for _, dir := range e.dirs {
		at := filepath.Join(dir, name)
		fi, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return entry{}, "", err
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
			return entry{}, target, err
		}
		next.source = at
		return next, "", nil
	}
	if len(next.dirs) == 0 {
		return entry{}, "", fs.ErrNotExist
	}
	return next, "", nil
}

// list returns the sorted names in a folder; none when there is no such folder.
func (r Root) list(name string) ([]string, error) {
	folder, err := r.find(name)
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

// mountPoint is where a path lies when nothing needs to lie there yet.
func (r Root) mountPoint(name string) (string, error) {
	e, err := r.find(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return e.path, nil
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
