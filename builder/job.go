package builder

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/hints"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

// Format is part of every job's key. It grows when the builder changes the way
// it builds, so that what older versions made is not taken for its own.
const Format = "3"

// Job is recipe × variant × cell: one build of one spec.
type Job struct {
	ID           string              `json:"id"`
	Arch         string              `json:"arch"`
	Image        buildroot.Image     `json:"image"`
	Spec         File                `json:"spec"`
	Sources      []File              `json:"sources"` // what lies in _sourcedir beside the spec
	Defines      []Define            `json:"defines"`
	Dependencies []buildroot.Package `json:"dependencies"` // installed on top of the image
	Limits       Limits              `json:"limits"`

	// Requires are the spec's BuildRequires, and Names the names that RPM
	// distributions have for packages of the image. They change nothing in what is
	// built: hints are made of them.
	Requires []hints.Requirement `json:"requires,omitempty"`
	Names    map[string][]string `json:"names,omitempty"`

	// Native is what does the work of an emulated build in place of the image's
	// own programs; nil when nothing does.
	Native *Native `json:"native,omitempty"`
}

// Native are programs of the host's architecture that are mounted over those of
// a foreign root (package emulate/toolchain).
type Native struct {
	Mounts  []sandbox.Mount `json:"mounts"`
	Env     []string        `json:"env"`
	Install []sandbox.Mount `json:"install,omitempty"` // with which its build root is made
}

// File is an object of the store under a name.
type File struct {
	Name   string       `json:"name"`
	Digest store.Digest `json:"digest"`
}

// Define is one macro given to rpmbuild.
type Define struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Limits bound one build and all its processes.
type Limits struct {
	Time   time.Duration `json:"time"`             // nanoseconds
	Memory int64         `json:"memory,omitempty"` // bytes; 0: none
	Cores  int           `json:"cores"`            // how many the build may keep busy
	Pids   int64         `json:"pids,omitempty"`
	Disk   int64         `json:"disk,omitempty"` // bytes; 0: 20 GiB
}

// check refuses names that would reach outside the folders they are meant for.
func (j *Job) check() error {
	for _, f := range append([]File{j.Spec}, j.Sources...) {
		if f.Name == "" || f.Name == "." || f.Name == ".." || filepath.Base(f.Name) != f.Name {
			return fmt.Errorf("job %s: %q is not a file name", j.ID, f.Name)
		}
	}
	for _, d := range j.Defines {
		if d.Name == "" || strings.ContainsAny(d.Name, " \t\n(%{") {
			return fmt.Errorf("job %s: %q is not the name of a macro", j.ID, d.Name)
		}
	}
	return nil
}

// Result is what a build left in the store.
type Result struct {
	Packages []buildroot.Package `json:"packages"` // binary and source, unsigned, by file name
	Log      store.Digest        `json:"log"`
	Hints    []string            `json:"hints,omitempty"` // what its author may want to know
	Seconds  float64             `json:"seconds"`

	// What rpmbuild and all that it started used: the most memory at one time, in
	// bytes, files that the kernel keeps in memory included, and processor time.
	PeakMemory int64   `json:"peak_memory,omitempty"`
	CPUSeconds float64 `json:"cpu_seconds,omitempty"`
}

// TimeLimitError says that a build was ended because it ran past its limit.
type TimeLimitError struct {
	Job   string
	Limit time.Duration
}

func (e *TimeLimitError) Error() string {
	return fmt.Sprintf("%s ran past its time limit of %s and was ended; raise needs.time in its recipe when it honestly takes longer", e.Job, e.Limit)
}

// KilledError says that somebody ended a build's container from outside. Nothing is
// known of the package then.
type KilledError struct{ Job string }

func (e *KilledError) Error() string {
	return e.Job + ": its container was killed from outside (signal 9), and not for memory; build it again"
}

// BuildError says that rpmbuild failed, or had to be ended.
type BuildError struct {
	Job  string
	Tail string // the last lines of the log
	Err  error
}

func (e *BuildError) Error() string {
	return fmt.Sprintf("%s: rpmbuild failed: %v%s\n%s", e.Job, e.Err, e.advice(), e.Tail)
}

// advice names the line of the recipe that raises the limit which ended the build.
func (e *BuildError) advice() string {
	const raise = "; raise needs.%s in its recipe when it honestly takes more"
	var (
		exit   *sandbox.ExitError
		memory *sandbox.MemoryError
		disk   *sandbox.DiskError
	)
	switch {
	case errors.As(e.Err, &exit) && exit.OutOfMemory(), errors.As(e.Err, &memory):
		return fmt.Sprintf(raise, "memory")
	case errors.As(e.Err, &disk):
		return fmt.Sprintf(raise, "disk")
	}
	return ""
}

func (e *BuildError) Unwrap() error { return e.Err }
