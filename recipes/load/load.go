package load

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
	"github.com/ohpc-build/ohpc-build/recipes/targets"
)

const (
	recipeFile  = "recipe.yaml"
	catalogFile = "catalog.yaml"
	// maxFiles bounds the number of files of a catalogue.
	maxFiles = 100_000
)

// FS reads a catalogue. Its recipes may say something of the targets that ship
// with the program, and of further ones, that it does not define itself. The error
// is a [strict.Problems] with all that is wrong in it.
func FS(fsys fs.FS, further ...*recipes.Target) (*recipes.Catalog, error) {
	return load(fsys, "", false, further)
}

// Dir reads a catalogue from a folder as FS does. Nothing outside it is read,
// wherever a symbolic link may lead.
func Dir(dir string, further ...*recipes.Target) (*recipes.Catalog, error) {
	return open(dir, false, further)
}

// ToBump reads a catalogue from a folder as Dir does, but for the pins' locks,
// which may be missing or wrong: they are about to be written anew. Nothing can be
// built from it.
func ToBump(dir string, further ...*recipes.Target) (*recipes.Catalog, error) {
	return open(dir, true, further)
}

func open(dir string, unlocked bool, further []*recipes.Target) (*recipes.Catalog, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the catalogue %s: %w", dir, err)
	}
	c, err := load(root.FS(), dir, unlocked, further)
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	return c, nil
}

// load names files below folder in what it reports.
func load(fsys fs.FS, folder string, unlocked bool, further []*recipes.Target) (*recipes.Catalog, error) {
	l := &loader{fsys: fsys, folder: folder, unlocked: unlocked, catalog: &recipes.Catalog{FS: fsys}, docs: map[any]*strict.Document{}}
	l.header()
	l.catalog.Shared = l.files("shared")
	for _, file := range l.yamlFiles("families") {
		f := &recipes.Family{}
		l.decode(file, f)
		l.catalog.Families = append(l.catalog.Families, f)
	}
	for _, file := range l.yamlFiles("targets") {
		t := &recipes.Target{}
		l.decode(file, t)
		l.catalog.Targets = append(l.catalog.Targets, t)
	}
	if err := l.knowTargets(further); err != nil {
		return nil, err
	}
	for _, file := range l.yamlFiles("pins") {
		p := &recipes.Pin{Name: strings.TrimSuffix(path.Base(file), ".yaml")}
		l.decode(file, p)
		l.catalog.Pins = append(l.catalog.Pins, p)
	}
	l.recipes()
	// What could not be read correctly would only be found wrong again.
	if err := l.problems.Err(); err != nil {
		return nil, err
	}
	l.check()
	if err := l.problems.Err(); err != nil {
		return nil, err
	}
	c := l.catalog
	slices.SortFunc(c.Families, func(a, b *recipes.Family) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Targets, func(a, b *recipes.Target) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Pins, func(a, b *recipes.Pin) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Recipes, func(a, b *recipes.Recipe) int { return strings.Compare(a.Name, b.Name) })
	return c, nil
}

type loader struct {
	fsys     fs.FS
	folder   string // how people find fsys
	catalog  *recipes.Catalog
	targets  []*recipes.Target        // that recipes may name: the catalogue's, and others
	docs     map[any]*strict.Document // by what was decoded from it
	problems strict.Problems
	count    int  // files seen
	unlocked bool // pins' locks do not matter

	// unknownFamilies is set while a recipe is checked whose families are wrong.
	unknownFamilies bool
}

// shipped are the targets that every catalogue can be built for.
var shipped = sync.OnceValues(targets.Shipped)

// knowTargets adds to the catalogue's targets those of other places that it does
// not define itself.
func (l *loader) knowTargets(further []*recipes.Target) error {
	known, err := shipped()
	if err != nil {
		return err
	}
	l.targets = slices.Clone(l.catalog.Targets)
	for _, t := range slices.Concat(further, known) {
		if !slices.ContainsFunc(l.targets, func(other *recipes.Target) bool { return other.Name == t.Name }) {
			l.targets = append(l.targets, t)
		}
	}
	return nil
}

