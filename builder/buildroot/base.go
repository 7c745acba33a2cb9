package buildroot

import (
	"cmp"
	"os"
	"slices"
	"strings"
)

const (
	// maxDepth bounds how many layers a root has above its image's. A lookup of a file
	// goes through all of them.
	maxDepth = 8

	// maxPaths bounds the paths of a root's layers together, in bytes: a mount's
	// options, which have further words, must fit into a memory page.
	maxPaths = 3 << 10

	// maxSearch bounds how many roots of one image are looked at.
	maxSearch = 1024
)

// base finds the root that holds most of the packages, and nothing else, for the
// rest to be installed on top of. It is nil when none is of use.
func (a *Assembler) base(image Image, packages []Package) (below *root, rest []Package) {
	type choice struct {
		name string
		root *root
	}
	var choices []choice
	for _, name := range a.rootsOf(image) {
		var r root
		if err := a.store.Peek(recordKind, name, &r); err != nil || len(r.Layers) == 0 || len(r.Layers) >= maxDepth {
			continue
		}
		if length(a.stack(&r, image)) > maxPaths || !separate(r.Packages, packages) {
			continue
		}
		choices = append(choices, choice{name, &r})
	}
	slices.SortFunc(choices, func(x, y choice) int {
		return cmp.Or(
			-cmp.Compare(len(x.root.Packages), len(y.root.Packages)),
			cmp.Compare(len(x.root.Layers), len(y.root.Layers)),
			cmp.Compare(x.name, y.name),
		)
	})
	for _, c := range choices {
		// What was only looked at may be gone by now.
		if r := a.kept(c.name); r != nil {
			return r, without(packages, r.Packages)
		}
	}
	return nil, packages
}

// rootsOf lists the names of an image's roots. The name of a layer begins with that
// of the root which it was made for.
func (a *Assembler) rootsOf(image Image) []string {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return nil // nothing was made yet
	}
	prefix := imagePrefix(image)
	var names []string
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) || len(names) == maxSearch {
			continue
		}
		name, _, _ := strings.Cut(e.Name()[len(prefix):], "-")
		if name = prefix + name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// separate says whether have is a part of want and whether none of the rest has the
// name of one in it: on top, rpm would replace the one, and in one go it would not.
func separate(have, want []Package) bool {
	if len(have) >= len(want) {
		return false
	}
	names := map[string]bool{}
	for _, p := range have {
		if !slices.Contains(want, p) {
			return false
		}
		names[packageName(p.File)] = true
	}
	for _, p := range without(want, have) {
		if names[packageName(p.File)] {
			return false
		}
	}
	return true
}

// without returns the packages that are not among others.
func without(packages, others []Package) []Package {
	var rest []Package
	for _, p := range packages {
		if !slices.Contains(others, p) {
			rest = append(rest, p)
		}
	}
	return rest
}

// packageName is a package's name by that of its file, name-version-release.arch.rpm.
func packageName(file string) string {
	parts := strings.Split(file, "-")
	return strings.Join(parts[:max(1, len(parts)-2)], "-")
}

func length(paths []string) (n int) {
	for _, p := range paths {
		n += len(p) + 1
	}
	return n
}
