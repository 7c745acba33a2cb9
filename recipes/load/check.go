package load

import (
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

var (
	// A package name as rpm allows it, without what a shell or path would mind.
	packageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]*$`)
	macroName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{2,}$`)
	archName    = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
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

func (l *loader) checkFamilies() {
	for _, f := range l.catalog.Families {
		l.checkFileName(f, f.Name)
		if !macroName.MatchString(f.Define) {
			l.failIn(f, "define", "", "%q is not the name of a macro", f.Define)
		}
		seen := map[string]bool{}
		for i, m := range f.Members {
			at := fmt.Sprintf("members[%d]", i)
			if !packageName.MatchString(m.Name) || m.Name == recipes.All {
				l.failIn(f, at+".name", "", "%q cannot name a member", m.Name)
			}
			if seen[m.Name] {
				l.failIn(f, at+".name", "", "member %q is given twice", m.Name)
			}
			seen[m.Name] = true
		}
	}
}

// checkMembers looks for what families' members refer to.
func (l *loader) checkMembers() {
	for _, f := range l.catalog.Families {
		for i, m := range f.Members {
			l.checkExclusions(f, fmt.Sprintf("members[%d].exclude", i), m.Exclude)
			if _, err := l.catalog.Recipe(m.Recipe); err != nil {
				l.failIn(f, fmt.Sprintf("members[%d].recipe", i), "", "%v", err)
			}
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

func (l *loader) checkTargets() {
	for _, t := range l.catalog.Targets {
		l.checkFileName(t, t.Name)
		if len(t.Architectures) == 0 {
			l.failIn(t, "architectures", "", "a target needs at least one architecture")
			continue
		}
		for i, a := range t.Architectures {
			if !archName.MatchString(a) || a == "noarch" || a == "src" {
				l.failIn(t, fmt.Sprintf("architectures[%d]", i), "rpm's names, such as x86_64 and aarch64", "%q is not an architecture", a)
			}
		}
		if (t.Image.Reference == "") == (t.Image.Bootstrap == nil) {
			l.failIn(t, "image", "", "an image has either a reference or a bootstrap")
		}
		l.checkDefines(t, "defines", t.Defines)
		for i, c := range t.Checks {
			for j, a := range c.Architectures {
				if !slices.Contains(t.Architectures, a) {
					l.failIn(t, fmt.Sprintf("checks[%d].architectures[%d]", i, j), strict.DidYouMean(a, t.Architectures),
						"the target has no architecture %q", a)
				}
			}
		}
	}
}

// checkExclusions finds targets and architectures that do not exist, for which
// an exclusion would be silently without effect.
func (l *loader) checkExclusions(v any, at string, exclusions []recipes.Exclusion) {
	var targets, archs []string
	for _, t := range l.catalog.Targets {
		targets = append(targets, t.Name)
		archs = append(archs, t.Architectures...)
	}
	for i, e := range exclusions {
		if e.Target != "" && !slices.Contains(targets, e.Target) {
			l.failIn(v, fmt.Sprintf("%s[%d].target", at, i), strict.DidYouMean(e.Target, targets), "there is no target %q", e.Target)
		}
		if e.Arch != "" && !slices.Contains(archs, e.Arch) {
			l.failIn(v, fmt.Sprintf("%s[%d].arch", at, i), strict.DidYouMean(e.Arch, archs), "no target has the architecture %q", e.Arch)
		}
	}
}

func (l *loader) checkRecipes() {
	var checked []*recipes.Recipe
	for _, r := range l.catalog.Recipes {
		l.checkRecipe(r)
		checked = append(checked, l.instances(r)...)
	}
	seen := map[string]*recipes.Recipe{}
	for _, r := range checked {
		if other := seen[r.Name]; other != nil {
			l.failIn(r, "name", "", "there is another recipe %q in %s", r.Name, path.Join(l.folder, other.Dir))
			continue
		}
		seen[r.Name] = r
	}
	l.catalog.Recipes = checked
}

func (l *loader) checkRecipe(r *recipes.Recipe) {
	// Braces stand for a family in the names of meta-packages; in those of
	// folders they would only be in the way.
	plain := strings.NewReplacer("{", "", "}", "").Replace(r.Name)
	if !packageName.MatchString(plain) {
		l.failIn(r, "name", "letters, digits and + . _ -", "%q cannot name a recipe", r.Name)
	} else if folder := path.Base(r.Dir); plain != folder {
		l.failIn(r, "name", "rename one of them", "the name is %q, the folder is %s", plain, folder)
	}
	before := len(l.problems)
	l.checkFamiliesOf(r)
	l.unknownFamilies = len(l.problems) > before
	l.checkExclusions(r, "exclude", r.Exclude)
	if r.Noarch != "" && r.Noarch != recipes.AnyArch && !archName.MatchString(r.Noarch) {
		l.failIn(r, "noarch", "any, or the architecture that must build it", "%q is not an architecture", r.Noarch)
	}
	if r.Needs.Cores < 0 {
		l.failIn(r, "needs.cores", "", "a number of cores cannot be negative")
	}
	switch r.Kind {
	case recipes.Component:
		l.checkComponent(r)
	case recipes.MetaPackage:
		l.checkMeta(r)
	}
	l.checkTests(r)
}

func (l *loader) checkFamiliesOf(r *recipes.Recipe) {
	for _, name := range slices.Sorted(maps.Keys(r.Families)) {
		family, err := l.catalog.Family(name)
		if err != nil {
			l.failIn(r, "families."+name, "", "%v", err)
			continue
		}
		if len(r.Families[name]) == 0 {
			l.failIn(r, "families."+name, "leave the family out, or choose all", "no member is chosen")
		}
		for i, member := range r.Families[name] {
			if r.Families[name].HasAll() {
				break
			}
			if _, err := family.Member(member); err != nil {
				l.failIn(r, fmt.Sprintf("families.%s[%d]", name, i), "", "%v", err)
			}
		}
	}
}

func (l *loader) checkComponent(r *recipes.Recipe) {
	doc := l.docs[r]
	if group := path.Base(path.Dir(r.Dir)); strings.HasPrefix(r.Dir, "meta/") {
		l.failIn(r, "kind", "move it to components/<group>", "a component does not belong in meta")
	} else if r.Group != group {
		l.failIn(r, "group", "", "the group is %q, the folder is in %s", r.Group, group)
	}
	for _, key := range []string{"requires", "description"} {
		if doc.Has(key) {
			l.failIn(r, key, "a component says it in its spec", "%s is only for meta-packages", key)
		}
	}
	if strings.ContainsAny(r.Name, "{}") {
		l.failIn(r, "name", "", "only the name of a meta-package may name a family")
	}
	if !fs.ValidPath(r.SpecFile) {
		l.failIn(r, "spec", "", "%q is not a path inside the recipe", r.SpecFile)
	} else if spec, ok := l.file(path.Join(r.Dir, r.SpecFile)); ok {
		r.Spec = spec
	}
	l.checkSources(r)
}

func (l *loader) checkSources(r *recipes.Recipe) {
	taken := map[string]string{}
	for _, f := range l.catalog.Shared {
		taken[f.Name] = f.Path
	}
	for _, f := range r.Sources {
		if other := taken[f.Name]; other != "" {
			l.fail(f.Path, "rename it", "%s has the same name, and both go to _sourcedir", path.Join(l.folder, other))
		}
		taken[f.Name] = f.Path
	}
	for i, s := range r.Fetched {
		at := fmt.Sprintf("sources[%d]", i)
		if !plainName(s.File) {
			l.failIn(r, at+".file", "", "%q is not a file name", s.File)
		} else if other := taken[s.File]; other != "" {
			l.failIn(r, at+".file", "rename it", "%s has the same name, and both go to _sourcedir", other)
		}
		taken[s.File] = "another source"
		l.checkSource(r, at, s)
	}
}

func (l *loader) checkSource(r *recipes.Recipe, at string, s recipes.Source) {
	var kinds []string
	for kind, given := range map[string]bool{
		"debian": s.Debian != nil, "url": s.URL != "", "git": s.Git != nil, "dir": s.Folder != nil, "generated": s.Generated != "",
	} {
		if given {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) != 1 {
		l.failIn(r, at, "one of debian, url, git, dir and generated", "a source says in exactly one way where it comes from")
		return
	}
	pinned := s.SHA256 != ""
	if pinned && !isDigest(s.SHA256) {
		l.failIn(r, at+".sha256", "", "%q is not a SHA-256 digest: 64 lower-case hexadecimal digits", s.SHA256)
	}
	if len(s.Mirrors) > 0 && s.URL == "" {
		l.failIn(r, at+".mirrors", "", "mirrors are only for a url")
	}
	switch {
	case s.Debian != nil:
		if !plainName(s.Debian.File) {
			l.failIn(r, at+".debian.file", "", "%q is not a file name", s.Debian.File)
		}
	case s.URL != "":
		for j, u := range append([]string{s.URL}, s.Mirrors...) {
			where := at + ".url"
			if j > 0 {
				where = fmt.Sprintf("%s.mirrors[%d]", at, j-1)
			}
			if p, err := url.Parse(u); err != nil || p.Host == "" || (p.Scheme != "https" && p.Scheme != "http") {
				l.failIn(r, where, "", "%q is not an http or https address", u)
			}
		}
	case s.Git != nil:
		l.checkGit(r, at+".git", s.Git)
		if s.Git.Pin != "" && pinned {
			l.failIn(r, at+".sha256", "leave it out", "the archive is another one after each bump; the commit of the pin verifies it")
		}
	case s.Folder != nil:
		l.checkPrefix(r, at+".dir.prefix", s.Folder.Prefix)
	}
	if (s.Debian != nil || s.URL != "") && !pinned {
		l.failIn(r, at, "add sha256: and the digest that sha256sum prints", "source %s is not pinned by a digest", s.File)
	}
}

func (l *loader) checkPrefix(r *recipes.Recipe, at, prefix string) {
	if !plainName(strings.TrimSuffix(prefix, "/")) {
		l.failIn(r, at, "", "%q is not the name of one folder", prefix)
	}
}

func (l *loader) checkMeta(r *recipes.Recipe) {
	doc := l.docs[r]
	if !strings.HasPrefix(r.Dir, "meta/") {
		l.failIn(r, "kind", "move it to meta", "a meta-package does not belong in components")
	}
	for _, key := range []string{"group", "spec", "sources"} {
		if doc.Has(key) {
			l.failIn(r, key, "", "%s is only for components", key)
		}
	}
	if len(r.Requires) == 0 {
		l.failIn(r, "requires", "", "a meta-package without requirements installs nothing")
	}
	if r.Noarch == "" {
		r.Noarch = recipes.AnyArch
	}
	l.checkText(r, "summary", r.Summary, false)
	l.checkText(r, "description", r.Description, true)
	named := recipes.Placeholders(r.Name)
	for _, family := range slices.Sorted(maps.Keys(r.Families)) {
		if !slices.Contains(named, family) {
			l.failIn(r, "families."+family, fmt.Sprintf("put {%s} into the name", family),
				"the meta-package has the same name for each member of the family")
		}
	}
	l.checkPlaceholders(r, "name", r.Name)
	seen := map[string]bool{}
	for i, req := range r.Requires {
		at := fmt.Sprintf("requires[%d]", i)
		l.checkPlaceholders(r, at, req.Package)
		if !packageName.MatchString(strings.NewReplacer("{", "", "}", "").Replace(req.Package)) {
			l.failIn(r, at, "", "%q is not the name of a package", req.Package)
		}
		if seen[req.Package] {
			l.failIn(r, at, "", "%s is required twice", req.Package)
		}
		seen[req.Package] = true
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

func (l *loader) checkTests(r *recipes.Recipe) {
	for i, t := range r.Tests {
		at := fmt.Sprintf("tests[%d]", i)
		if !fs.ValidPath(t.Script) || !strings.HasPrefix(t.Script, "tests/") {
			l.failIn(r, at+".script", "", "%q is not a file in the recipe's folder tests", t.Script)
		} else if fi, err := fs.Stat(l.fsys, path.Join(r.Dir, t.Script)); err != nil || !fi.Mode().IsRegular() {
			l.failIn(r, at+".script", "", "there is no file %s", path.Join(l.folder, r.Dir, t.Script))
		}
		for j, p := range t.Packages {
			l.checkPlaceholders(r, fmt.Sprintf("%s.packages[%d]", at, j), p)
		}
	}
}

// instances returns one recipe for each choice that the name of a meta-package
// leaves open, and the recipe itself when it leaves none.
func (l *loader) instances(r *recipes.Recipe) []*recipes.Recipe {
	named := recipes.Placeholders(r.Name)
	if r.Kind != recipes.MetaPackage || len(named) == 0 {
		return []*recipes.Recipe{r}
	}
	combinations := l.catalog.Combine(r.Families, slices.Compact(slices.Sorted(slices.Values(named))))
	var instances []*recipes.Recipe
	for _, picks := range combinations {
		instance := *r
		instance.Fixed = picks
		instance.Name = recipes.Fill(r.Name, picks)
		instance.Summary = recipes.Fill(r.Summary, picks)
		instance.Description = recipes.Fill(r.Description, picks)
		l.docs[&instance] = l.docs[r]
		instances = append(instances, &instance)
	}
	return instances
}

// plainName says whether name is a file name that stays in its folder.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00\n")
}

func isDigest(s string) bool {
	_, err := store.ParseDigest(s)
	return err == nil && !strings.Contains(s, ":")
}