func (l *loader) fail(file, hint, format string, args ...any) {
	l.problems = append(l.problems, &strict.Problem{
		File: path.Join(l.folder, file), Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// failIn reports a problem with a value of something that was decoded.
func (l *loader) failIn(v any, at, hint, format string, args ...any) {
	l.problems = append(l.problems, l.docs[v].Problem(at, hint, format, args...))
}

// decode reads a YAML file into v and remembers where its values stand.
func (l *loader) decode(file string, v any) {
	data, err := recipes.ReadFile(l.fsys, file)
	if err != nil {
		l.fail(file, "", "%v", reason(err))
		return
	}
	doc, err := strict.Decode(path.Join(l.folder, file), data, v)
	l.docs[v] = doc
	var problems strict.Problems
	if errors.As(err, &problems) {
		l.problems = append(l.problems, problems...)
	}
}

func (l *loader) header() {
	if _, err := fs.Stat(l.fsys, catalogFile); errors.Is(err, fs.ErrNotExist) {
		l.fail(catalogFile, "a catalogue has catalog.yaml at its top, and beside it components, meta, families and targets", "the file is missing")
		return
	}
	l.decode(catalogFile, l.catalog)
}

// entries lists a folder that need not exist. What is neither a file nor a
// folder is refused: a symbolic link could name anything on the machine.
func (l *loader) entries(dir string) []fs.DirEntry {
	entries, err := fs.ReadDir(l.fsys, dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.fail(dir, "", "%v", reason(err))
		}
		return nil
	}
	l.count += len(entries)
	if l.count > maxFiles {
		if l.count-len(entries) <= maxFiles {
			l.fail(dir, "", "the catalogue has more than %d files", maxFiles)
		}
		return nil
	}
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		if e.IsDir() || e.Type().IsRegular() {
			return false
		}
		l.fail(path.Join(dir, e.Name()), "put a copy of the file here", "symbolic links and special files are not allowed in a catalogue")
		return true
	})
}

func (l *loader) folders(dir string) []string {
	var names []string
	for _, e := range l.entries(dir) {
		if e.IsDir() {
			names = append(names, path.Join(dir, e.Name()))
		} else {
			l.fail(path.Join(dir, e.Name()), "", "only folders belong here")
		}
	}
	return names
}

func (l *loader) yamlFiles(dir string) []string {
	var names []string
	for _, e := range l.entries(dir) {
		if !e.IsDir() && path.Ext(e.Name()) == ".yaml" {
			names = append(names, path.Join(dir, e.Name()))
		} else {
			l.fail(path.Join(dir, e.Name()), "", "only .yaml files belong here")
		}
	}
	return names
}

// files reads the files of a folder.
func (l *loader) files(dir string) []recipes.File {
	var files []recipes.File
	for _, e := range l.entries(dir) {
		if e.IsDir() {
			l.fail(path.Join(dir, e.Name()), "rpmbuild's SOURCES has no folders", "only files belong here")
			continue
		}
		if f, ok := l.file(path.Join(dir, e.Name())); ok {
			files = append(files, f)
		}
	}
	return files
}

func (l *loader) file(name string) (recipes.File, bool) {
	data, err := recipes.ReadFile(l.fsys, name)
	if err != nil {
		l.fail(name, "", "%v", reason(err))
		return recipes.File{}, false
	}
	return recipes.File{Name: path.Base(name), Path: name, Digest: store.Of(data)}, true
}

func (l *loader) recipes() {
	for _, group := range l.folders("components") {
		for _, dir := range l.folders(group) {
			l.recipe(dir)
		}
	}
	for _, dir := range l.folders("meta") {
		l.recipe(dir)
	}
}

func (l *loader) recipe(dir string) {
	r := &recipes.Recipe{Dir: dir}
	if !slices.ContainsFunc(l.entries(dir), func(e fs.DirEntry) bool { return e.Name() == recipeFile }) {
		l.fail(path.Join(dir, recipeFile), "each folder here is a recipe", "the file is missing")
		return
	}
	l.decode(path.Join(dir, recipeFile), r)
	if r.Kind == recipes.Component {
		if r.SpecFile == "" {
			r.SpecFile = "SPECS/" + path.Base(dir) + ".spec"
		}
		r.Sources = l.files(path.Join(dir, "SOURCES"))
	}
	l.catalog.Recipes = append(l.catalog.Recipes, r)
}

// reason takes the path off an error: the problem it goes into has it already.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
