package load

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/recipes"
)

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
	plain := folderOf(r.Name)
	if !templateName.MatchString(r.Name) {
		l.failIn(r, "name", "letters, digits and + . _ -", "%q cannot name a recipe", r.Name)
	} else if folder := path.Base(r.Dir); plain != folder {
		l.failIn(r, "name", "rename one of them", "the name is %q, the folder is %s", plain, folder)
	}
	before := len(l.problems)
	l.checkChoices(r, "families", r.Families)
	l.checkVariants(r)
	l.unknownFamilies = len(l.problems) > before
	l.checkExclusions(r, "exclude", r.Exclude, r)
	if r.Noarch != "" && r.Noarch != recipes.AnyArch && !archName.MatchString(r.Noarch) {
		l.failIn(r, "noarch", "any, or the architecture that must build it", "%q is not an architecture", r.Noarch)
	}
	l.checkNeeds(r)
	l.checkAllow(r)
	switch r.Kind {
	case recipes.Component:
		l.checkComponent(r)
	case recipes.MetaPackage:
		l.checkMeta(r)
	}
	l.checkTests(r)
}

func (l *loader) checkNeeds(r *recipes.Recipe) {
	n := r.Needs
	if n.Cores < 0 {
		l.failIn(r, "needs.cores", "", "a number of cores cannot be negative")
	}
	if n.Time > 0 && n.Takes > n.Time {
		l.failIn(r, "needs.takes", "", "the build is expected to take %v, but held to hang after %v", time.Duration(n.Takes), time.Duration(n.Time))
	}
}

func (l *loader) checkAllow(r *recipes.Recipe) {
	for i, a := range r.Allow {
		if len(a.Paths) == 0 {
			l.failIn(r, fmt.Sprintf("allow[%d].paths", i), "", "nothing is allowed: there is no path")
		}
		for j, p := range a.Paths {
			at := fmt.Sprintf("allow[%d].paths[%d]", i, j)
			if _, err := path.Match(p, ""); err != nil || !path.IsAbs(p) {
				l.failIn(r, at, "an absolute path, in which * stands for a part of a name", "%q is no pattern of paths", p)
			}
		}
	}
}

func (l *loader) checkChoices(r *recipes.Recipe, at string, families map[string]recipes.Choice) {
	for _, name := range slices.Sorted(maps.Keys(families)) {
		family, err := l.catalog.Family(name)
		if err != nil {
			l.failIn(r, at+"."+name, "", "%v", err)
			continue
		}
		if len(families[name]) == 0 {
			l.failIn(r, at+"."+name, "leave the family out, or choose all", "no member is chosen")
		}
		seen := map[string]bool{}
		for i, member := range families[name] {
			here := fmt.Sprintf("%s.%s[%d]", at, name, i)
			if member == recipes.All {
				if len(families[name]) > 1 {
					l.failIn(r, here, name+": all", "all stands alone")
				}
				break
			}
			if _, err := family.Member(member); err != nil {
				l.failIn(r, here, "", "%v", err)
			}
			if seen[member] {
				l.failIn(r, here, "", "member %q is chosen twice", member)
			}
			seen[member] = true
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
	l.checkPatches(r)
}

// folderOf is the folder of a recipe with a name. Braces stand for a family in
// the names of meta-packages; in those of folders they would only be in the way.
func folderOf(name string) string { return strings.NewReplacer("{", "", "}", "").Replace(name) }

func (l *loader) checkTests(r *recipes.Recipe) {
	for i, t := range r.Tests {
		at := fmt.Sprintf("tests[%d]", i)
		if !fs.ValidPath(t.Script) || !strings.HasPrefix(t.Script, "tests/") {
			l.failIn(r, at+".script", "", "%q is not a file in the recipe's folder tests", t.Script)
		} else if fi, err := fs.Stat(l.fsys, path.Join(r.Dir, t.Script)); err != nil || !fi.Mode().IsRegular() {
			l.failIn(r, at+".script", "", "there is no file %s", path.Join(l.folder, r.Dir, t.Script))
		}
		for j, q := range t.Quarantine {
			here := fmt.Sprintf("%s.quarantine[%d]", at, j)
			if err := q.Check(time.Now()); err != nil {
				l.failIn(r, here+".until", "name an earlier day; it can be renewed then", "%v", err)
			}
			if q.Case != "" && path.Ext(t.Script) != ".bats" {
				l.failIn(r, here+".case", "leave the case out", "%s has no cases: it is no BATS file", t.Script)
			}
		}
		for j, p := range t.Packages {
			here := fmt.Sprintf("%s.packages[%d]", at, j)
			l.checkPlaceholders(r, here, p)
			for _, x := range r.Variants {
				for _, family := range recipes.Placeholders(p) {
					if _, ok := x.Families[family]; !ok && x.Families != nil && !l.unknownFamilies {
						l.failIn(r, here, "", "variant %s has no %s to stand for {%s}", x.Name, family, family)
					}
				}
			}
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
