package targets

import (
	"fmt"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

// Merge returns the targets that there are, by name: a catalogue's own, those that
// ship with the program under other names, and what the definitions in the list
// targets of doc make of both. Neither own nor what it points to is changed. The
// error is a [strict.Problems] where it is about the configuration.
func Merge(own []*recipes.Target, definitions []Definition, doc *strict.Document) ([]*recipes.Target, error) {
	shipped, err := Shipped()
	if err != nil {
		return nil, err
	}
	m := &merger{targets: map[string]*recipes.Target{}, entries: map[string]int{}, doc: doc}
	for _, t := range append(shipped, own...) {
		m.targets[t.Name] = t
	}
	for i := range definitions {
		m.define(i, &definitions[i])
	}
	merged := make([]*recipes.Target, 0, len(m.targets))
	for _, t := range m.targets {
		merged = append(merged, t)
	}
	sortByName(merged)
	for _, t := range merged {
		if err := m.checkEvaluate(t); err != nil {
			return nil, err
		}
	}
	if err := m.problems.Err(); err != nil {
		return nil, err
	}
	return merged, nil
}

type merger struct {
	targets  map[string]*recipes.Target
	entries  map[string]int // of the configuration, by target
	doc      *strict.Document
	problems strict.Problems
}

func (m *merger) fail(entry int, key, hint, format string, args ...any) {
	m.problems = append(m.problems, m.doc.Problem(fmt.Sprintf("targets[%d].%s", entry, key), hint, format, args...))
}

func (m *merger) define(entry int, d *Definition) {
	if _, twice := m.entries[d.Name]; twice {
		m.fail(entry, "name", "", "target %q is given twice", d.Name)
		return
	}
	m.entries[d.Name] = entry
	base := m.targets[d.Name]
	if base == nil {
		if lacks := d.lacks(); len(lacks) > 0 {
			message := fmt.Sprintf("there is no target %q", d.Name)
			if !d.onlyName() {
				message += ", and a new one also needs " + strings.Join(lacks, ", ")
			}
			m.fail(entry, "name", strict.DidYouMean(d.Name, m.names()), "%s", message)
			return
		}
		base = &recipes.Target{}
	}
	if d.onlyName() {
		return
	}
	t := d.apply(*base)
	t.Check(func(key, hint, format string, args ...any) { m.fail(entry, key, hint, format, args...) })
	m.targets[d.Name] = t
}

// checkEvaluate looks for the target whose image is to be borrowed.
func (m *merger) checkEvaluate(t *recipes.Target) error {
	if t.Evaluate == "" || m.targets[t.Evaluate] != nil {
		return nil
	}
	hint := strict.DidYouMean(t.Evaluate, m.names())
	if entry, ok := m.entries[t.Name]; ok && m.doc.Has(fmt.Sprintf("targets[%d].evaluate", entry)) {
		m.fail(entry, "evaluate", hint, "there is no target %q", t.Evaluate)
		return nil
	}
	return fmt.Errorf("target %s is to be evaluated in the image of another: %w", t.Name,
		&recipes.NotFoundError{What: "target", Name: t.Evaluate, Known: m.names()})
}

func (m *merger) names() []string {
	names := make([]string, 0, len(m.targets))
	for name := range m.targets {
		names = append(names, name)
	}
	return names
}
