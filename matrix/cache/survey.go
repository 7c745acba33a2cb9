package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// survey is all that lies in a state folder, and what keeps what.
type survey struct {
	records []*record
	objects map[string]*object // by ID
	layers  map[string]*layer  // by path below the state folder
	rest    []*folder          // what is never removed from here

	warnings []string
	counted  map[inode]bool // files with more than one name, counted already
}

type record struct {
	store.Entry
	kind       kind
	needs      []*object
	layers     []*layer
	broken     string // why it is worth nothing
	superseded bool   // a result: its job has a later one
}

type object struct {
	store.Entry
	group   string
	keepers []*record
}

// layer is an unpacked layer of an image or of a build root.
type layer struct {
	path    string
	group   string
	bytes   int64
	pinned  bool // a root that build --keep kept stands on it
	keepers []*record
}

// used is when a layer was last used: whoever does has read its record.
func (l *layer) used() (last time.Time) {
	for _, r := range l.keepers {
		if r.Used.After(last) {
			last = r.Used
		}
	}
	return last
}

type folder struct {
	name, path, why string
	bytes           int64
}

type inode struct{ device, number uint64 }

func (c *Cache) survey(ctx context.Context) (*survey, error) {
	s := &survey{objects: map[string]*object{}, layers: map[string]*layer{}, counted: map[inode]bool{}}
	entries, strange, err := c.store.Entries(ctx)
	if err != nil {
		return nil, err
	}
	for _, path := range strange {
		s.warnings = append(s.warnings, path+" is not the store's; it is left alone")
	}
	for _, e := range entries {
		if e.Kind == "" {
			s.objects[e.ID] = &object{Entry: e, group: groupOther}
		}
	}
	for path, group := range map[string]string{imageLayers: groupLayers, rootLayers: groupRoots} {
		if err := s.findLayers(ctx, c.state, path, group); err != nil {
			return nil, err
		}
	}
	if err := s.pinLayers(filepath.Join(c.state, "kept")); err != nil {
		return nil, err
	}
	current := map[string]bool{}
	strangers := map[string]bool{}
	for _, e := range entries {
		if e.Kind == "" {
			continue
		}
		if _, ok := kinds[e.Kind]; !ok && !strangers[e.Kind] {
			strangers[e.Kind] = true
			s.warnings = append(s.warnings, fmt.Sprintf("records of the kind %q are of another version of ohpc-build; they are kept, with all that they name", e.Kind))
		}
		r := &record{Entry: e, kind: kindOf(e.Kind)}
		s.records = append(s.records, r)
		if err := s.connect(c.store, r, current); err != nil {
			return nil, err
		}
	}
	for _, r := range s.records {
		r.superseded = r.Kind == "results" && !current[r.ID]
	}
	for _, f := range []folder{
		{name: "git repositories", path: "git", why: "recipe bump; may be removed when no bump runs"},
		{name: "kept builds", path: "kept", why: "build --keep; the README in each says how to remove it"},
		{name: "containers", path: "run", why: "running programs; what a dead one left goes when the next begins"},
		{name: "working files", path: filepath.Join("store", "tmp"), why: "running programs"},
		{name: "keys", path: "keys", why: "never removed: packages are signed with them"},
	} {
		if f.bytes, err = s.size(ctx, filepath.Join(c.state, f.path)); err != nil {
			return nil, err
		}
		s.rest = append(s.rest, &f)
	}
	return s, nil
}

