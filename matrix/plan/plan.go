package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Plan is the graph of jobs in an order in which each comes after what it needs.
type Plan struct {
	Jobs     []*Job    `json:"jobs"`
	Skips    []Skip    `json:"skips,omitempty"`
	Failures []Failure `json:"failures,omitempty"`
}

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

	// Spec is the path of the spec, and Files are the paths of all files that the
	// job is made of: the spec, the sources beside it, what is shared by all.
	// Paths are relative to the tree or catalogue and have slashes.
	Spec  string   `json:"spec,omitempty"`
	Files []string `json:"files,omitempty"`

	// Defines are the macros that the variant is made by: those of its families,
	// and others that the recipe names.
	Defines map[string]string `json:"defines,omitempty"`

	// Takes is how long the job runs: as recorded when it last did, otherwise an
	// estimate. Recorded tells which.
	Takes    time.Duration `json:"-"`
	Recorded bool          `json:"-"`

	// Shared lists the architectures besides Arch for which this one job makes
	// the packages, when they are the same for all.
	Shared []string `json:"shared,omitempty"`

	Produces      []Produced       `json:"-"`
	BuildRequires []rpm.Dependency `json:"-"`
	Inputs        Parts            `json:"-"` // everything but the dependencies
}

// Produced is one package that a job's spec says it makes.
type Produced struct {
	Name     string
	Provides []rpm.Dependency
	Requires []rpm.Dependency
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

// ID is the name of a job: stable from run to run.
func ID(recipe, variant, target, arch string) string {
	if variant != "" {
		recipe += "@" + variant
	}
	return recipe + "/" + target + "/" + arch
}

// Serves says whether the job makes packages for the cell.
func (j *Job) Serves(target, arch string) bool {
	return j.Target == target && (j.Arch == arch || slices.Contains(j.Shared, arch))
}

// New finds what each job needs and puts the jobs in order. The error is a
// *CycleError or a *ConflictError.
func New(jobs []*Job) (*Plan, error) {
	slices.SortFunc(jobs, func(a, b *Job) int { return cmp.Compare(a.ID, b.ID) })
	if err := conflict(jobs); err != nil {
		return nil, err
	}
	x := newIndex(jobs)
	for _, j := range jobs {
		j.Needs = x.needs(j)
	}
	ordered, err := order(jobs)
	if err != nil {
		return nil, err
	}
	return &Plan{Jobs: ordered}, nil
}

// ConflictError says that two jobs of one cell make a package of one name.
type ConflictError struct {
	Package string
	Jobs    [2]string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s and %s both make the package %s: rename one, or exclude one of them from the target", e.Jobs[0], e.Jobs[1], e.Package)
}

func conflict(jobs []*Job) error {
	type slot struct{ target, arch, name string }
	made := map[slot]string{}
	for _, j := range jobs {
		for _, p := range j.Produces {
			for _, arch := range append([]string{j.Arch}, j.Shared...) {
				s := slot{j.Target, arch, p.Name}
				if other, ok := made[s]; ok {
					return &ConflictError{Package: p.Name, Jobs: [2]string{other, j.ID}}
				}
				made[s] = j.ID
			}
		}
	}
	return nil
}

// Select keeps the named recipes and everything that they need, to be built and
// to be installed.
func (p *Plan) Select(recipes []string) *Plan {
	if len(recipes) == 0 {
		return p
	}
	x := newIndex(p.Jobs)
	keep := map[*Job]bool{}
	var visit func(j *Job)
	visit = func(j *Job) {
		if keep[j] {
			return
		}
		keep[j] = true
		for _, id := range j.Needs {
			visit(x.byID[id])
		}
		for _, made := range j.Produces {
			for _, arch := range append([]string{j.Arch}, j.Shared...) {
				for _, req := range made.Requires {
					if q := x.provider(j.Target, arch, req); q != nil {
						visit(q)
					}
				}
			}
		}
	}
	for _, j := range p.Jobs {
		if slices.Contains(recipes, j.Recipe) {
			visit(j)
		}
	}
	selected := &Plan{}
	for _, j := range p.Jobs {
		if keep[j] {
			selected.Jobs = append(selected.Jobs, j)
		}
	}
	return selected
}

// Job returns the job of that ID, or nil.
func (p *Plan) Job(id string) *Job {
	for _, j := range p.Jobs {
		if j.ID == id {
			return j
		}
	}
	return nil
}

// JSON writes {"jobs":[…]}, the same bytes for the same plan.
func (p *Plan) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	out := *p
	if out.Jobs == nil {
		out.Jobs = []*Job{}
	}
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// DOT writes the graph in Graphviz's language, an edge from each job to what it needs.
func (p *Plan) DOT(w io.Writer) error {
	var sb strings.Builder
	sb.WriteString("digraph plan {\n\trankdir=LR;\n\tnode [shape=box];\n")
	for _, j := range p.Jobs {
		style := ""
		if j.Reason == ReasonReused {
			style = ", style=dashed"
		}
		fmt.Fprintf(&sb, "\t%q [label=%q%s];\n", j.ID, j.ID+"\n"+j.Reason, style)
		for _, need := range j.Needs {
			fmt.Fprintf(&sb, "\t%q -> %q;\n", j.ID, need)
		}
	}
	sb.WriteString("}\n")
	if _, err := io.WriteString(w, sb.String()); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}
