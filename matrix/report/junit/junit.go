// Package junit writes a run as JUnit XML, which CI systems show.
package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/excerpt"
	"github.com/ohpc-build/ohpc-build/matrix/report/plain"
)

// logLines is how much of a log goes into a failure.
const logLines = 40

type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Time     string   `xml:"time,attr"`
	Suites   []*suite `xml:"testsuite"`
}

type suite struct {
	Name      string     `xml:"name,attr"`
	Tests     int        `xml:"tests,attr"`
	Failures  int        `xml:"failures,attr"`
	Errors    int        `xml:"errors,attr"`
	Skipped   int        `xml:"skipped,attr"`
	Time      string     `xml:"time,attr"`
	Timestamp string     `xml:"timestamp,attr"`
	Cases     []testcase `xml:"testcase"`

	seconds float64
}

type testcase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Time    string   `xml:"time,attr"`
	Failure *message `xml:"failure"`
	Skipped *message `xml:"skipped"`
}

type message struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",cdata"`
}

// Write writes the run as JUnit XML: one suite for each cell, in it one case for
// each job, each check, and each of the tests that a check consists of. A failure brings along the lines of its log that tell it.
func Write(w io.Writer, r *report.Run, logs map[string]*excerpt.Excerpt) error {
	doc := suites{Name: "ohpc-build matrix", Time: seconds(r.Seconds)}
	// As JUnit's schema wants it: local time without a zone.
	started := r.Started.UTC().Format("2006-01-02T15:04:05")
	for _, cell := range r.Cells {
		name := plain.Line(cell.Target + "/" + cell.Arch)
		class := undotted(name)
		s := &suite{Name: name, Timestamp: started}
		for _, j := range r.Jobs {
			if j.Target == cell.Target && j.Arch == cell.Arch {
				s.add(class+".build", title(j), j.Result, j.Reason, j.Seconds, logs[j.Log])
			}
		}
		for _, c := range r.Checks {
			if c.Target == cell.Target && c.Arch == cell.Arch {
				s.check(class+"."+undotted(c.Name), c, logs[c.Log])
			}
		}
		doc.Suites = append(doc.Suites, s)
	}
	if r.Error != "" {
		s := &suite{Name: "run", Timestamp: started}
		s.add("run", "the run itself", report.Fail, r.Error, 0, nil)
		doc.Suites = append(doc.Suites, s)
	}
	for _, s := range doc.Suites {
		s.Time = seconds(s.seconds)
		doc.Tests += s.Tests
		doc.Failures += s.Failures
		doc.Skipped += s.Skipped
	}
	out, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	if _, err = io.WriteString(w, xml.Header+string(out)+"\n"); err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	return nil
}

// check adds a check, or in its place the tests that it consists of. What it failed
// for beside them is a case of its own.
func (s *suite) check(class string, c report.Check, log *excerpt.Excerpt) {
	failed := false
	for _, k := range c.Cases {
		failed = failed || k.Result == report.Fail
		s.add(class+"."+undotted(strings.TrimSuffix(c.Subject, ".bats")), k.Name, k.Result, k.Reason, k.Seconds, nil)
	}
	if len(c.Cases) == 0 || c.Result == report.Fail && !failed {
		s.add(class, c.Subject, c.Result, c.Reason, c.Seconds, log)
	}
}

func (s *suite) add(class, name string, result report.Outcome, reason string, duration float64, log *excerpt.Excerpt) {
	c := testcase{Class: class, Name: plain.Line(name), Time: seconds(duration)}
	switch result {
	case report.Fail:
		s.Failures++
		c.Failure = failure(plain.Text(reason), log)
	case report.Skip:
		s.Skipped++
		c.Skipped = &message{Message: plain.Text(reason)}
	}
	s.Tests++
	s.seconds += duration
	s.Cases = append(s.Cases, c)
}

// failure has the first line of the reason as what is shown in a list, and all of it
// with the log's lines as what is shown on its own: some CI systems look at one of the
// two only.
func failure(reason string, log *excerpt.Excerpt) *message {
	first, _, _ := strings.Cut(strings.TrimSpace(reason), "\n")
	parts := []string{reason}
	if log != nil {
		parts = append(parts, strings.Join(log.Around(logLines), "\n"))
	}
	return &message{Message: first, Text: strings.TrimSpace(strings.Join(parts, "\n\n"))}
}

// undotted is a part of a class name: at dots CI systems take classes for packages,
// and show what is before the last one apart from the rest.
func undotted(s string) string { return strings.ReplaceAll(plain.Line(s), ".", "_") }

func title(j report.Job) string {
	if j.Variant == "" {
		return j.Recipe
	}
	return j.Recipe + " (" + j.Variant + ")"
}

func seconds(s float64) string {
	return fmt.Sprintf("%.3f", max(0, time.Duration(s*float64(time.Second)).Seconds()))
}
