package plan

import (
	"fmt"
	"io"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// JSON writes {"jobs":[…],"skips":[…],"failures":[…],"totals":{…}}, the same bytes
// for the same plan; docs/plan.md tells the fields. With detail it also tells all
// that is known of each package.
func (p *Plan) JSON(w io.Writer, detail bool) error {
	type job struct {
		*Job
		Produces []string `json:"produces"`
		Seconds  float64  `json:"seconds"`
		Recorded bool     `json:"recorded"`
		*details
	}
	out := struct {
		Jobs     []job     `json:"jobs"`
		Skips    []Skip    `json:"skips"`
		Failures []Failure `json:"failures"`
		Totals   Totals    `json:"totals"`
	}{
		// Programs should find lists, not null.
		Jobs: make([]job, len(p.Jobs)), Skips: append([]Skip{}, p.Skips...), Failures: append([]Failure{}, p.Failures...),
		Totals: p.Totals(),
	}
	for i, j := range p.Jobs {
		out.Jobs[i] = job{Job: j, Produces: []string{}, Seconds: j.Takes.Seconds(), Recorded: j.Recorded}
		for _, made := range j.Produces {
			out.Jobs[i].Produces = append(out.Jobs[i].Produces, made.NEVRA())
		}
		if detail {
			out.Jobs[i].details = newDetails(j)
		}
	}
	return write(w, out)
}

// details are what only those want to read who compare it with rpm's own words.
type details struct {
	Packages      []described       `json:"packages"`
	BuildRequires []string          `json:"build_requires"`
	Macros        map[string]string `json:"macros"`
}

type described struct {
	Name     string   `json:"name"`
	EVR      string   `json:"evr"`
	Arch     string   `json:"arch"`
	Provides []string `json:"provides"`
	Requires []string `json:"requires"`
}

func newDetails(j *Job) *details {
	d := &details{Packages: []described{}, BuildRequires: texts(j.BuildRequires), Macros: j.Macros}
	for _, p := range j.Produces {
		d.Packages = append(d.Packages, described{p.Name, p.EVR, p.Arch, texts(p.Provides), texts(p.Requires)})
	}
	return d
}

func texts(dependencies []rpm.Dependency) []string {
	all := make([]string, len(dependencies))
	for i, d := range dependencies {
		all[i] = d.String()
	}
	return all
}

// NEVRA is how rpm names the package.
func (p Produced) NEVRA() string {
	if p.EVR == "" {
		return p.Name
	}
	return p.Name + "-" + p.EVR + "." + p.Arch
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
