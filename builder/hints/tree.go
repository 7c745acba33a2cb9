package hints

import (
	"io/fs"
	"os"
	"path"
	"strings"
)

// maxLinks bounds how many links lead to a file, as the kernel does.
const maxLinks = 40

// tree is a root of layers, the uppermost first, as overlayfs shows it. A layer
// that cannot be read has no files.
type tree struct {
	layers  []*os.Root
	folders map[string]string // real paths of folders that were looked up
}

func newTree(layers []string) *tree {
	t := &tree{folders: map[string]string{"/": "/"}}
	for _, dir := range layers {
		// Files are only looked at, never followed out of the layer.
		if layer, err := os.OpenRoot(dir); err == nil {
			t.layers = append(t.layers, layer)
		}
	}
	return t
}

// Close closes the root.
func (r *Root) Close() {
	for _, layer := range r.tree.layers {
		layer.Close()
	}
}

// resolve follows a path's links, and says what is there.
func (t *tree) resolve(name string) (real string, mode fs.FileMode, ok bool) {
	return t.follow(path.Clean("/"+name), maxLinks)
}

func (t *tree) follow(name string, links int) (string, fs.FileMode, bool) {
	if name == "/" {
		return "/", fs.ModeDir, true
	}
	if links == 0 {
		return "", 0, false
	}
	dir, ok := t.folder(path.Dir(name), links)
	if !ok {
		return "", 0, false
	}
	at := path.Join(dir, path.Base(name))
	fi, layer, ok := t.stat(at)
	if !ok || fi.Mode()&fs.ModeSymlink == 0 {
		return at, modeOf(fi, ok), ok
	}
	target, err := layer.Readlink(strings.TrimPrefix(at, "/"))
	if err != nil {
		return "", 0, false
	}
	if !path.IsAbs(target) {
		target = path.Join(dir, target)
	}
	return t.follow(path.Clean(target), links-1)
}

func modeOf(fi fs.FileInfo, ok bool) fs.FileMode {
	if !ok {
		return 0
	}
	return fi.Mode()
}

func (t *tree) folder(name string, links int) (string, bool) {
	if real, ok := t.folders[name]; ok {
		return real, real != ""
	}
	real, mode, ok := t.follow(name, links)
	if !ok || !mode.IsDir() {
		real = ""
	}
	t.folders[name] = real
	return real, real != ""
}

// stat looks a path up whose folder's path is a real one.
func (t *tree) stat(name string) (fs.FileInfo, *os.Root, bool) {
	for _, layer := range t.layers {
		fi, err := layer.Lstat(strings.TrimPrefix(name, "/"))
		if err == nil {
			// A whiteout hides what the layers below have (linux: overlayfs.rst).
			return fi, layer, fi.Mode()&fs.ModeCharDevice == 0
		}
	}
	return nil, nil, false
}

// open opens a file of the root.
func (t *tree) open(name string) (*os.File, error) {
	real, mode, ok := t.resolve(name)
	if !ok || !mode.IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	_, layer, _ := t.stat(real)
	return layer.Open(strings.TrimPrefix(real, "/"))
}
