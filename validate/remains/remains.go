package remains

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Change is one path that is not as it was.
type Change struct {
	Path string // in the container, absolute
	How  How
}

func (c Change) String() string { return c.Path + ": " + string(c.How) }

// How is in which way something changed.
type How string

// The ways in which something changes.
const (
	Left        How = "was not there before"
	Gone        How = "was there before"
	Content     How = "has another content"
	Kind        How = "is of another kind"
	Permissions How = "has other permissions or another owner"
	Target      How = "leads elsewhere"
)

// maxChanges bounds how many changes are told, and maxEntries how many files a
// container may have made: what it ran was not trusted.
const (
	maxChanges = 200
	maxEntries = 1 << 20
	maxDepth   = 64
)

// Options say what is known of paths in the container.
type Options struct {
	// Expected says what may stay, with all that is below it.
	Expected func(path string) bool
	// Owned says which folders a package has. They stay because of what else is in them,
	// and that is told; or empty, because rpm removed them before what was in them.
	Owned func(path string) bool
}

// Find compares the changes in the folder upper with the layers below it, the
// uppermost first, and tells in order of their paths what is not as it was. A folder
// whose all is new is one change, told by the only folder in it if there is but one.
func Find(ctx context.Context, upper string, below []string, o Options) ([]Change, error) {
	w := &walk{ctx: ctx, upper: upper, below: below, expected: o.Expected, owned: o.Owned}
	err := filepath.WalkDir(upper, w.visit)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("looking for what is left: %w", err)
	}
	slices.SortFunc(w.changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return w.changes, nil
}

var errEnough = errors.New("there is enough to tell")

type walk struct {
	ctx      context.Context
	upper    string
	below    []string
	expected func(path string) bool
	owned    func(path string) bool
	entries  int
	changes  []Change
}

// visit compares one entry. WalkDir follows no link, and opens nothing but folders.
func (w *walk) visit(at string, e fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	if w.entries++; w.entries > maxEntries {
		return fmt.Errorf("the container made more than %d files", maxEntries)
	}
	rel, err := filepath.Rel(w.upper, at)
	if err != nil {
		return err
	}
	if rel == "." {
		return nil
	}
	path := "/" + filepath.ToSlash(rel)
	skip := error(nil)
	if e.IsDir() {
		skip = fs.SkipDir
	}
	if w.expected(path) {
		return skip
	}
	now, err := os.Lstat(at)
	if err != nil {
		return err
	}
	place, before, err := w.before(rel)
	if err != nil {
		return err
	}
	how, err := compare(at, now, place, before)
	switch {
	case err != nil:
		return err
	case how == "" && e.IsDir() && opaque(at):
		return w.hidden(rel)
	case how == "":
		return nil
	case how == Gone && hierarchy[path]:
		return nil // whoever has it in a package removes it with the last one
	case how == Left && e.IsDir() && (hierarchy[path] || w.owned(path) || w.holdsExpected(at, path)):
		return nil // what is left in it is told by its own path
	}
	if how == Left && e.IsDir() {
		path += only(at)
	}
	if err := w.tell(Change{path, how}); err != nil {
		return err
	}
	if how == Left || how == Kind {
		return skip
	}
	return nil
}

func (w *walk) tell(c Change) error {
	w.changes = append(w.changes, c)
	if len(w.changes) == maxChanges {
		return errEnough
	}
	return nil
}

// only is the way down a new folder, as long as there is one folder and nothing else: the
// last one tells most of who made it.
func only(dir string) string {
	way := ""
	for range maxDepth {
		entries, err := os.ReadDir(dir + filepath.FromSlash(way))
		if err != nil || len(entries) != 1 || !entries[0].IsDir() {
			break
		}
		way += "/" + entries[0].Name()
	}
	return way
}

