package closed

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// Report is what a check found. Its lists are in a fixed order.
type Report struct {
	Cells        []string `json:"cells"`        // target/architecture
	Packages     int      `json:"packages"`     // that would be made, each counted once per cell
	Jobs         int      `json:"jobs"`         // that would be built
	Requirements int      `json:"requirements"` // of all these
	Unmet        int      `json:"unmet"`        // of the requirements

	Missing []Finding `json:"missing"` // what is unmet, each fault once

	// Left are the requirements that nothing known provides, but a target may.
	Left []Left `json:"left"`

	Unbuilt  []Unbuilt `json:"unbuilt"`
	Failures []Failure `json:"failures"`
}

// Kind says what something is required for.
type Kind string

// The kinds of requirements.
const (
	Requires      Kind = "requires"       // to be installed
	BuildRequires Kind = "build requires" // to be built
)

// Finding is a requirement that nothing provides.
type Finding struct {
	Kind        Kind     `json:"kind"`
	Names       []string `json:"names"` // the packages that require it or, to be built, the jobs without their cell
	Requirement string   `json:"requirement"`
	Cells       []string `json:"cells"`
	File        string   `json:"file,omitempty"` // where it is written, as far as that is known
	Line        int      `json:"line,omitempty"`
	Hint        string   `json:"hint,omitempty"` // why there is none, or what there is instead; a sentence without its end
}

// Left is a requirement that is left to the targets.
type Left struct {
	Requirement string   `json:"requirement"`
	Needed      int      `json:"needed"` // by how many packages and jobs, each counted once per cell
	Cells       []string `json:"cells"`
}

// Unbuilt are packages that a spec declares, and that rpm never writes because
// they have no files. The one that is named like the source package is not among
// them: a spec may have nothing but subpackages.
type Unbuilt struct {
	File     string   `json:"file"` // the spec
	Packages []string `json:"packages"`
	Cells    []string `json:"cells"`
}

// Failure is a spec that rpm cannot read. What it would make may be missing.
type Failure struct {
	Recipe   string   `json:"recipe"`
	Variants []string `json:"variants,omitempty"` // not all of them may be in all cells
	Cells    []string `json:"cells"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Messages []string `json:"messages"` // rpm's own words
}

func newReport(in Input) *Report {
	r := &Report{Cells: []string{}, Missing: []Finding{}, Left: []Left{}, Unbuilt: unbuilt(in), Failures: failures(in.Plan.Failures)}
	for _, c := range in.Cells {
		r.Cells = append(r.Cells, c.String())
	}
	return r
}

// finish gathers what was found: one finding for all cells, and for all names that
// have the requirement from one line of a spec in the same cells.
func (c *check) finish() {
	type key struct {
		finding
		cells string
	}
	names := map[key][]string{}
	for f, cells := range c.unmet {
		k := key{f, strings.Join(cells, " ")}
		k.name = ""
		names[k] = append(names[k], f.name)
	}
	for k, list := range names {
		slices.Sort(list)
		c.report.Missing = append(c.report.Missing, Finding{
			Kind: k.kind, Names: list, Requirement: k.requirement, Cells: strings.Fields(k.cells), File: k.file, Line: k.line, Hint: k.hint,
		})
	}
	slices.SortFunc(c.report.Missing, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), slices.Compare(a.Names, b.Names),
			cmp.Compare(a.Requirement, b.Requirement), cmp.Compare(a.Kind, b.Kind), slices.Compare(a.Cells, b.Cells), cmp.Compare(a.Hint, b.Hint))
	})
	for _, requirement := range slices.Sorted(maps.Keys(c.left)) {
		c.report.Left = append(c.report.Left, *c.left[requirement])
	}
}

func unbuilt(in Input) []Unbuilt {
	type key struct{ file, name string }
	cells := map[key][]string{}
	for _, cell := range in.Cells {
		for _, j := range in.Plan.Jobs {
			if !j.Serves(cell.Target, cell.Arch) {
				continue
			}
			r := in.Evaluated(j)
			for _, name := range r.Unbuilt {
				if k := (key{j.Spec, name}); name != r.Source.Name && !slices.Contains(cells[k], cell.String()) {
					cells[k] = append(cells[k], cell.String())
				}
			}
		}
	}
	// Those of one spec that are missing in the same cells are told together.
	together := map[key][]string{}
	for k, list := range cells {
		alike := key{k.file, strings.Join(list, " ")}
		together[alike] = append(together[alike], k.name)
	}
	all := make([]Unbuilt, 0, len(together))
	for k, names := range together {
		slices.Sort(names)
		all = append(all, Unbuilt{File: k.file, Packages: names, Cells: strings.Fields(k.name)})
	}
	slices.SortFunc(all, func(a, b Unbuilt) int {
		return cmp.Or(cmp.Compare(a.File, b.File), slices.Compare(a.Packages, b.Packages))
	})
	return all
}

func failures(of []plan.Failure) []Failure {
	all := []Failure{}
	for _, f := range of {
		i := slices.IndexFunc(all, func(o Failure) bool {
			return o.Recipe == f.Recipe && o.File == f.File && o.Line == f.Line && slices.Equal(o.Messages, f.Messages)
		})
		if i < 0 {
			i = len(all)
			all = append(all, Failure{Recipe: f.Recipe, File: f.File, Line: f.Line, Messages: f.Messages})
		}
		if f.Variant != "" && !slices.Contains(all[i].Variants, f.Variant) {
			all[i].Variants = append(all[i].Variants, f.Variant)
		}
		if cell := f.Target + "/" + f.Arch; !slices.Contains(all[i].Cells, cell) {
			all[i].Cells = append(all[i].Cells, cell)
		}
	}
	return all
}
