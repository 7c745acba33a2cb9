package lint

import (
	"fmt"
	"path"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/lint/spectext"
)

// checkSources finds sources of which nobody knows what they should be, and those
// that lie nowhere.
func checkSources(l *linter) {
	for _, s := range l.specs {
		if s.recipe.Kind == recipes.MetaPackage {
			continue
		}
		severity := Error
		if s.recipe.FromSpec { // there is no place for digests
			severity = Warning
		}
		known, open := map[string]bool{}, map[string]recipes.Source{}
		for _, f := range l.in.Catalog.Inputs(s.recipe) {
			known[f.Name] = true
		}
		for _, p := range s.recipe.Patches {
			known[p.File] = known[p.File] || p.Commit != ""
		}
		for _, f := range s.recipe.Fetched {
			if f.URL != "" && f.SHA256 == "" || f.Debian != nil && f.SHA256 == "" {
				open[f.File] = f
			} else {
				known[f.File] = true
			}
		}
		for _, e := range s.evaluated {
			if e.Result == nil {
				continue
			}
			for _, name := range e.Result.Source.Sources {
				l.checkSource(s, e, name, "Source", known, open, severity)
			}
			for _, name := range e.Result.Source.Patches {
				l.checkSource(s, e, name, "Patch", known, open, severity)
			}
		}
	}
}

func (l *linter) checkSource(s *specFile, e *Evaluated, name, tag string, known map[string]bool, open map[string]recipes.Source, severity Severity) {
	if known[name] || unexpanded(name) {
		return
	}
	at, address := s.findSource(name, e.Variant, tag)
	f, declared := open[name]
	if address == "" && declared {
		address = f.URL
	}
	if address != "" || declared {
		message := fmt.Sprintf("%s is fetched without a digest: whoever answers at the address decides what is built", name)
		l.findings.add(at.finding(ruleSource, severity, message, "give its sha256 under sources: of a recipe.yaml"), e)
		return
	}
	message := fmt.Sprintf("%s lies nowhere: not in SOURCES, and no address is given for it", name)
	l.findings.add(at.finding(ruleAbsent, severity, message, "put the file into SOURCES, or name where it comes from"), e)
}

// findSource is the place of a source or patch, and its address if it has one.
func (s *specFile) findSource(name string, v recipes.Variant, tag string) (at place, address string) {
	best := -1
	at = s.findTag(v.Arch, tag)
	for _, f := range s.texts() {
		for _, t := range f.text.Tags() {
			if !t.When.Holds(v.Arch) || !isTag(t, []string{tag}) || t.Value == "" {
				continue
			}
			value := strings.Fields(t.Value)[0]
			pattern := wildcards(path.Base(value))
			literal := len(pattern) - strings.Count(pattern, anything)
			if literal > best && matches(pattern, name) {
				best = literal
				at = f.at(spectext.Position{Line: t.Line, Column: t.Column})
				if address = ""; strings.Contains(value, "://") {
					address = value
				}
			}
		}
	}
	return at, address
}
