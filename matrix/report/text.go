package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/ohpc-build/ohpc-build/matrix/report/plain"
)

// JSON is the document matrix.json.
func (r *Run) JSON() ([]byte, error) {
	var b bytes.Buffer
	err := r.WriteJSON(&b)
	return b.Bytes(), err
}

// WriteJSON writes the document matrix.json, job by job: of many jobs it is too long
// to be held in memory twice.
func (r *Run) WriteJSON(w io.Writer) error {
	head := *r
	const none = "\n  \"jobs\": null,\n" // at this indentation there is no other
	if len(r.Jobs) > 0 {
		head.Jobs = nil
	}
	doc, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	before, after, cut := bytes.Cut(doc, []byte(none))
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s", before)
	if cut && len(r.Jobs) > 0 {
		fmt.Fprint(out, "\n  \"jobs\": [")
		for i, j := range r.Jobs {
			text, err := json.MarshalIndent(j, "    ", "  ")
			if err != nil {
				return fmt.Errorf("writing the report: %w", err)
			}
			if i > 0 {
				fmt.Fprint(out, ",")
			}
			fmt.Fprintf(out, "\n    %s", text)
		}
		fmt.Fprint(out, "\n  ],\n")
	} else if cut {
		fmt.Fprint(out, none)
	}
	fmt.Fprintf(out, "%s\n", after)
	if err := out.Flush(); err != nil { // tells what any of these met
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// Table prints recipe × cell, then check × cell, then the cells' standing.
func (r *Run) Table(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	header := "RECIPE\tVARIANT"
	for _, c := range r.Cells {
		header += "\t" + c.Target + " " + c.Arch
	}
	rows := newGrid(r.Cells)
	if len(r.Jobs) > 0 {
		fmt.Fprintln(tw, header)
	}
	for _, j := range r.Jobs {
		text := string(j.Result)
		if j.Result == Built || j.Result == Fail {
			text += " " + Human(j.Seconds)
		}
		rows.set([2]string{j.Recipe, dash(j.Variant)}, j.Target, j.Arch, text)
	}
	rows.print(tw)
	if len(r.Checks) > 0 {
		if len(r.Jobs) > 0 {
			fmt.Fprintln(tw)
		}
		fmt.Fprintln(tw, strings.Replace(header, "RECIPE\tVARIANT", "CHECK\tOF", 1))
		rows = newGrid(r.Cells)
		for _, c := range r.Checks {
			text := string(c.Result)
			if c.Reused {
				text += " (reused)"
			} else if c.Result != Skip {
				text += " " + Human(c.Seconds)
			}
			rows.set([2]string{c.Name, c.Subject}, c.Target, c.Arch, text)
		}
		rows.print(tw)
	}
	fmt.Fprintln(tw)
	for _, c := range r.Cells {
		line := c.Target + "/" + c.Arch + "\t" + string(c.Status)
		if len(c.Missing) > 0 {
			line += "\tmissing: " + strings.Join(c.Missing, ", ")
		}
		fmt.Fprintln(tw, line)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// grid collects texts by row and cell; rows keep the order of their first text.
type grid struct {
	cells []Cell
	order [][2]string
	text  map[[2]string]map[[2]string]string
}

func newGrid(cells []Cell) *grid {
	return &grid{cells: cells, text: map[[2]string]map[[2]string]string{}}
}

func (g *grid) set(row [2]string, target, arch, text string) {
	if g.text[row] == nil {
		g.text[row] = map[[2]string]string{}
		g.order = append(g.order, row)
	}
	g.text[row][[2]string{target, arch}] = plain.Text(text)
}

// maxRows is how many rows are printed as they are. Of more, those in which nothing
// happened are only counted.
const maxRows = 5000

func (g *grid) print(w io.Writer) {
	left := 0
	for _, row := range g.order {
		if len(g.order) > maxRows && g.quiet(row) {
			left++
			continue
		}
		line := row[0] + "\t" + row[1]
		for _, c := range g.cells {
			line += "\t" + dash(g.text[row][[2]string{c.Target, c.Arch}])
		}
		fmt.Fprintln(w, line)
	}
	if left > 0 {
		fmt.Fprintf(w, "(%d rows more in which all is reused; matrix.json has them)\n", left)
	}
}

func (g *grid) quiet(row [2]string) bool {
	for _, text := range g.text[row] {
		if text != string(Reused) && text != string(Shared) {
			return false
		}
	}
	return true
}
