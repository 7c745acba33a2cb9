package report

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"unicode"
)

// WriteFiles writes matrix.json and junit.xml into dir, each by rename.
func (r *Run) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	doc, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := replace(filepath.Join(dir, "matrix.json"), append(doc, '\n')); err != nil {
		return err
	}
	var sb strings.Builder
	if err := r.JUnit(&sb); err != nil {
		return err
	}
	return replace(filepath.Join(dir, "junit.xml"), []byte(sb.String()))
}

// replace makes path hold b; a reader sees the old file or the new one.
func replace(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Name    string       `xml:"name,attr"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitMessage `xml:"failure"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
}

// JUnit writes the run as JUnit XML: one suite for each cell, one case for each
// job and each check.
func (r *Run) JUnit(w io.Writer) error {
	doc := junitSuites{Name: "ohpc-build matrix"}
	for _, cell := range r.Cells {
		name := cell.Target + "/" + cell.Arch
		suite := junitSuite{Name: name}
		var total float64
		add := func(class, what string, result Outcome, reason string, seconds float64) {
			c := junitCase{Class: name + "." + class, Name: clean(what), Time: fmt.Sprintf("%.3f", seconds)}
			switch result {
			case Fail:
				suite.Failures++
				c.Failure = &junitMessage{clean(reason)}
			case Skip:
				suite.Skipped++
				c.Skipped = &junitMessage{clean(reason)}
			}
			suite.Tests++
			total += seconds
			suite.Cases = append(suite.Cases, c)
		}
		for _, j := range r.Jobs {
			if j.Target == cell.Target && j.Arch == cell.Arch {
				add("build", title(j.Recipe, j.Variant), j.Result, j.Reason, j.Seconds)
			}
		}
		for _, c := range r.Checks {
			if c.Target == cell.Target && c.Arch == cell.Arch {
				add(c.Name, c.Subject, c.Result, c.Reason, c.Seconds)
			}
		}
		suite.Time = fmt.Sprintf("%.3f", total)
		doc.Suites = append(doc.Suites, suite)
	}
	if r.Error != "" {
		doc.Suites = append(doc.Suites, junitSuite{Name: "run", Tests: 1, Failures: 1, Time: "0.000", Cases: []junitCase{
			{Class: "run", Name: "the run itself", Time: "0.000", Failure: &junitMessage{clean(r.Error)}},
		}})
	}
	out, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	_, err = io.WriteString(w, xml.Header+string(out)+"\n")
	if err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	return nil
}

func title(recipe, variant string) string {
	if variant == "" {
		return recipe
	}
	return recipe + " (" + variant + ")"
}

// clean takes out what neither XML nor a terminal should be given: messages hold
// words from logs, which anybody may have written.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !unicode.IsControl(r) && r != unicode.ReplacementChar {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, "?"))
}

// Table prints recipe × cell, then check × cell, then the cells' standing.
func (r *Run) Table(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	header := "RECIPE\tVARIANT"
	for _, c := range r.Cells {
		header += "\t" + c.Target + " " + c.Arch
	}
	fmt.Fprintln(tw, header)
	rows := newGrid(r.Cells)
	for _, j := range r.Jobs {
		text := string(j.Result)
		if j.Result == Built || j.Result == Fail {
			text += " " + human(j.Seconds)
		}
		rows.set([2]string{j.Recipe, dash(j.Variant)}, j.Target, j.Arch, text)
	}
	rows.print(tw)
	if len(r.Checks) > 0 {
		fmt.Fprintln(tw)
		fmt.Fprintln(tw, strings.Replace(header, "RECIPE\tVARIANT", "CHECK\tOF", 1))
		rows = newGrid(r.Cells)
		for _, c := range r.Checks {
			text := string(c.Result)
			if c.Reused {
				text += " (reused)"
			} else if c.Result != Skip {
				text += " " + human(c.Seconds)
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
	g.text[row][[2]string{target, arch}] = clean(text)
}

func (g *grid) print(w io.Writer) {
	for _, row := range g.order {
		line := row[0] + "\t" + row[1]
		for _, c := range g.cells {
			line += "\t" + dash(g.text[row][[2]string{c.Target, c.Arch}])
		}
		fmt.Fprintln(w, line)
	}
}
