package lint

import (
	"fmt"
	"slices"

	"github.com/ohpc-build/ohpc-build/recipes"
)

// checkProviders finds packages that more than one job makes, and provisions
// between which a requirement of ours cannot choose.
func checkProviders(l *linter) {
	for _, key := range sortedKeys(l.worlds) {
		w := l.worlds[key]
		for _, name := range sortedKeys(w.names) {
			l.checkName(w, name)
		}
		for _, name := range l.required(w) {
			l.checkAmbiguous(w, name)
		}
	}
}

// checkName looks at the jobs that make a package of one name.
func (l *linter) checkName(w *world, name string) {
	var first *Evaluated
	for _, p := range w.names[name] {
		e := p.by
		if e.Variant.Arch != w.arch {
			continue // noarch, and looked at in its own cell
		}
		if first == nil {
			first = e
			continue
		}
		s := l.specOf(e)
		at := s.findTag(w.arch, "Name")
		if e.Variant.Recipe == first.Variant.Recipe {
			message := fmt.Sprintf("the variants %s and %s both make the package %s: one overwrites the other in the repository",
				variantName(first.Variant), variantName(e.Variant), name)
			hint := "let the name say which variant it is, as %{pname}-%{compiler_family}%{PROJ_DELIM}, or take one of the variants out of recipe.yaml"
			l.findings.add(at.finding(ruleProvider, Error, message, hint, name), e)
			continue
		}
		other := l.specOf(first)
		message := fmt.Sprintf("%s makes the package %s too: one overwrites the other in the repository", other.path, name)
		l.findings.add(at.finding(ruleProvider, Error, message, "rename one, or exclude one of the two recipes here", name), e)
	}
}

func variantName(v recipes.Variant) string {
	if name := v.Name(); name != "" {
		return name
	}
	return "(plain)"
}

// required are the names that packages of a cell require.
func (l *linter) required(w *world) []string {
	names := map[string]bool{}
	for _, p := range w.own {
		for _, d := range p.pkg.Requires {
			names[d.Name] = true
		}
		for _, d := range p.by.Result.Source.Requires {
			names[d.Name] = true
		}
	}
	return sortedKeys(names)
}

// checkAmbiguous looks at a name that no package has, and several provide.
func (l *linter) checkAmbiguous(w *world, name string) {
	if len(w.names[name]) > 0 {
		return
	}
	packages := map[string]*Evaluated{}
	for _, p := range w.provided[name] {
		packages[p.pkg.Name] = p.by
	}
	if len(packages) < 2 {
		return
	}
	list := sortedKeys(packages)
	message := fmt.Sprintf("%s is required, and %s provide it: which one is installed is left to chance", name, short(list, 6))
	for _, p := range w.own {
		if packages[p.pkg.Name] != nil {
			continue // it provides that itself
		}
		requires := slices.Concat(p.pkg.Requires, p.by.Result.Source.Requires)
		for _, d := range requires {
			if d.Name == name && len(w.providers(d)) > 1 {
				at := l.specOf(p.by).findWord(name, p.by.Variant, "Requires", "BuildRequires", "PreReq")
				l.findings.add(at.finding(ruleProvider, Warning, message, "require one of the packages by its name", p.pkg.Name), p.by)
				break
			}
		}
	}
}
