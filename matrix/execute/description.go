package execute

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/meta"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// Version is that of the file's format. It grows when an older program would run a
// newer file's job in another way.
const Version = 1

// maxDescription bounds a file, in bytes.
const maxDescription = 64 << 20

// Description is a job as it travels: what builds it, what its key was made of, and
// what its build root was resolved to.
type Description struct {
	Version int `json:"version"`

	// Name is what the job's history goes by.
	Name    string `json:"name"`
	Recipe  string `json:"recipe"`
	Variant string `json:"variant,omitempty"`
	Target  string `json:"target"`
	Reason  string `json:"reason"` // why it runs

	Key   store.Digest  `json:"key"`
	Parts plan.Parts    `json:"parts"`
	Lock  *resolve.Lock `json:"lock,omitempty"` // nil for a meta-package

	// Job is built, or if Meta is given, that is written.
	Job  builder.Job `json:"job"`
	Meta *meta.Spec  `json:"meta,omitempty"`
}

// DescriptionError says that a file does not describe a job that this program can run.
type DescriptionError struct {
	Path string
	Err  error
}

func (e *DescriptionError) Error() string {
	return fmt.Sprintf("%s does not describe a job that can be run: %v", e.Path, e.Err)
}

func (e *DescriptionError) Unwrap() error { return e.Err }

// Folder is where the descriptions in a state folder are.
func Folder(state string) string { return filepath.Join(state, "jobs") }

// Write writes a description into a state folder and returns the file's path. What
// is in the state folder is named relative to it.
func Write(state string, d Description) (string, error) {
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("writing the description of %s: %w", d.Job.ID, err)
	}
	d.Version = Version
	d.Job = movePaths(d.Job, func(path string) string { return relative(state, path) })
	if err := d.check(); err != nil {
		return fail(err)
	}
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(Folder(state), 0o755); err != nil {
		return fail(err)
	}
	path := filepath.Join(Folder(state), d.Key.Hex()+".json")
	if err := replace(path, text); err != nil {
		return fail(err)
	}
	return path, nil
}

// Read reads a description that lies in a state folder. One that does not fit
// together is refused: its result would be taken for that of another job.
func Read(state, path string) (Description, error) {
	var d Description
	fail := func(err error) (Description, error) {
		return Description{}, &DescriptionError{path, err}
	}
	fi, err := os.Stat(path)
	if err != nil {
		return fail(err)
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxDescription {
		return fail(fmt.Errorf("it is no file of at most %d bytes", maxDescription))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return d, fmt.Errorf("reading the description of a job: %w", err)
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return fail(err)
	}
	if version.Version != Version {
		return fail(fmt.Errorf("its format has version %d, this program knows %d", version.Version, Version))
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return fail(err)
	}
	if err := d.check(); err != nil {
		return fail(err)
	}
	d.Job = movePaths(d.Job, func(path string) string { return absolute(state, path) })
	return d, nil
}

// check holds the parts against what is built, and the key against the parts.
func (d *Description) check() error {
	switch {
	case d.Key == "" || d.Parts.Key() != d.Key:
		return errors.New("its key is not that of its parts")
	case d.Meta != nil:
		if d.Parts[plan.PartSpec] != string(store.Of(d.Meta.SpecText)) || d.Parts[plan.PartBuilder] != meta.Format {
			return errors.New("the meta-package is not that of its key")
		}
		return nil
	case d.Parts[plan.PartBuilder] != builder.Format:
		return fmt.Errorf("it is for the builder's format %q, this program has %q", d.Parts[plan.PartBuilder], builder.Format)
	case d.Parts[plan.PartSpec] != string(d.Job.Spec.Digest):
		return errors.New("its spec is not that of its key")
	}
	files, defines := 0, 0
	for name := range d.Parts {
		switch kind, _, _ := strings.Cut(name, " "); kind {
		case "source":
			files++
		case "define":
			defines++
		}
	}
	sources, given := map[string]bool{}, map[string]string{}
	for _, f := range d.Job.Sources {
		sources[f.Name] = true
		if d.Parts[plan.PartSource(f.Name)] != string(f.Digest) {
			return fmt.Errorf("its source %s is not that of its key", f.Name)
		}
	}
	for _, m := range d.Job.Defines {
		given[m.Name] = m.Value // the last one counts
	}
	for name, value := range given {
		if v, ok := d.Parts[plan.PartDefine(name)]; !ok || v != value {
			return fmt.Errorf("its define %s is not that of its key", name)
		}
	}
	if len(sources) != files || len(given) != defines {
		return errors.New("its key has sources or defines that it lacks")
	}
	return d.checkLock()
}

// checkLock holds what the build root is made of against the lock.
func (d *Description) checkLock() error {
	if d.Lock == nil {
		return errors.New("it has no lock")
	}
	var locked []string
	for _, p := range d.Lock.Of(resolve.KindRPM) {
		locked = append(locked, p.File+" "+string(p.Digest))
	}
	var installed []string
	for _, p := range d.Job.Dependencies {
		installed = append(installed, p.File+" "+string(p.Digest))
	}
	slices.Sort(locked)
	slices.Sort(installed)
	if !slices.Equal(locked, installed) {
		return errors.New("its dependencies are not those of its lock")
	}
	return nil
}

// movePaths is a job with the paths of its layers and mounts changed.
func movePaths(j builder.Job, move func(string) string) builder.Job {
	j.Image.Layers = slices.Clone(j.Image.Layers)
	for i, l := range j.Image.Layers {
		j.Image.Layers[i] = move(l)
	}
	if j.Native != nil {
		native := *j.Native
		native.Mounts = slices.Clone(native.Mounts)
		for i := range native.Mounts {
			native.Mounts[i].Source = move(native.Mounts[i].Source)
		}
		j.Native = &native
	}
	return j
}

// relative leaves a path as it is that is not in the state folder.
func relative(state, path string) string {
	rel, err := filepath.Rel(state, path)
	if err != nil || !filepath.IsLocal(rel) {
		return path
	}
	return filepath.ToSlash(rel)
}

func absolute(state, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(state, filepath.FromSlash(path))
}

// newPrefix begins the names of descriptions that are being written.
const newPrefix = ".new-"

// replace makes path hold b, on the disk too; a reader sees the old file or the new.
// Until then the new one is locked, so that Clean tells it from those that are left
// of processes that were killed.
func replace(path string, b []byte) error {
	f, err := newFile(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// newFile makes a file in a folder that only its maker writes and Clean leaves alone.
func newFile(dir string) (*os.File, error) {
	for {
		f, err := os.CreateTemp(dir, newPrefix+"*")
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil && same(f, f.Name()) {
			return f, nil
		}
		f.Close() // Clean has come between; what is left is its to remove
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(&fs.PathError{Op: "flock", Path: f.Name(), Err: err}, os.Remove(f.Name()))
		}
	}
}
