package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/schedule"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Job is recipe × variant × cell.
type Job struct {
	ID      string       `json:"id"`
	Recipe  string       `json:"recipe"`
	Variant string       `json:"variant"` // "" or a choice of families, such as "gnu12"
	Target  string       `json:"target"`
	Arch    string       `json:"arch"`
	Key     store.Digest `json:"key"`    // "" as long as something that it needs is to be built
	Reason  string       `json:"reason"` // why it must run, or "reused"
	Needs   []string     `json:"needs"`  // IDs of the jobs whose packages its build root holds

	// RunNeeds are the IDs of the jobs whose packages its own packages require
	// to be installed, without what those require in turn.
	RunNeeds []string `json:"run_needs,omitempty"`

	// What the job requires to be built is met by other jobs, by the target, or
	// by nobody. Whether the target has what is Assumed is not known.
	Met      []Met     `json:"met,omitempty"`
	External []string  `json:"external,omitempty"`
	Assumed  []string  `json:"assumed,omitempty"`
	Unknown  []Unknown `json:"unknown,omitempty"` // also of what its packages require

	// Spec is the path of the spec, and Files are the paths of all files that the
	// job is made of: the spec, the sources beside it, what is shared by all.
	// Paths are relative to the tree or catalogue and have slashes.
	Spec  string   `json:"spec,omitempty"`
	Files []string `json:"files,omitempty"`

	// Defines are the macros that the variant is made by: those of its families,
	// and others that the recipe names.
	Defines map[string]string `json:"defines,omitempty"`

	// Macros are all that rpmspec was given to read the spec.
	Macros map[string]string `json:"-"`

	// Takes is how long the job runs: as recorded when it last did, otherwise an
	// estimate. Recorded tells which.
	Takes    time.Duration `json:"-"`
	Recorded bool          `json:"-"`

	// Uses is what the recipe says that the job uses while it runs; 0 where it says
	// nothing.
	Uses schedule.Resources `json:"uses,omitzero"`

	// Shared lists the architectures besides Arch for which this one job makes
	// the packages, when they are the same for all.
	Shared []string `json:"shared,omitempty"`

	Produces      []Produced       `json:"-"`
	BuildRequires []rpm.Dependency `json:"-"`
	Inputs        Parts            `json:"-"` // everything but the dependencies
}

// Met is a requirement and a job that meets it.
type Met struct {
	Requirement string `json:"requirement"`
	Job         string `json:"job"`
}

// Unknown is a requirement that nobody provides.
type Unknown struct {
	Requirement string `json:"requirement"`
	Package     string `json:"package,omitempty"` // which requires it to be installed; "": it is required to build
	Arch        string `json:"arch"`
	Hint        string `json:"hint,omitempty"` // what there is instead
	File        string `json:"file,omitempty"` // where it is written, as far as that is known
	Line        int    `json:"line,omitempty"`
}

// Produced is one package that a job's spec says it makes.
type Produced struct {
	Name     string
	EVR      string // [epoch:]version-release
	Arch     string
	Provides []rpm.Dependency
	Requires []rpm.Dependency
	Files    []string // paths, as far as they are known
}

// Skip is a job that there is not to be, with the reason.
type Skip struct {
	Recipe  string `json:"recipe"`
	Variant string `json:"variant"`
	Target  string `json:"target"`
	Arch    string `json:"arch"`
	Reason  string `json:"reason"`
}

// Failure is a job that there should be, but whose spec rpm cannot read.
type Failure struct {
	ID       string   `json:"id"`
	Recipe   string   `json:"recipe"`
	Variant  string   `json:"variant"`
	Target   string   `json:"target"`
	Arch     string   `json:"arch"`
	File     string   `json:"file,omitempty"` // where the mistake is, if that is known
	Line     int      `json:"line,omitempty"`
	Messages []string `json:"messages"`
}

// Error says what rpm said, and where.
func (f Failure) Error() string {
	place := f.File
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return place + ": " + strings.Join(f.Messages, "; ")
}

// ID is the name of a job: stable from run to run.
func ID(recipe, variant, target, arch string) string {
	return Name(recipe, variant) + "/" + target + "/" + arch
}

// Name is the job's ID without its cell.
func (j *Job) Name() string { return Name(j.Recipe, j.Variant) }

// Name is how a recipe's variant is called.
func Name(recipe, variant string) string {
	if variant != "" {
		recipe += "@" + variant
	}
	return recipe
}

// Serves says whether the job makes packages for the cell.
func (j *Job) Serves(target, arch string) bool {
	return j.Target == target && (j.Arch == arch || slices.Contains(j.Shared, arch))
}

// Architectures are those that the job makes packages for, its own first.
func (j *Job) Architectures() []string { return append([]string{j.Arch}, j.Shared...) }