// holdsExpected says whether something below a new folder is expected, so that the
// folder is.
func (w *walk) holdsExpected(dir, path string) bool {
	found := false
	_ = filepath.WalkDir(dir, func(at string, _ fs.DirEntry, err error) error {
		if err != nil || w.entries > maxEntries {
			return fs.SkipAll
		}
		w.entries++
		if at != dir && w.expected(path+filepath.ToSlash(strings.TrimPrefix(at, dir))) {
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// hidden tells what was in a folder that the container removed and made anew.
func (w *walk) hidden(rel string) error {
	seen := map[string]bool{}
	for _, layer := range w.below {
		entries, err := os.ReadDir(filepath.Join(layer, rel))
		if err != nil {
			continue // not in this layer, or no folder there
		}
		for _, e := range entries {
			name := filepath.Join(rel, e.Name())
			path := "/" + filepath.ToSlash(name)
			if seen[name] || w.expected(path) {
				continue
			}
			seen[name] = true
			if _, err := os.Lstat(filepath.Join(w.upper, name)); err == nil {
				continue // compared on its own
			}
			_, before, err := w.before(name)
			if err != nil {
				return err
			}
			if before == nil {
				continue
			}
			if err := w.tell(Change{path, Gone}); err != nil {
				return err
			}
		}
	}
	return nil
}

// before is what the layers below have at a path: where it lies and what it is, nil
// when there is nothing.
func (w *walk) before(rel string) (string, fs.FileInfo, error) {
	for _, layer := range w.below {
		at, fi, hides, err := inLayer(layer, rel)
		if err != nil {
			return "", nil, err
		}
		if fi != nil || hides {
			return at, fi, nil
		}
	}
	return "", nil, nil
}

// inLayer looks a path up in one layer, and says whether it hides what the layers
// below have there.
func inLayer(layer, rel string) (at string, fi fs.FileInfo, hides bool, err error) {
	at = layer
	parts := strings.Split(rel, string(filepath.Separator))
	for i, part := range parts {
		at = filepath.Join(at, part)
		fi, err = os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil, hides, nil
		}
		if err != nil {
			return "", nil, false, err
		}
		last := i == len(parts)-1
		switch {
		case whiteout(fi):
			return "", nil, true, nil
		case last:
			return at, fi, true, nil
		case !fi.IsDir():
			return "", nil, true, nil // something else is in the place of a folder
		case opaque(at):
			hides = true
		}
	}
	return "", nil, hides, nil
}

// compare says how something is not as it was, "" when it is.
func compare(at string, now fs.FileInfo, place string, before fs.FileInfo) (How, error) {
	switch {
	case whiteout(now) && before == nil:
		return "", nil // what was removed was made by the container itself
	case whiteout(now):
		return Gone, nil
	case before == nil:
		return Left, nil
	case now.Mode().Type() != before.Mode().Type():
		return Kind, nil
	case now.Mode() != before.Mode() || !sameOwner(now, before):
		if now.Mode()&fs.ModeSymlink == 0 {
			return Permissions, nil
		}
	}
	switch {
	case now.Mode().IsRegular():
		same, err := sameContent(at, now, place, before)
		if err != nil || same {
			return "", err
		}
		return Content, nil
	case now.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(at)
		if err != nil {
			return "", err
		}
		was, err := os.Readlink(place)
		if err != nil {
			return "", err
		}
		if to != was {
			return Target, nil
		}
	}
	return "", nil
}

func sameOwner(a, b fs.FileInfo) bool {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, both := b.Sys().(*syscall.Stat_t)
	return ok && both && x.Uid == y.Uid && x.Gid == y.Gid
}

func sameContent(a string, fa fs.FileInfo, b string, fb fs.FileInfo) (bool, error) {
	if fa.Size() != fb.Size() {
		return false, nil
	}
	x, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer x.Close()
	y, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer y.Close()
	const block = 64 << 10
	p, q := make([]byte, block), make([]byte, block)
	for {
		n, errA := io.ReadFull(x, p)
		m, errB := io.ReadFull(y, q)
		if !bytes.Equal(p[:n], q[:m]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			end := func(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
			if end(errA) && end(errB) {
				return true, nil
			}
			return false, errors.Join(errA, errB)
		}
	}
}

// whiteout and opaque are overlayfs's marks for what a layer removes
// (linux: overlayfs.rst, "whiteouts and opaque directories").
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
