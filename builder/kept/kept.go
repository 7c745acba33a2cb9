package kept

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/rootless"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

// version is that of the file run.json. Another version's roots cannot be entered.
const version = 1

// What is in the folder of a root. Changes and Build are made by the build, the
// rest by [Folder.Take].
const (
	Changes = "root" // what the build changed in its root
	Build   = "top"  // what it had as _topdir
	Log     = "log"
	record  = "run.json"
	readme  = "README"
)

// Folder holds one root for each job: the last one.
type Folder struct{ dir string }

// New keeps roots below dir, which must be on the file system on which jobs are
// built. It is made when there is something to keep.
func New(dir string) *Folder { return &Folder{dir} }

// Root is a root as its build left it.
type Root struct {
	Version int          `json:"version"`
	Job     string       `json:"job"`
	Inputs  store.Digest `json:"inputs"` // of what was built, with what
	Failed  bool         `json:"failed"`
	Kept    time.Time    `json:"kept"` // when
	Run     Run          `json:"run"`

	dir string
}

// Run is the container of the build. What native programs stand for emulated ones
// is not part of it: they are the program's, not the root's.
type Run struct {
	Layers   []string       `json:"layers"`
	Args     []string       `json:"args"` // of the build
	Env      []string       `json:"env"`
	Topdir   string         `json:"topdir"` // where the build folder is mounted
	UID      uint32         `json:"uid"`
	GID      uint32         `json:"gid"`
	HostName string         `json:"host_name"`
	Limits   sandbox.Limits `json:"limits"`
}

// Dir is the root's folder.
func (r *Root) Dir() string { return r.dir }

// path is where the root of a job is. Job names have slashes and no underscores
// where it matters; a clash would only keep one root in place of another.
func (f *Folder) path(job string) string {
	return filepath.Join(f.dir, strings.ReplaceAll(job, "/", "_"))
}

// Take moves the folder of a build here, in place of an earlier one of the job.
func (f *Folder) Take(from string, r Root) (*Root, error) {
	r.Version, r.Kept, r.dir = version, time.Now().UTC(), f.path(r.Job)
	// Only for its owner: what is in there was made by strangers.
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, fmt.Errorf("keeping the root of %s: %w", r.Job, err)
	}
	doc, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("keeping the root of %s: %w", r.Job, err)
	}
	for name, text := range map[string][]byte{record: append(doc, '\n'), readme: r.readme()} {
		if err := os.WriteFile(filepath.Join(from, name), text, 0o600); err != nil {
			return nil, fmt.Errorf("keeping the root of %s: %w", r.Job, err)
		}
	}
	if err := os.RemoveAll(r.dir); err != nil {
		return nil, fmt.Errorf("removing the root of %s that was kept before: %w", r.Job, err)
	}
	if err := os.Rename(from, r.dir); err != nil {
		return nil, fmt.Errorf("keeping the root of %s: %w", r.Job, err)
	}
	return &r, nil
}

// Find is the root of a job. The error wraps [fs.ErrNotExist] when there is none.
func (f *Folder) Find(job string) (*Root, error) {
	r := &Root{dir: f.path(job)}
	text, err := os.ReadFile(filepath.Join(r.dir, record))
	if err != nil {
		return nil, fmt.Errorf("looking for the kept root of %s: %w", job, err)
	}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(r.dir, record), err)
	}
	if r.Version != version || r.Job != job {
		return nil, fmt.Errorf("the root in %s was kept by another version of ohpc-build: remove it: %w", r.dir, fs.ErrNotExist)
	}
	return r, nil
}

// Remove removes it.
func (r *Root) Remove() error {
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("removing the kept root of %s: %w", r.Job, err)
	}
	return nil
}

// Check says what is missing to enter the root: the layers of its build may be gone.
func (r *Root) Check() error {
	for _, dir := range append([]string{filepath.Join(r.dir, Changes), filepath.Join(r.dir, Build)}, r.Run.Layers...) {
		fi, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.IsDir() {
			return fmt.Errorf("the kept root of %s stands on %s, which is gone: build it again", r.Job, dir)
		}
		if err != nil {
			return fmt.Errorf("entering the kept root of %s: %w", r.Job, err)
		}
	}
	return nil
}

func (r *Root) readme() []byte {
	recipe, _, _ := strings.Cut(r.Job, "/")
	recipe, variant, _ := strings.Cut(recipe, "@")
	command := "ohpc-build build " + recipe + " --shell --keep"
	if cell := strings.Split(r.Job, "/"); len(cell) == 3 {
		command += " --target " + cell[1] + " --arch " + cell[2]
	}
	how := "succeeded"
	enter := "A shell is opened in failed roots only; look into the folders."
	if r.Failed {
		how = "failed"
		enter = "To open a shell in it, in the container of the build:\n\n    " + command
		if variant != "" {
			enter += "\n\nwith the --family (or other choice) that is " + variant
		}
		enter += "\n\n(with --state, --catalog or --tree as they were given for the build). When the\nrecipe has changed since, it is built anew first."
	}
	remove := "rm -r"
	if rootless.Inside() {
		remove = "ohpc-build unshare rm -r" // files of the build's user are not the user's
	}
	return []byte(fmt.Sprintf(`This is what the build of %s left, which %s.

    %-8s  what the build changed in its root
    %-8s  its build folder, %s in the root: BUILD, BUILDROOT, SOURCES, SPECS
    %-8s  what rpmbuild printed
    %-8s  what the root stands on, and how the build was run

%s

Nothing needs it. To be rid of it, remove this folder:

    %s %s
`, r.Job, how, Changes, Build, r.Run.Topdir, Log, record, enter, remove, quote(r.dir)))
}

// quote is a word as a shell reads it.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
