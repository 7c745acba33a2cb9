package buildroot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

// installer stands for a sandbox in which rpm installs: it notes what it was given,
// and lists what the layers of the root say.
type installer struct {
	runs   [][]string // of each run the packages
	refuse func(names []string, stacked bool) error
	forget string // is not installed when it is the only one
}

func (i *installer) Run(_ context.Context, s sandbox.Spec) error {
	var names []string
	for _, arg := range s.Args[4:] {
		names = append(names, path.Base(arg))
	}
	i.runs = append(i.runs, names)
	stacked := len(s.Layers) > 1
	if i.refuse != nil {
		if err := i.refuse(names, stacked); err != nil {
			return err
		}
	}
	for _, name := range names {
		if name == i.forget && stacked {
			continue
		}
		if err := os.WriteFile(filepath.Join(s.Upper, name), nil, 0o600); err != nil {
			return err
		}
	}
	for _, layer := range append([]string{s.Upper}, s.Layers...) {
		entries, err := os.ReadDir(layer)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".rpm") {
				fmt.Fprintln(s.Stdout, e.Name())
			}
		}
	}
	return nil
}

type fixture struct {
	*Assembler
	*installer
	t     *testing.T
	image Image
}

func newFixture(t *testing.T) *fixture {
	dir := t.TempDir()
	st, err := store.Open(filepath.Join(dir, "store"))
	require.NoError(t, err)
	base := filepath.Join(dir, "image")
	require.NoError(t, os.Mkdir(base, 0o755))
	i := &installer{}
	return &fixture{New(st, i, filepath.Join(dir, "roots")), i, t, Image{Digest: "sha256:image", Layers: []string{base}}}
}

// packages are files name-1-1.noarch.rpm; a name may bring its own version.
func (f *fixture) packages(names ...string) []Package {
	var all []Package
	for _, name := range names {
		if !strings.Contains(name, "-") {
			name += "-1"
		}
		d, err := f.store.PutBytes(f.t.Context(), []byte(name))
		require.NoError(f.t, err)
		all = append(all, Package{File: name + "-1.noarch.rpm", Digest: d})
	}
	return all
}

// layers makes a root and returns how many layers it has above the image, and what
// was installed for it.
func (f *fixture) layers(names ...string) (depth int, installed string) {
	f.runs = nil
	layers, err := f.Layers(f.t.Context(), f.image, f.packages(names...))
	require.NoError(f.t, err)
	for _, l := range layers {
		require.DirExists(f.t, l)
	}
	var runs []string
	for _, r := range f.runs {
		runs = append(runs, strings.ReplaceAll(strings.Join(r, " "), "-1-1.noarch.rpm", ""))
	}
	return len(layers) - len(f.image.Layers), strings.Join(runs, "; ")
}

func TestLargestSubsetAndTheRest(t *testing.T) {
	f := newFixture(t)
	for _, tc := range []struct {
		want      []string
		depth     int
		installed string
	}{
		{[]string{"b", "a"}, 1, "a b"},
		{[]string{"a", "b"}, 1, ""}, // the same set
		{[]string{"a"}, 1, "a"},
		{[]string{"a", "b", "c"}, 2, "c"},
		{[]string{"a", "c"}, 2, "c"}, // on top of a, not of a b c
		{[]string{"a", "b", "c", "d", "e"}, 3, "d e"},
		{[]string{"x"}, 1, "x"},
		{[]string{"a", "b-2"}, 2, "b-2-1.noarch.rpm"},           // another b: only a serves
		{[]string{"a", "b", "b-2"}, 2, "b b-2-1.noarch.rpm"},    // on top of a b, b-2 would replace b
		{[]string{"a", "b", "c", "d", "e", "f", "g"}, 4, "f g"}, // the largest
		{[]string{"a", "b", "c", "d", "e", "f", "g"}, 4, ""},    // now there
	} {
		depth, installed := f.layers(tc.want...)
		require.Equal(t, tc.depth, depth, "%v", tc.want)
		require.Equal(t, tc.installed, installed, "%v", tc.want)
	}
	f.image.Digest = "sha256:another"
	depth, installed := f.layers("a", "b", "c")
	require.Equal(t, 1, depth, "the roots of another image do not serve")
	require.Equal(t, "a b c", installed)
}

func TestDeepRootsAreMadeInOneGo(t *testing.T) {
	f := newFixture(t)
	names := []string{}
	deepest := 0
	for i := range 2 * maxDepth {
		names = append(names, fmt.Sprintf("p%02d", i))
		depth, _ := f.layers(names...)
		deepest = max(deepest, depth)
		require.LessOrEqual(t, depth, maxDepth)
	}
	require.Equal(t, maxDepth, deepest)

	f = newFixture(t)
	f.layers("a")
	f.image.Layers = append(f.image.Layers, f.image.Layers[0]+"/"+strings.Repeat("./", maxPaths/2))
	depth, installed := f.layers("a", "b")
	require.Equal(t, 1, depth, "the mount's options would be too long")
	require.Equal(t, "a b", installed)
}

func TestWhatDoesNotGoOnTopIsMadeInOneGo(t *testing.T) {
	f := newFixture(t)
	f.layers("a")
	f.refuse = func(_ []string, stacked bool) error {
		if stacked {
			return errors.New("b conflicts with a")
		}
		return nil
	}
	depth, installed := f.layers("a", "b")
	require.Equal(t, 1, depth)
	require.Equal(t, "b; a b", installed)

	f = newFixture(t)
	f.layers("a")
	f.forget = "b-1-1.noarch.rpm"
	depth, installed = f.layers("a", "b")
	require.Equal(t, 1, depth, "rpm succeeded but b is not there")
	require.Equal(t, "b; a b", installed)

	f.refuse = func([]string, bool) error { return errors.New("no room") }
	_, err := f.Layers(t.Context(), f.image, f.packages("a", "c"))
	var refused *InstallError
	require.ErrorAs(t, err, &refused)
	require.Len(t, refused.Packages, 2, "the error is of the attempt that counts")
}

func TestLayersThatWentAreMadeAgain(t *testing.T) {
	f := newFixture(t)
	f.layers("a")
	entries, err := os.ReadDir(f.dir)
	require.NoError(t, err)
	f.layers("a", "b")
	require.NoError(t, os.RemoveAll(filepath.Join(f.dir, entries[0].Name())))
	depth, installed := f.layers("a", "b")
	require.Equal(t, 1, depth)
	require.Equal(t, "a b", installed)
	_, installed = f.layers("a")
	require.Equal(t, "a", installed)
	depth, installed = f.layers("a", "c")
	require.Equal(t, 2, depth)
	require.Equal(t, "c", installed)
}

func TestDamagedRecordsAreNotTrusted(t *testing.T) {
	f := newFixture(t)
	f.layers("a")
	records, err := filepath.Glob(filepath.Join(f.store.Dir(), "records", recordKind, "*"))
	require.NoError(t, err)
	require.Len(t, records, 1)
	require.NoError(t, os.WriteFile(records[0], []byte(`{"value":{"layers":["../../image"]}}`), 0o644))
	depth, installed := f.layers("a", "b")
	require.Equal(t, 1, depth)
	require.Equal(t, "a b", installed)
}

func TestPackageName(t *testing.T) {
	require.Equal(t, "boost-gnu12-openmpi4-ohpc", packageName("boost-gnu12-openmpi4-ohpc-1.81.0-1.ohpc.x86_64.rpm"))
	require.Equal(t, "odd.rpm", packageName("odd.rpm"))
}
