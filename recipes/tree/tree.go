package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

const (
	componentsDir = "components"
	specsDir      = "SPECS"
	sourcesDir    = "SOURCES"

	// Bounds on a tree: of files and folders below components/, and of the depth
	// of folders. OpenHPC has about 700 and 5.
	maxFiles = 100_000
	maxDepth = 10
)

// Options say how to read a tree.
type Options struct {
	Release string            // "3.2.0"; the latest that the tree knows when empty
	Targets []*recipes.Target // what can be built for
	Defines map[string]string // for every job, such as ohpc_repo
}

// Load reads the OpenHPC tree in dir. The error is a [strict.Problems] with
// everything that is wrong in it.
//
// A spec that rpm cannot read is no error here: it is one only where it is built.
func Load(dir string, opt Options) (*recipes.Catalog, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the tree %s: %w", dir, err)
	}
	l := &loader{fsys: root.FS(), folder: dir}
	c, err := l.load(opt)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return c, nil // the catalogue goes on reading from root
}

// loader gathers what is wrong while it reads.
type loader struct {
	fsys     fs.FS
	folder   string // how people find fsys
	problems strict.Problems
	count    int // files and folders seen
}

func (l *loader) fail(file string, line int, hint, format string, args ...any) {
	l.problems = append(l.problems, &strict.Problem{
		File: path.Join(l.folder, file), Line: line, Column: min(line, 1), Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

func (l *loader) load(opt Options) (*recipes.Catalog, error) {
	if fi, err := fs.Stat(l.fsys, componentsDir); err != nil || !fi.IsDir() {
		l.fail(componentsDir, 0, "--tree takes the top folder of a checkout of OpenHPC; a catalogue of recipes goes to --catalog", "there is no such folder")
		return nil, l.problems.Err()
	}
	shared := l.shared()
	components := l.components()
	if len(components) == 0 && len(l.problems) == 0 {
		l.fail(componentsDir, 0, "a component is a folder with SPECS/<name>.spec", "there is no spec in this tree")
	}
	rel := l.release(opt.Release)
	if err := l.problems.Err(); err != nil {
		return nil, err
	}
	major, _, _ := strings.Cut(rel.name, ".")
	c := &recipes.Catalog{
		Release: major, Version: rel.name, URL: "https://github.com/openhpc/ohpc",
		// What the Build Service's project configuration tells the release package.
		Defines:  map[string]string{"ohpc_version": major},
		Families: rel.families(), Shared: shared, FS: l.fsys,
	}
	maps.Copy(c.Defines, opt.Defines)
	for _, t := range opt.Targets {
		t := *t
		t.Defines = maps.Clone(t.Defines)
		if t.Defines == nil {
			t.Defines = map[string]string{}
		}
		t.Defines["_repository"] = t.Name
		c.Targets = append(c.Targets, &t)
	}
	names := namesOf(components)
	for _, comp := range components {
		c.Recipes = append(c.Recipes, l.recipe(comp, names[comp], rel, c.Targets))
	}
	slices.SortFunc(c.Recipes, func(a, b *recipes.Recipe) int { return strings.Compare(a.Name, b.Name) })
	return c, l.problems.Err()
}

// shared are the files in components/ itself.
func (l *loader) shared() []recipes.File {
	var files []recipes.File
	for _, e := range l.entries(componentsDir) {
		if !e.IsDir() && strings.HasPrefix(e.Name(), "OHPC_") {
			if f, ok := l.file(path.Join(componentsDir, e.Name())); ok {
				files = append(files, f)
			}
		}
	}
	return files
}

// component is a folder with a spec. One with two specs is two components.
type component struct {
	dir  string // components/io-libs/hdf5
	spec recipes.File
	text []byte // of the spec
}

// components are all of the tree, by path.
func (l *loader) components() []*component {
	var found []*component
	var walk func(dir string, depth int)
	walk = func(dir string, depth int) {
		if depth > maxDepth {
			l.fail(dir, 0, "", "folders are nested deeper than %d", maxDepth)
			return
		}
		for _, e := range l.entries(dir) {
			switch sub := path.Join(dir, e.Name()); {
			case !e.IsDir() || e.Name() == sourcesDir:
			case e.Name() == specsDir:
				found = append(found, l.specs(dir)...)
			default:
				walk(sub, depth+1)
			}
		}
	}
	walk(componentsDir, 0)
	slices.SortFunc(found, func(a, b *component) int { return strings.Compare(a.spec.Path, b.spec.Path) })
	return found
}

func (l *loader) specs(dir string) []*component {
	var found []*component
	for _, e := range l.entries(path.Join(dir, specsDir)) {
		if e.IsDir() || path.Ext(e.Name()) != ".spec" {
			continue
		}
		name := path.Join(dir, specsDir, e.Name())
		if text, ok := l.read(name); ok {
			found = append(found, &component{dir: dir, spec: recipes.File{Name: e.Name(), Path: name, Digest: store.Of(text)}, text: text})
		}
	}
	return found
}

// group is the folder right below components/.
func (c *component) group() string {
	below := strings.TrimPrefix(c.dir, componentsDir+"/")
	group, _, _ := strings.Cut(below, "/")
	return group
}

// namesOf gives each component its recipe's name: that of its folder, and as
// much more of its path as tells it from others.
func namesOf(components []*component) map[*component]string {
	spellings := []func(*component) string{
		func(c *component) string { return path.Base(c.dir) },
		func(c *component) string { return path.Base(c.dir) + "." + strings.TrimSuffix(c.spec.Name, ".spec") },
		func(c *component) string {
			return strings.ReplaceAll(strings.TrimPrefix(strings.TrimSuffix(c.spec.Path, ".spec"), componentsDir+"/"), "/", ".")
		},
	}
	names := map[*component]string{}
	open := components
	for _, spell := range spellings {
		count := map[string]int{}
		for _, name := range names {
			count[name]++
		}
		for _, c := range open {
			count[spell(c)]++
		}
		var next []*component
		for _, c := range open {
			if count[spell(c)] > 1 {
				next = append(next, c)
				continue
			}
			names[c] = spell(c)
		}
		open = next
	}
	return names
}

func (l *loader) recipe(c *component, name string, rel *release, targets []*recipes.Target) *recipes.Recipe {
	traits := scan(c.text)
	r := &recipes.Recipe{
		Name: name, Kind: recipes.Component, Group: c.group(), Summary: traits.summary,
		SpecFile: strings.TrimPrefix(c.spec.Path, c.dir+"/"), Dir: c.dir, Spec: c.spec, Sources: l.sources(c.dir),
		FromSpec: true, Variants: traits.variants,
	}
	key := path.Base(c.dir) // what OpenHPC's configuration calls it
	if traits.compiler {
		r.Families = map[string]recipes.Choice{compilerFamily: rel.choice(key, compilerFamily)}
		if traits.mpi {
			r.Families[mpiFamily] = rel.choice(key, mpiFamily)
		}
	}
	for i, v := range r.Variants {
		if v.Families == nil {
			continue
		}
		// A variant without MPI.
		r.Variants[i].Families = map[string]recipes.Choice{compilerFamily: rel.choice(key, compilerFamily)}
	}
	if reason := rel.dead(c.dir); reason != "" {
		r.Exclude = []recipes.Exclusion{{Reason: reason}}
		return r
	}
	r.Exclude = rel.exclusions(key, r, targets)
	return r
}

// sources are the files that lie ready in SOURCES/.
func (l *loader) sources(dir string) []recipes.File {
	var files []recipes.File
	if _, err := fs.Stat(l.fsys, path.Join(dir, sourcesDir)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range l.entries(path.Join(dir, sourcesDir)) {
		if e.IsDir() {
			continue // rpmbuild does not look into it
		}
		if f, ok := l.file(path.Join(dir, sourcesDir, e.Name())); ok {
			files = append(files, f)
		}
	}
	return files
}

// entries lists a folder, hidden files excepted. A symbolic link is followed when
// what it names is a file of the tree; os.Root sees to it that it is.
func (l *loader) entries(dir string) []fs.DirEntry {
	entries, err := fs.ReadDir(l.fsys, dir)
	if err != nil {
		l.fail(dir, 0, "", "%v", reason(err))
		return nil
	}
	l.count += len(entries)
	if l.count > maxFiles {
		if l.count-len(entries) <= maxFiles {
			l.fail(dir, 0, "", "the tree has more than %d files", maxFiles)
		}
		return nil
	}
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") })
}

func (l *loader) file(name string) (recipes.File, bool) {
	data, ok := l.read(name)
	return recipes.File{Name: path.Base(name), Path: name, Digest: store.Of(data)}, ok
}

func (l *loader) read(name string) ([]byte, bool) {
	data, err := recipes.ReadFile(l.fsys, name)
	if err != nil {
		l.fail(name, 0, "", "%v", reason(err))
		return nil, false
	}
	return data, true
}

// reason takes the path off an error: the problem it goes into has it already.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
