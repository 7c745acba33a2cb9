package closed

import (
	"context"
	"fmt"
	"slices"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// Input is what is checked.
type Input struct {
	Plan      *plan.Plan
	Cells     []Cell
	Evaluated func(*plan.Job) *spec.Result

	// Own says whether a name is of a package that only the plan's jobs can make.
	Own func(target, arch, name string) bool

	// Defines are the macros that a job's spec is read with.
	Defines func(*plan.Job) []recipes.Define

	// Text reads a spec, or a file that specs include, by its path.
	Text func(path string) ([]byte, error)
}

// Cell is target × architecture and what is known of what the target holds.
type Cell struct {
	Target, Arch string

	// Image is what the image holds that jobs are built in, nil when it is not at
	// hand. Whole says that packages are installed there too: there is nothing of
	// the target but the image.
	Image *closure.List
	Whole bool

	// Repositories are all of the target's, if any are given.
	Repositories []closure.Repository
}

func (c *Cell) String() string { return c.Target + "/" + c.Arch }

// knows says whether everything is known of what the target provides for a kind of
// requirement. A job has the image and what the repositories hold; who installs a
// package has the whole distribution, of which the image is a small part.
func (c *Cell) knows(kind Kind) bool {
	return len(c.Repositories) > 0 || c.Image != nil && (c.Whole || kind == BuildRequires)
}

// Check looks for a provider of each requirement of each job and of each package
// that the jobs would make.
func Check(ctx context.Context, in Input) (*Report, error) {
	c := &check{in: in, report: newReport(in), unmet: map[finding][]string{}, left: map[string]*Left{}}
	c.hints, c.lines = newHints(in), newLines(in)
	for i := range in.Cells {
		for _, kind := range []Kind{Requires, BuildRequires} {
			if err := c.cell(ctx, &in.Cells[i], kind); err != nil {
				return nil, fmt.Errorf("%s: %w", in.Cells[i].String(), err)
			}
		}
	}
	c.finish()
	return c.report, nil
}

// check is one in progress.
type check struct {
	in     Input
	report *Report
	hints  *hints
	lines  *lines

	unmet map[finding][]string // cells
	left  map[string]*Left     // by requirement
}

// subject is who requires something: a package or, to be built, a job.
type subject struct {
	name string
	job  *plan.Job
}

// cell checks the requirements of one kind in one cell.
func (c *check) cell(ctx context.Context, cell *Cell, kind Kind) error {
	made, subjects := c.made(cell)
	opt := closure.Options{Tested: []closure.Repository{made}, Architectures: []string{cell.Arch}}
	if kind == BuildRequires {
		var builds *closure.List
		builds, subjects = c.builds(cell)
		opt.Tested, opt.Base = []closure.Repository{builds}, []closure.Repository{made}
	} else {
		// One repository serves all architectures.
		opt.Base = []closure.Repository{c.noarch(cell)}
	}
	if cell.Image != nil {
		opt.Base = append(opt.Base, cell.Image)
	}
	opt.Base = append(opt.Base, cell.Repositories...)
	if !cell.knows(kind) {
		opt.Open = func(_ string, d rpm.Dependency) bool { return !c.in.Own(cell.Target, cell.Arch, d.Name) }
	}
	r, err := closure.Check(ctx, opt)
	if err != nil {
		return err
	}
	if kind == Requires {
		c.report.Packages += r.Packages
	} else {
		c.report.Jobs += r.Packages
	}
	c.report.Requirements += r.Requirements
	for _, m := range r.Missing {
		c.miss(cell, kind, subjects[m.ID], m)
	}
	for _, m := range r.Left {
		c.leave(cell, m.Requirement)
	}
	return nil
}

// made are the packages of a cell, by their ID.
func (c *check) made(cell *Cell) (*closure.List, map[string]subject) {
	list := &closure.List{Name: "the packages for " + cell.String()}
	subjects := map[string]subject{}
	for _, j := range c.in.Plan.Jobs {
		if !j.Serves(cell.Target, cell.Arch) {
			continue
		}
		for _, h := range c.in.Evaluated(j).Packages {
			id := j.ID + " " + h.Name
			subjects[id] = subject{h.Name, j}
			list.Of = append(list.Of, closure.Package{
				ID: id, Name: h.Name, EVR: rpm.EVR{Epoch: fmt.Sprint(h.Epoch), Version: h.Version, Release: h.Release},
				Arch: cell.Arch, Provides: h.Provides, Requires: h.Requires,
			})
		}
	}
	return list, subjects
}

// noarch are the packages of the target's other cells that this one can install.
func (c *check) noarch(cell *Cell) *closure.List {
	list := &closure.List{Name: "packages for all architectures of " + cell.Target}
	for _, j := range c.in.Plan.Jobs {
		if j.Target != cell.Target || j.Serves(cell.Target, cell.Arch) {
			continue
		}
		for _, h := range c.in.Evaluated(j).Packages {
			if h.Arch == "noarch" {
				list.Of = append(list.Of, closure.Package{ID: j.ID + " " + h.Name, Name: h.Name, Arch: h.Arch, Provides: h.Provides})
			}
		}
	}
	return list
}

// builds are the jobs of a cell, with what each requires to be built.
func (c *check) builds(cell *Cell) (*closure.List, map[string]subject) {
	list := &closure.List{Name: "the jobs of " + cell.String()}
	subjects := map[string]subject{}
	for _, j := range c.in.Plan.Jobs {
		if j.Target == cell.Target && j.Arch == cell.Arch {
			subjects[j.ID] = subject{j.Name(), j}
			list.Of = append(list.Of, closure.Package{ID: j.ID, Name: j.Name(), Arch: cell.Arch, Requires: c.in.Evaluated(j).Source.Requires})
		}
	}
	return list, subjects
}

// finding is a [Finding] but for the cells.
type finding struct {
	kind              Kind
	name, requirement string
	file              string
	line              int
	hint              string
}

func (c *check) miss(cell *Cell, kind Kind, s subject, m closure.Missing) {
	f := finding{kind: kind, name: s.name, requirement: m.Requirement, hint: m.Nearest}
	if len(m.Absent) > 0 {
		f.hint = c.hints.of(cell.String(), m.Requirement, m.Absent)
	}
	f.file, f.line = c.lines.of(s, kind, m.Requirement)
	c.unmet[f] = append(c.unmet[f], cell.String())
	c.report.Unmet++
}

func (c *check) leave(cell *Cell, requirement string) {
	l := c.left[requirement]
	if l == nil {
		l = &Left{Requirement: requirement}
		c.left[requirement] = l
	}
	l.Needed++
	if !slices.Contains(l.Cells, cell.String()) {
		l.Cells = append(l.Cells, cell.String())
	}
}
