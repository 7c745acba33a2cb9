package tree

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
)

// release is what misc/obs says about one release.
//
// A release's section lists only what is new in it. What it says of families and
// of what is left out counts alone; the choice of single components is kept from
// the earlier releases of the same major number.
type release struct {
	name   string
	config *ini
	groups map[string]bool // components of any group; nil: there are no groups

	members  map[string][]string            // kind → members
	only     map[string]map[string][]string // kind → component → members
	patterns map[string][]pattern           // architecture → what is not built there
	distro   map[string][]string            // target → parts of names that are not built there
	combos   []string                       // compiler-MPI pairs that do not go together
	disabled map[string]bool                // components marked with !
}

type pattern struct {
	text string
	expr *regexp.Regexp
}

const (
	obsDir    = "misc/obs"
	maxConfig = 256 << 10 // bytes; OpenHPC's have 20 KiB
)

// archOf are rpm's names for what options skip_* are called after.
var archOf = map[string]string{"skip_aarch": "aarch64", "skip_x86": "x86_64"}

var (
	releaseName = regexp.MustCompile(`^\d+\.\d+(\.\d+)?$`)
	combosLine  = regexp.MustCompile(`(?m)^skip_combos\s*=\s*(\[[^\]]*\])`)
)

// release finds the section of a release among the configurations in misc/obs.
func (l *loader) release(name string) *release {
	var configs []*ini
	entries, err := fs.ReadDir(l.fsys, obsDir)
	if err != nil {
		l.fail(obsDir, 0, "it holds the families of each release", "%v", reason(err))
		return nil
	}
	before := len(l.problems)
	for _, e := range entries {
		if e.Name() != "config" && !strings.HasPrefix(e.Name(), "config.") {
			continue
		}
		text, ok := l.read(path.Join(obsDir, e.Name()))
		if ok && len(text) > maxConfig {
			l.fail(path.Join(obsDir, e.Name()), 0, "", "it is larger than %d KiB", maxConfig>>10)
			continue
		}
		if ok {
			configs = append(configs, l.parse(path.Join(obsDir, e.Name()), text))
		}
	}
	if len(l.problems) > before {
		return nil
	}
	if len(configs) == 0 {
		l.fail(path.Join(obsDir, "config.*"), 0, "it holds the families of each release", "there is no such file")
		return nil
	}
	config, chosen := l.choose(configs, name)
	if chosen == nil {
		return nil
	}
	r := &release{
		name: chosen.name, config: config, members: map[string][]string{}, only: map[string]map[string][]string{compilerFamily: {}, mpiFamily: {}},
		patterns: map[string][]pattern{}, distro: map[string][]string{}, disabled: map[string]bool{},
	}
	l.fill(r, chosen)
	return r
}

// choose finds the section of a release, or of the latest when name is empty.
func (l *loader) choose(configs []*ini, name string) (*ini, *section) {
	var (
		config *ini
		chosen *section
		known  []string
	)
	for _, c := range configs {
		for _, s := range c.sections {
			if !releaseName.MatchString(s.name) {
				continue
			}
			known = append(known, s.name)
			switch {
			case s.name == name || s.name == name+".0":
				return c, s
			case name == "" && (chosen == nil || compareReleases(s.name, chosen.name) > 0):
				config, chosen = c, s
			}
		}
	}
	if chosen != nil {
		return config, chosen
	}
	file := configs[0].file
	if len(known) == 0 {
		l.fail(file, 0, "a release is a section such as [3.2.0]", "there is no release in it")
		return nil, nil
	}
	slices.SortFunc(known, compareReleases)
	hint := "the latest are " + strings.Join(known[max(0, len(known)-5):], ", ")
	l.fail(path.Join(obsDir, "config.*"), 0, hint, "there is no release %q", name)
	return nil, nil
}

func compareReleases(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		m, _ := strconv.Atoi(x)
		n, _ := strconv.Atoi(y)
		return cmp.Compare(m, n)
	})
}

func (l *loader) fill(r *release, chosen *section) {
	c := r.config
	for kind, key := range map[string]string{compilerFamily: "compiler_families", mpiFamily: "mpi_families"} {
		r.members[kind] = l.list(c, chosen.option(key))
		if len(r.members[kind]) == 0 {
			l.fail(c.file, chosen.line, "", "release [%s] has no %s", chosen.name, key)
		}
	}
	for _, s := range c.sections {
		if s.name == "groups" {
			r.groups = map[string]bool{}
			for _, o := range s.options {
				for _, name := range l.list(c, o) {
					r.groups[name] = true
				}
			}
		}
	}
	for _, o := range chosen.options {
		target, isDistro := strings.CutPrefix(o.key, "skip_on_distro_")
		switch {
		case isDistro:
			r.distro[target] = l.list(c, o)
		case strings.HasPrefix(o.key, "skip_"):
			l.patterns(r, o)
		}
	}
	if text, err := recipes.ReadFile(l.fsys, path.Join(obsDir, "obs_config.py")); err == nil {
		if m := combosLine.FindSubmatch(text); m != nil {
			r.combos, _ = pythonList(string(m[1]))
		}
	}
	// What is said of single components, the later over the earlier.
	major, _, _ := strings.Cut(chosen.name, ".")
	var history []*section
	for _, s := range c.sections {
		if releaseName.MatchString(s.name) && strings.HasPrefix(s.name, major+".") && compareReleases(s.name, chosen.name) <= 0 {
			history = append(history, s)
		}
	}
	slices.SortFunc(history, func(a, b *section) int { return compareReleases(a.name, b.name) })
	for _, s := range history {
		l.singles(r, s)
	}
}

