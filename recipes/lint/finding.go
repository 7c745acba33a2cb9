package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes/lint/spectext"
)

// Finding is one thing that is wrong, wherever it was met.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"`   // from 1; 0: the file as a whole
	Column   int      `json:"column,omitempty"` // from 1, in bytes
	Message  string   `json:"message"`          // what is wrong, and why it matters
	Hint     string   `json:"hint,omitempty"`   // what to do about it; may be empty

	// Packages are those that the finding is about; empty where it is not about
	// packages.
	Packages []string `json:"packages,omitempty"`
	// Where are the cells and variants that the finding was met in: "all" of
	// those in which the file was read, or as many words as it takes. Empty for
	// what was read in none.
	Where []string `json:"where,omitempty"`
}

// Severity is how bad a finding is.
type Severity int

// The severities. An error keeps something from being built, installed or told
// apart; a warning is what will go wrong some day; a note is what could be better.
const (
	Note Severity = iota + 1
	Warning
	Error
)

var severities = map[Severity]string{Note: "note", Warning: "warning", Error: "error"}

func (s Severity) String() string { return severities[s] }

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts a severity's name.
func (s *Severity) UnmarshalText(text []byte) error {
	for severity, name := range severities {
		if name == string(text) {
			*s = severity
			return nil
		}
	}
	return fmt.Errorf("a severity is note, warning or error, not %q", text)
}

// findings collects what rules report, each thing once.
type findings struct {
	byKey map[string]*collected
	order []*collected
}

type collected struct {
	Finding
	met []*Evaluated
}

// add takes a finding that was met in some evaluations.
func (f *findings) add(n Finding, met ...*Evaluated) {
	key := fmt.Sprintf("%s\x00%d\x00%s\x00%d\x00%d\x00%s\x00%s", n.Rule, n.Severity, n.File, n.Line, n.Column, n.Message, n.Hint)
	c := f.byKey[key]
	if c == nil {
		c = &collected{Finding: n}
		c.Packages = nil
		f.byKey[key] = c
		f.order = append(f.order, c)
	}
	c.Packages = append(c.Packages, n.Packages...)
	c.met = append(c.met, met...)
}

// all are the findings by file and line. of tells which evaluations read a file.
func (f *findings) all(of func(file string) []*Evaluated) []Finding {
	list := make([]Finding, 0, len(f.order))
	for _, c := range f.order {
		slices.Sort(c.Packages)
		c.Packages = slices.Compact(c.Packages)
		c.Where = where(c.met, of(c.File))
		list = append(list, c.Finding)
	}
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(
			strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			strings.Compare(a.Rule, b.Rule), strings.Compare(a.Message, b.Message), strings.Compare(a.Hint, b.Hint),
		)
	})
	return list
}

// place is where a finding is.
type place struct {
	file string
	spectext.Position
}

func (p place) finding(rule string, severity Severity, message, hint string, packages ...string) Finding {
	return Finding{
		Rule: rule, Severity: severity, File: p.file, Line: p.Line, Column: p.Column,
		Message: message, Hint: hint, Packages: packages,
	}
}
