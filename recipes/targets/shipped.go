package targets

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

//go:embed *.yaml
var files embed.FS

// Shipped are the targets that ship with the program, by name: those defined here,
// and those of the embedded catalogue, whose images read the others' specs.
func Shipped() ([]*recipes.Target, error) {
	defined, err := read(files, ".")
	if err != nil {
		return nil, err
	}
	embedded, err := read(catalog.FS(), "targets")
	if err != nil {
		return nil, err
	}
	all := slices.Concat(defined, embedded)
	sortByName(all)
	return all, nil
}

func read(fsys fs.FS, dir string) ([]*recipes.Target, error) {
	sub, err := fs.Sub(fsys, dir)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(sub, "*.yaml")
	if err != nil {
		return nil, err
	}
	var targets []*recipes.Target
	for _, name := range names {
		data, err := recipes.ReadFile(sub, name)
		if err != nil {
			return nil, fmt.Errorf("reading the definition %s of a target: %w", name, err)
		}
		t, err := decode(name, data)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	return targets, nil
}

func decode(file string, data []byte) (*recipes.Target, error) {
	t := &recipes.Target{}
	doc, err := strict.Decode(file, data, t)
	if err != nil {
		return nil, err
	}
	var problems strict.Problems
	t.Check(func(key, hint, format string, args ...any) {
		problems = append(problems, doc.Problem(key, hint, format, args...))
	})
	if want := t.Name + ".yaml"; file != want {
		problems = append(problems, doc.Problem("name", "rename one of them", "the name is %q, the file is %s", t.Name, file))
	}
	return t, problems.Err()
}

func sortByName(targets []*recipes.Target) {
	slices.SortFunc(targets, func(a, b *recipes.Target) int { return strings.Compare(a.Name, b.Name) })
}
