package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// Snapshot is a complete, signed repository that never changes.
type Snapshot struct {
	ID       string // digest of the manifest
	Dir      string // absolute
	Root     string
	Release  string
	Target   string
	Arches   []string
	URL      string // where clients find Root
	Packages int
	Existed  bool // nothing had to be written
}

// Open finds a snapshot in the tree at root. It reads the manifest only; whether
// the rest is as it was made is for Verify. The error is fs.ErrNotExist when
// there is none.
func Open(root, target, id string) (Snapshot, error) {
	s, err := open(root, target, id)
	if err != nil {
		return Snapshot{}, fmt.Errorf("snapshot %s of %s: %w", id, target, err)
	}
	return s, nil
}

func open(root, target, id string) (Snapshot, error) {
	if err := layout.CheckTarget(target); err != nil {
		return Snapshot{}, err
	}
	if !layout.IsID(id) {
		return Snapshot{}, fmt.Errorf("its id is not 32 hexadecimal digits")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return Snapshot{}, err
	}
	// Links that lead out of the tree are not followed.
	tree, err := os.OpenRoot(root)
	if err != nil {
		return Snapshot{}, err
	}
	defer tree.Close()
	// A pipe in its place is not waited for.
	f, err := tree.OpenFile(filepath.FromSlash(path.Join(layout.SnapshotDir(target, id), ManifestFile)), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Snapshot{}, err
	}
	defer f.Close()
	if err := regular(f); err != nil {
		return Snapshot{}, err
	}
	m, err := readManifest(f, id)
	if err != nil {
		return Snapshot{}, err
	}
	if m.Target != target {
		return Snapshot{}, fmt.Errorf("%s says that it is of target %q", ManifestFile, m.Target)
	}
	return Snapshot{
		ID: id, Dir: filepath.Join(root, filepath.FromSlash(layout.SnapshotDir(target, id))), Root: root,
		Release: m.Release, Target: m.Target, Arches: m.Architectures, URL: m.URL, Packages: m.Packages,
	}, nil
}

// List returns all snapshots of the tree at root, by target and id. Those that
// cannot be read are told in the error; the others are returned all the same.
func List(root string) ([]Snapshot, error) {
	var (
		all  []Snapshot
		errs []error
	)
	targets, err := subfolders(filepath.Join(root, layout.Snapshots))
	if err != nil {
		return nil, err
	}
	for _, target := range targets {
		ids, err := subfolders(filepath.Join(root, layout.Snapshots, target))
		errs = append(errs, err)
		for _, id := range ids {
			s, err := Open(root, target, id)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			all = append(all, s)
		}
	}
	return all, errors.Join(errs...)
}

// subfolders are those that are not hidden; none if dir does not exist.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Find returns the one snapshot whose id begins with prefix. Before it there may
// be a target: "EL_9/1a2b".
func Find(root, prefix string) (Snapshot, error) {
	target, start, ok := strings.Cut(prefix, "/")
	if !ok {
		target, start = "", prefix
	}
	const shortest = 4
	if len(start) < shortest {
		return Snapshot{}, fmt.Errorf("%q is no snapshot: give at least %d digits of its id", prefix, shortest)
	}
	known, err := List(root)
	found := slices.DeleteFunc(slices.Clone(known), func(s Snapshot) bool {
		return target != "" && s.Target != target || !strings.HasPrefix(s.ID, start)
	})
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Snapshot{}, fmt.Errorf("%q is the beginning of %d snapshots: %s/%s, %s/%s …; give more digits",
			prefix, len(found), found[0].Target, found[0].ID, found[1].Target, found[1].ID)
	}
	return Snapshot{}, cmp.Or[error](err, &UnknownError{Prefix: prefix, Root: root, Known: known})
}

// UnknownError says that there is no such snapshot, and which there are. It is an
// fs.ErrNotExist.
type UnknownError struct {
	Prefix, Root string
	Known        []Snapshot
}

func (e *UnknownError) Error() string {
	const most, digits = 8, 8
	if len(e.Known) == 0 {
		return fmt.Sprintf("no snapshot %s in %s, nor any other", e.Prefix, e.Root)
	}
	var names []string
	for i, s := range e.Known {
		if i == most {
			names = append(names, fmt.Sprintf("%d more", len(e.Known)-most))
			break
		}
		names = append(names, s.Target+"/"+s.ID[:digits])
	}
	return fmt.Sprintf("no snapshot %s in %s; there are %s", e.Prefix, e.Root, strings.Join(names, ", "))
}

// Unwrap makes it what callers look for.
func (e *UnknownError) Unwrap() error { return fs.ErrNotExist }