// patterns reads the regular expressions of what an architecture leaves out.
func (l *loader) patterns(r *release, o *option) {
	arch, known := archOf[o.key]
	if !known {
		l.fail(r.config.file, o.line, "known are skip_aarch, skip_x86 and skip_on_distro_<target>", "it is not known what %s leaves out", o.key)
		return
	}
	for _, text := range l.list(r.config, o) {
		expr, err := regexp.Compile(text)
		if err != nil {
			l.fail(r.config.file, o.line, "", "%s: %q is not a regular expression that can be used: %v", o.key, text, err)
			continue
		}
		r.patterns[arch] = append(r.patterns[arch], pattern{text, expr})
	}
}

// singles takes over what a release's section says of single components. One
// that it lists is built as it says, whatever an earlier release said of it.
func (l *loader) singles(r *release, s *section) {
	for _, key := range []string{"standalone", "compiler_dependent", "mpi_dependent"} {
		for _, name := range l.list(r.config, s.option(key)) {
			plain, disabled := strings.CutPrefix(name, "!")
			r.disabled[plain] = disabled
			for kind := range r.only {
				delete(r.only[kind], plain)
			}
		}
	}
	for _, o := range s.options {
		for kind := range r.only {
			if name, ok := strings.CutSuffix(o.key, "_"+kind); ok {
				r.only[kind][name] = l.list(r.config, o)
			}
		}
	}
}

// stem is a member's name without its generation: gnu13 and gnu14 are one.
func stem(member string) string { return strings.TrimRight(member, "0123456789") }

// choice is which members of a family a component is built with.
func (r *release) choice(component, kind string) recipes.Choice {
	named, restricted := r.only[kind][component]
	if !restricted {
		return recipes.Choice{recipes.All}
	}
	var chosen recipes.Choice
	for _, m := range r.members[kind] {
		// An earlier release named an earlier generation.
		if slices.ContainsFunc(named, func(n string) bool { return n == m || stem(n) == stem(m) }) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return recipes.Choice{recipes.All}
	}
	return chosen
}

func (r *release) families() []*recipes.Family {
	family := func(kind, define, summary string) *recipes.Family {
		f := &recipes.Family{Name: kind, Define: define, Summary: summary}
		for _, m := range r.members[kind] {
			f.Members = append(f.Members, recipes.Member{Name: m, Summary: m})
		}
		return f
	}
	return []*recipes.Family{
		family(compilerFamily, compilerDefine, "Compilers of OpenHPC "+r.name),
		family(mpiFamily, mpiDefine, "MPI stacks of OpenHPC "+r.name),
	}
}

// dead says why a component is built nowhere, or "".
func (r *release) dead(dir string) string {
	if r.disabled[path.Base(dir)] {
		return fmt.Sprintf("is disabled with ! in %s", r.config.file)
	}
	if r.groups == nil {
		return ""
	}
	for d := dir; d != componentsDir && d != "."; d = path.Dir(d) {
		if r.groups[path.Base(d)] {
			return ""
		}
	}
	return fmt.Sprintf("is in none of the [groups] of %s", r.config.file)
}

// exclusions are the cells in which variants of a recipe are not built, as
// OpenHPC's tool decides it: by the name of a package of the Build Service, which
// is <component>[-<compiler>[-<mpi>]].
func (r *release) exclusions(component string, recipe *recipes.Recipe, targets []*recipes.Target) []recipes.Exclusion {
	var exclusions []recipes.Exclusion
	add := func(families map[string]recipes.Choice, variant string) {
		for _, picks := range r.combinations(families) {
			name := component
			for _, kind := range []string{compilerFamily, mpiFamily} {
				if picks[kind] != "" {
					name += "-" + picks[kind]
				}
			}
			for _, e := range r.exclude(name, targets, picks) {
				e.Families, e.Variant = picks, variant
				exclusions = append(exclusions, e)
			}
		}
	}
	add(recipe.Families, "")
	for _, v := range recipe.Variants {
		if v.Families != nil {
			add(v.Families, v.Name)
		}
	}
	return exclusions
}

func (r *release) combinations(families map[string]recipes.Choice) []map[string]string {
	picks := []map[string]string{nil}
	for _, kind := range slices.Sorted(maps.Keys(families)) {
		var next []map[string]string
		for _, before := range picks {
			for _, m := range r.members[kind] {
				if families[kind].HasAll() || slices.Contains(families[kind], m) {
					more := map[string]string{kind: m}
					maps.Copy(more, before)
					next = append(next, more)
				}
			}
		}
		picks = next
	}
	return picks
}

// exclude are the cells in which one package of the Build Service is not built.
func (r *release) exclude(name string, targets []*recipes.Target, picks map[string]string) []recipes.Exclusion {
	if slices.Contains(r.combos, picks[compilerFamily]+"-"+picks[mpiFamily]) {
		return []recipes.Exclusion{{Reason: fmt.Sprintf("%s does not go with %s: skip_combos in %s/obs_config.py", picks[compilerFamily], picks[mpiFamily], obsDir)}}
	}
	var exclusions []recipes.Exclusion
	for _, arch := range slices.Sorted(maps.Keys(r.patterns)) {
		for _, p := range r.patterns[arch] {
			if p.expr.MatchString(name) {
				exclusions = append(exclusions, recipes.Exclusion{
					Arch: arch, Reason: fmt.Sprintf("%q is left out on %s by %s [%s]", p.text, arch, r.config.file, r.name),
				})
				break
			}
		}
	}
	for _, t := range targets {
		for _, part := range r.distro[t.Name] {
			if strings.Contains(name, part) {
				exclusions = append(exclusions, recipes.Exclusion{
					Target: t.Name, Reason: fmt.Sprintf("%q is left out on %s by %s [%s]", part, t.Name, r.config.file, r.name),
				})
				break
			}
		}
	}
	return exclusions
}
