package figure

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Figure is one row. Of all units less is better.
type Figure struct {
	Name  string  `json:"name"`
	What  string  `json:"what"` // is measured, and with what
	Unit  Unit    `json:"unit"`
	Ours  float64 `json:"ours"`
	Runs  int     `json:"runs"`           // that Ours is the median of
	CPU   float64 `json:"cpu,omitempty"`  // seconds of processor time that Ours took, where it is measured
	Load  string  `json:"load,omitempty"` // of the machine over the minute before
	Peer  *Peer   `json:"peer,omitempty"`
	Limit *Limit  `json:"limit,omitempty"`

	// Lines are what people should know besides: differences found, what is
	// left out.
	Lines []string `json:"lines,omitempty"`
}

// Unit is what a figure's numbers count.
type Unit string

// Units.
const (
	Seconds     Unit = "s"
	Differences Unit = "differences"
	Bytes       Unit = "B"
)

// Peer is the same measured with another program on the same machine, right
// before or after.
type Peer struct {
	Program string  `json:"program"`
	Value   float64 `json:"value"`
	Runs    int     `json:"runs"`
	Ratio   float64 `json:"ratio"` // of the peer's number to ours: 2 when it needs twice as long
}

// Limit is the most that the design allows.
type Limit struct {
	Most float64 `json:"most"`
	OK   bool    `json:"ok"`
}

// Against sets what a peer needs for the same.
func (f *Figure) Against(program string, value float64, runs int) {
	f.Peer = &Peer{Program: program, Value: value, Runs: runs}
	if f.Ours > 0 {
		f.Peer.Ratio = value / f.Ours
	}
}

// AtMost sets the limit.
func (f *Figure) AtMost(limit float64) { f.Limit = &Limit{Most: limit, OK: f.Ours <= limit} }

// Missed says whether there is a limit and the figure is beyond it.
func (f *Figure) Missed() bool { return f.Limit != nil && !f.Limit.OK }

// Report is all figures of a run, on one machine.
type Report struct {
	Machine Machine  `json:"machine"`
	Tree    string   `json:"tree,omitempty"` // that was planned
	Figures []Figure `json:"figures"`
	Failed  []Failed `json:"failed,omitempty"`
}

// Failed is a benchmark that came to no figure.
type Failed struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

// Missed says whether a figure is beyond its limit.
func (r *Report) Missed() bool {
	for _, f := range r.Figures {
		if f.Missed() {
			return true
		}
	}
	return false
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	return nil
}

// shown is how many lines of a figure people get to see.
const shown = 10

// Text writes a table for people: the machine, a row for each figure, and then
// what there is to say about them.
func (r *Report) Text(w io.Writer) error {
	var sb strings.Builder
	fmt.Fprintln(&sb, r.Machine)
	if r.Tree != "" {
		fmt.Fprintln(&sb, r.Tree)
	}
	fmt.Fprintln(&sb)
	t := tabwriter.NewWriter(&sb, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIGURE\tOURS\tPEER\tRATIO\tLIMIT\t\tRUNS\tCPU\tLOAD\tWHAT")
	for _, f := range r.Figures {
		peer, ratio, limit, verdict, cpu := "-", "-", "-", "", "-"
		what := f.What
		if f.Peer != nil {
			peer = format(f.Peer.Value, f.Unit)
			what += " : " + f.Peer.Program
			if f.Peer.Ratio > 0 {
				ratio = strconv.FormatFloat(f.Peer.Ratio, 'f', 2, 64)
			}
		}
		if f.Limit != nil {
			limit, verdict = format(f.Limit.Most, f.Unit), "OK"
			if f.Missed() {
				verdict = "MISSED"
			}
		}
		if f.CPU > 0 {
			cpu = format(f.CPU, Seconds)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n",
			f.Name, format(f.Ours, f.Unit), peer, ratio, limit, verdict, f.Runs, cpu, cmp.Or(f.Load, "-"), what)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	for _, f := range r.Figures {
		for _, line := range f.Lines[:min(shown, len(f.Lines))] {
			fmt.Fprintf(&sb, "%s: %s\n", f.Name, line)
		}
		if more := len(f.Lines) - shown; more > 0 {
			fmt.Fprintf(&sb, "%s: and %d more, all in the JSON\n", f.Name, more)
		}
	}
	for _, f := range r.Failed {
		fmt.Fprintf(&sb, "%s: FAILED: %s\n", f.Name, f.Error)
	}
	if _, err := io.WriteString(w, sb.String()); err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	return nil
}

// format writes a number with three digits that count, and its unit.
func format(v float64, unit Unit) string {
	switch {
	case unit == Bytes:
		return strconv.FormatFloat(v/(1<<20), 'f', 1, 64) + " MiB"
	case unit != Seconds:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case v < 0.001:
		return strconv.FormatFloat(v*1e6, 'f', 0, 64) + " µs"
	case v < 1:
		return strconv.FormatFloat(v*1e3, 'f', 0, 64) + " ms"
	case v < 100:
		return strconv.FormatFloat(v, 'f', 2, 64) + " s"
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + " s"
}
