package plan

import (
	"fmt"
	"io"
	"strings"
)

// JSON writes {"jobs":[…],"skips":[…],"failures":[…],"totals":{…}}, the same bytes
// for the same plan; docs/plan.md tells the fields.
func (p *Plan) JSON(w io.Writer) error {
	type job struct {
		*Job
		Seconds  float64 `json:"seconds"`
		Recorded bool    `json:"recorded"`
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
		out.Jobs[i] = job{j, j.Takes.Seconds(), j.Recorded}
	}
	return write(w, out)
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
