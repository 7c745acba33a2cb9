package lint

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/lint/spectext"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Evaluated is one spec as rpm read it for one variant in one cell, which the
// variant tells. With neither a result nor an error rpm was not asked, and only
// the text is looked at.
type Evaluated struct {
	Variant recipes.Variant
	Path    string // how people know the spec
	Text    []byte // of the spec; of a meta-package, what was made of its list
	Result  *spec.Result
	Err     error // a *[spec.ParseError] or a *[spec.SkipError]
}

// Base knows what a target's own distribution provides.
type Base interface {
	// Provides says whether the distribution provides what a package requires.
	// known is false when that cannot be told.
	Provides(target, arch string, d rpm.Dependency) (provided, known bool)
}

// Input is what to look at. Evaluated must hold all recipes and all variants of
// each cell: what is left out counts as absent.
type Input struct {
	Catalog   *recipes.Catalog
	Evaluated []Evaluated
	Base      Base // may be nil
}

// Check finds what is wrong, by file and line. It reads the catalogue's files; an
// error is for one that cannot be read.
func Check(in Input) ([]Finding, error) {
	l, err := newLinter(in)
	if err != nil {
		return nil, err
	}
	for _, check := range checks {
		if err := check(l); err != nil {
			return nil, err
		}
	}
	return l.findings.all(l.readers), nil
}

// linter is what the rules work on.
type linter struct {
	in       Input
	specs    []*specFile // by first evaluation
	worlds   map[string]*world
	findings findings
	included map[string]*sourceText  // by path in the catalogue
	readBy   map[string][]*Evaluated // by file
	specBy   map[*Evaluated]*specFile
}

func (l *linter) specOf(e *Evaluated) *specFile { return l.specBy[e] }

// specFile is a spec's text with all its evaluations.
type specFile struct {
	sourceText
	recipe    *recipes.Recipe
	included  []*sourceText // what it includes of the catalogue's files
	evaluated []*Evaluated
	searches  int // for words of tags
}

// sourceText is a file that people wrote.
type sourceText struct {
	path string
	text *spectext.Text
}

func (s *sourceText) at(p spectext.Position) place { return place{s.path, p} }

// whole is the file without a line.
func (s *sourceText) whole() place { return place{file: s.path} }

func newLinter(in Input) (*linter, error) {
	l := &linter{
		in: in, worlds: map[string]*world{}, findings: findings{byKey: map[string]*collected{}},
		included: map[string]*sourceText{}, readBy: map[string][]*Evaluated{}, specBy: map[*Evaluated]*specFile{},
	}
	byPath := map[string]*specFile{}
	for i := range in.Evaluated {
		e := &in.Evaluated[i]
		// Two recipes may share a spec, but not its sources.
		key := e.Path + "\x00" + e.Variant.Recipe.Name
		s := byPath[key]
		if s == nil {
			var err error
			if s, err = l.newSpec(e); err != nil {
				return nil, err
			}
			byPath[key] = s
			l.specs = append(l.specs, s)
		}
		s.evaluated = append(s.evaluated, e)
		l.specBy[e] = s
		l.readBy[s.path] = append(l.readBy[s.path], e)
		for _, f := range s.included {
			l.readBy[f.path] = append(l.readBy[f.path], e)
		}
		l.world(e.Variant.Target, e.Variant.Arch).add(e)
	}
	for _, w := range l.worlds {
		w.share(l.worlds)
	}
	return l, nil
}

// newSpec reads a spec and what it includes. Of a meta-package it is the recipe
// itself that people wrote.
func (l *linter) newSpec(e *Evaluated) (*specFile, error) {
	r := e.Variant.Recipe
	s := &specFile{sourceText: sourceText{path: e.Path}, recipe: r}
	if r.Kind == recipes.MetaPackage {
		s.path = r.Dir + "/recipe.yaml"
		text, err := recipes.ReadFile(l.in.Catalog.FS, s.path)
		if err != nil {
			return nil, fmt.Errorf("reading %s of the catalogue: %w", s.path, err)
		}
		s.text = spectext.Parse(text)
		return s, nil
	}
	s.text = spectext.Parse(e.Text)
	for _, reference := range s.text.References() {
		if reference.Name != "include" {
			continue
		}
		fields := strings.Fields(reference.Body)
		if len(fields) == 0 {
			continue
		}
		name := fields[0][strings.LastIndex(fields[0], "/")+1:]
		for _, f := range l.in.Catalog.Inputs(r) {
			if f.Name != name {
				continue
			}
			include, err := l.include(f)
			if err != nil {
				return nil, err
			}
			s.included = append(s.included, include)
			break
		}
	}
	return s, nil
}

func (l *linter) include(f recipes.File) (*sourceText, error) {
	if known := l.included[f.Path]; known != nil {
		return known, nil
	}
	data, err := l.in.Catalog.Read(f)
	if err != nil {
		return nil, err
	}
	l.included[f.Path] = &sourceText{f.Path, spectext.Parse(data)}
	return l.included[f.Path], nil
}

// texts are the spec and what it includes.
func (s *specFile) texts() []*sourceText { return append([]*sourceText{&s.sourceText}, s.included...) }

func (l *linter) readers(file string) []*Evaluated { return l.readBy[file] }

// packages are what an evaluation says will be built.
func (e *Evaluated) packages() []headers.Header {
	if e.Result == nil {
		return nil
	}
	return e.Result.Packages
}

// failed says that rpm could not read the spec, so that nothing is known of what
// it builds.
func (e *Evaluated) failed() bool {
	var skip *spec.SkipError
	return e.Err != nil && !errors.As(e.Err, &skip)
}
