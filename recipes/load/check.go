package load

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

var (
	packageName  = regexp.MustCompile(recipes.NamePattern)
	templateName = regexp.MustCompile(recipes.TemplatePattern)
	macroName    = regexp.MustCompile(recipes.MacroPattern)
	archName     = regexp.MustCompile(recipes.ArchPattern)
	fullCommit   = regexp.MustCompile(recipes.CommitPattern)
	digest       = regexp.MustCompile(recipes.SHA256Pattern)
)

// check finds what is wrong between files, once each is readable by itself.
func (l *loader) check() {
	l.checkText(l.catalog, "url", l.catalog.URL, false)
	if !packageName.MatchString(l.catalog.Version) || strings.Contains(l.catalog.Version, "-") {
		l.failIn(l.catalog, "version", "", "%q is not the version of a package", l.catalog.Version)
	}
	if !packageName.MatchString(l.catalog.Release) {
		l.failIn(l.catalog, "release", "", "%q cannot name a release", l.catalog.Release)
	}
	l.checkDefines(l.catalog, "defines", l.catalog.Defines)
	l.checkFamilies()
	l.checkTargets()
	l.checkPins()
	if len(l.problems) > 0 {
		return // recipes would only seem wrong for it
	}
	l.checkRecipes()
	l.checkMembers()
}

func (l *loader) checkDefines(v any, at string, defines map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(defines)) {
		if !macroName.MatchString(name) {
			l.failIn(v, at+"."+name, "letters, digits and _, at least three", "%q is not the name of a macro", name)
		}
		if strings.ContainsAny(defines[name], "\n\x00") {
			l.failIn(v, at+"."+name, "", "the value of a macro must be a single line")
		}
	}
}

// checkFileName holds a name against that of its file.
func (l *loader) checkFileName(v any, name string) {
	p := l.docs[v].Problem("name", "", "")
	if want := strings.TrimSuffix(path.Base(p.File), ".yaml"); name != want {
		l.failIn(v, "name", "rename one of them", "the name is %q, the file is %s.yaml", name, want)
	}
}

// checkText refuses what rpm would take for more than text in a generated spec.
func (l *loader) checkText(v any, at, text string, multiline bool) {
	if !multiline && strings.ContainsRune(strings.TrimSpace(text), '\n') {
		l.failIn(v, at, "", "%s must be a single line", at)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "%") {
			l.failIn(v, at, "rpm would take it for a section", "no line of %s may begin with %%", at)
		}
	}
	if strings.ContainsRune(text, 0) {
		l.failIn(v, at, "", "%s holds a zero byte", at)
	}
}

func (l *loader) checkPlaceholders(r *recipes.Recipe, at, text string) {
	if l.unknownFamilies {
		return
	}
	known := slices.Sorted(maps.Keys(r.Families))
	for _, family := range recipes.Placeholders(text) {
		if !slices.Contains(known, family) {
			l.failIn(r, at, strict.DidYouMean(family, known), "{%s} is not one of the recipe's families", family)
		}
	}
}
