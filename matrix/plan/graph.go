package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/plan/provide"
	"github.com/ohpc-build/ohpc-build/matrix/plan/specline"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// graph finds what jobs need.
type graph struct {
	jobs  []*Job // by ID
	cells map[cell]*world
	needs [][]int // by job: positions of other jobs
	found []bool  // by job: scratch space of collect
	hints *hints
	lines *lines
}

type cell struct{ target, arch string }

// world is the packages of one cell, and which job makes each.
type world struct {
	*provide.World
	packages []provide.Package
}

func newGraph(jobs []*Job, o options) *graph {
	g := &graph{jobs: jobs, cells: map[cell]*world{}, needs: make([][]int, len(jobs)), found: make([]bool, len(jobs)), lines: newLines(o.text)}
	for i, j := range jobs {
		for _, arch := range j.Architectures() {
			at := cell{j.Target, arch}
			w := g.cells[at]
			if w == nil {
				w = &world{}
				g.cells[at] = w
			}
			for _, p := range j.Produces {
				w.packages = append(w.packages, provide.Package{
					Name: p.Name, Provides: p.Provides, Requires: p.Requires, Files: p.Files,
					Consumer: provide.Consumer{Owner: i, Picks: j.Defines},
				})
			}
		}
	}
	for at, w := range g.cells {
		var base provide.Base
		if o.base != nil {
			base = func(req rpm.Dependency) (met, known bool) { return o.base.Provides(at.target, at.arch, req) }
		}
		w.World = provide.NewWorld(w.packages, base)
	}
	g.hints = newHints(g.cells, o.skips, o.failures)
	return g
}

// connect fills in what the jobs need.
func (g *graph) connect() {
	for i, j := range g.jobs {
		root := g.root(i)
		w := g.cells[cell{j.Target, j.Arch}]
		owners := make([]int, len(root.Steps()))
		for k, s := range root.Steps() {
			owners[k] = w.packages[s.Package].Owner
		}
		g.needs[i] = g.collect(owners)
		j.Needs = g.ids(g.needs[i])
		j.Met, j.External, j.Assumed, j.Unknown = nil, nil, nil, nil
		g.sortOut(j, root, w)
		g.sortOutProduced(i)
	}
}

// root is what a job's build root holds of the other jobs' packages.
func (g *graph) root(i int) *provide.Root {
	j := g.jobs[i]
	return g.cells[cell{j.Target, j.Arch}].Root(provide.Consumer{Owner: i, Picks: j.Defines}, j.BuildRequires)
}

// sortOut says of each thing that a job requires to be built who meets it.
func (g *graph) sortOut(j *Job, root *provide.Root, w *world) {
	for _, req := range distinct(j.BuildRequires) {
		text := req.String()
		judged, err := root.Judge(req)
		for _, p := range judged.Providers {
			met := Met{text, g.jobs[w.packages[p].Owner].ID}
			if !slices.Contains(j.Met, met) {
				j.Met = append(j.Met, met)
			}
		}
		switch judged.Verdict {
		case provide.External:
			j.External = append(j.External, text)
		case provide.Assumed:
			j.Assumed = append(j.Assumed, text)
		case provide.Unknown:
			j.Unknown = append(j.Unknown, g.unknown(j, specline.BuildRequires, Unknown{Requirement: text, Arch: j.Arch}, judged.Missing, err))
		case provide.Void, provide.Met:
		}
	}
	slices.SortFunc(j.Met, func(a, b Met) int {
		return cmp.Or(cmp.Compare(a.Requirement, b.Requirement), cmp.Compare(a.Job, b.Job))
	})
	slices.Sort(j.External)
	slices.Sort(j.Assumed)
}

// sortOutProduced finds what a job's packages require to be installed.
func (g *graph) sortOutProduced(i int) {
	j := g.jobs[i]
	var owners []int
	for _, arch := range j.Architectures() {
		w := g.cells[cell{j.Target, arch}]
		for _, p := range j.Produces {
			for _, req := range distinct(p.Requires) {
				judged, err := w.Judge(provide.Consumer{Owner: i, Picks: j.Defines}, req)
				for _, q := range judged.Providers {
					if owner := w.packages[q].Owner; owner != i {
						owners = append(owners, owner)
					}
				}
				if judged.Verdict == provide.Unknown {
					j.Unknown = append(j.Unknown, g.unknown(j, specline.Requires, Unknown{Requirement: req.String(), Package: p.Name, Arch: arch}, judged.Missing, err))
				}
			}
		}
	}
	j.RunNeeds = g.ids(g.collect(owners))
	slices.SortFunc(j.Unknown, func(a, b Unknown) int {
		return cmp.Or(cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Requirement, b.Requirement))
	})
}

// unknown adds to a requirement what there is instead and where it is written.
func (g *graph) unknown(j *Job, kind specline.Kind, u Unknown, missing []rpm.Dependency, err error) Unknown {
	if err != nil {
		u.Hint = "it cannot be read: " + err.Error()
	} else {
		u.Hint = g.hints.of(cell{j.Target, u.Arch}, missing)
	}
	u.File, u.Line = g.lines.of(j, kind, u.Requirement)
	return u
}

// collect is each of the jobs once, in order.
func (g *graph) collect(jobs []int) []int {
	var each []int
	for _, i := range jobs {
		if !g.found[i] {
			g.found[i] = true
			each = append(each, i)
		}
	}
	for _, i := range each {
		g.found[i] = false
	}
	slices.Sort(each)
	return each
}

// distinct are the requirements of other packages, each once: specs that include
// the same macros repeat them.
func distinct(requires []rpm.Dependency) []rpm.Dependency {
	sorted := slices.DeleteFunc(slices.Clone(requires), provide.Ignored)
	for i := range sorted {
		sorted[i].Flags &= rpm.Less | rpm.Equal | rpm.Greater // when it must hold tells nothing here
	}
	slices.SortFunc(sorted, func(a, b rpm.Dependency) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Flags, b.Flags), strings.Compare(a.Version, b.Version))
	})
	return slices.Compact(sorted)
}

func (g *graph) ids(of []int) []string {
	ids := make([]string, len(of))
	for i, n := range of {
		ids[i] = g.jobs[n].ID
	}
	return ids
}