// connect finds what a record needs, and notes which results are the last of their
// jobs.
func (s *survey) connect(st *store.Store, r *record, current map[string]bool) error {
	if r.kind.references == nil && !r.kind.mentions {
		return nil // thousands of answers: nothing is in them
	}
	var raw json.RawMessage
	err := st.ReadEntry(r.Entry, &raw)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil // replaced meanwhile, and therefore in use
	case errors.Is(err, fs.ErrPermission):
		return err
	case err != nil:
		r.broken = err.Error()
		return nil
	}
	if r.Kind == "parts" {
		var parts plan.Parts
		if err := json.Unmarshal(raw, &parts); err == nil {
			current[store.RecordID(string(parts.Key()))] = true
		}
	}
	if r.kind.mentions {
		named, err := ofAll(raw)
		for _, d := range named.objects {
			if o := s.objects[d.Hex()]; o != nil && o.group == groupOther {
				o.group = groupSources
			}
		}
		return err
	}
	refs, err := r.kind.references(raw)
	if err != nil {
		r.broken = err.Error()
		return nil
	}
	for _, d := range refs.objects {
		o := s.objects[d.Hex()]
		switch {
		case o != nil:
			o.group = r.kind.group
			o.keepers = append(o.keepers, r)
			r.needs = append(r.needs, o)
		case d != "" && !r.kind.keep:
			r.broken = "object " + string(d) + " is gone"
		}
	}
	for _, path := range refs.layers {
		if l := s.layers[path]; l != nil {
			l.keepers = append(l.keepers, r)
			r.layers = append(r.layers, l)
		}
	}
	return nil
}

// findLayers lists the folders in one of layers.
func (s *survey) findLayers(ctx context.Context, state, path, group string) error {
	full := filepath.Join(state, path)
	for dir := full; dir != state; dir = filepath.Dir(dir) {
		fi, err := os.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking through layers: %w", err)
		}
		if !fi.IsDir() {
			s.warnings = append(s.warnings, dir+" is not a folder; what it leads to is left alone")
			return nil
		}
	}
	entries, err := os.ReadDir(full)
	if err != nil {
		return fmt.Errorf("looking through layers: %w", err)
	}
	for _, e := range entries {
		sub := filepath.Join(path, e.Name())
		switch {
		case strings.HasSuffix(e.Name(), ".lock"):
			continue
		case !e.IsDir():
			s.warnings = append(s.warnings, filepath.Join(state, sub)+" is not a layer; it is left alone")
			continue
		}
		l := &layer{path: sub, group: group}
		if l.bytes, err = s.size(ctx, filepath.Join(state, sub)); err != nil {
			return err
		}
		s.layers[sub] = l
	}
	return nil
}

// maxKept bounds what is read of one kept build, in bytes.
const maxKept = 1 << 20

// pinLayers notes which layers roots stand on that builds left to be looked at. What
// package kept writes beside such a root tells.
func (s *survey) pinLayers(dir string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking through kept builds: %w", err)
	}
	defer root.Close()
	paths, err := fs.Glob(root.FS(), "*/run.json")
	if err != nil {
		return fmt.Errorf("looking through kept builds: %w", err)
	}
	for _, path := range paths {
		var kept struct{ Run struct{ Layers []string } }
		fi, err := root.Stat(path)
		if err != nil || fi.Size() > maxKept {
			continue
		}
		text, err := root.ReadFile(path)
		if err != nil || json.Unmarshal(text, &kept) != nil {
			continue // it is not one, or is being written
		}
		for _, l := range kept.Run.Layers {
			// The state folder may have been called by another name.
			kind := filepath.Base(filepath.Dir(l))
			if l := s.layers[filepath.Join("layers", kind, filepath.Base(l))]; l != nil {
				l.pinned = true
			}
		}
	}
	return nil
}

// size is what a folder takes on disk. It follows no link, counts a file with
// several names once, and passes over what comes and goes and what it may not see.
func (s *survey) size(ctx context.Context, dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return passable(err)
		}
		if d.IsDir() && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		fi, err := d.Info()
		if err != nil {
			return passable(err)
		}
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && !d.IsDir() && st.Nlink > 1 {
			key := inode{uint64(st.Dev), st.Ino} //nolint:unconvert // its type depends on the architecture
			if s.counted[key] {
				return nil
			}
			s.counted[key] = true
		}
		total += store.DiskUse(fi)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measuring %s: %w", dir, err)
	}
	return total, nil
}

func passable(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// total is what the state folder takes, in bytes.
func (s *survey) total() (total int64) {
	for _, r := range s.records {
		total += r.Bytes
	}
	for _, o := range s.objects {
		total += o.Bytes
	}
	for _, l := range s.layers {
		total += l.bytes
	}
	for _, f := range s.rest {
		total += f.bytes
	}
	return total
}
