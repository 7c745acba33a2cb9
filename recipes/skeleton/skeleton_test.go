package skeleton_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/recipes/skeleton"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

// embedded is a copy of the embedded catalogue with an MPI family, in which the
// compilers need no setting up.
func embedded(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "catalog")
	require.NoError(t, os.CopyFS(dir, catalog.FS()))
	macros := filepath.Join(dir, "shared", "OHPC_macros")
	text, err := os.ReadFile(macros)
	require.NoError(t, err)
	text = append(text, "\n%global ohpc_setup_compiler :\n%global ohpc_setup_mpi :\n"...)
	require.NoError(t, os.WriteFile(macros, text, 0o644))
	mpi := "name: mpi\ndefine: mpi_family\nsummary: MPI\nmembers:\n  - {name: openmpi4, summary: s, recipe: scotch}\n  - {name: mpich4, summary: s, recipe: scotch}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "families", "mpi.yaml"), []byte(mpi), 0o644))
	return dir
}

// bare is the smallest catalogue.
func bare(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte("release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n"), 0o644))
	return dir
}

var (
	compilers = map[string]recipes.Choice{"compiler": {recipes.All}}
	both      = map[string]recipes.Choice{"compiler": {recipes.All}, "mpi": {"openmpi4"}}
)

// What is begun loads, and each of its specs is one that the real rpmbuild builds.
func TestBegun(t *testing.T) {
	for _, tool := range []string{"rpmspec", "rpmbuild"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				require.NoError(t, err)
			}
			t.Skipf("%s is not installed: %v", tool, err)
		}
	}
	tests := map[string]struct {
		recipe   skeleton.Recipe
		dir      func(*testing.T) string
		files    []string
		packages string
	}{
		"component": {
			skeleton.Recipe{Name: "fftw", Kind: recipes.Component, Group: "serial-libs", Summary: `100% of "it": all`},
			embedded,
			[]string{"components/serial-libs/fftw/SPECS/fftw.spec", "components/serial-libs/fftw/recipe.yaml"},
			"fftw-ohpc-1.0-1.300.ohpc.x86_64",
		},
		"for compilers": {
			skeleton.Recipe{Name: "fftw", Kind: recipes.Component, Group: "new", Families: compilers},
			embedded,
			[]string{"components/new/fftw/SPECS/fftw.spec", "components/new/fftw/recipe.yaml"},
			"fftw-gnu12-ohpc-1.0-1.300.ohpc.x86_64",
		},
		"for compilers and MPI": {
			skeleton.Recipe{Name: "fftw", Kind: recipes.Component, Group: "new", Families: both},
			embedded,
			[]string{"components/new/fftw/SPECS/fftw.spec", "components/new/fftw/recipe.yaml"},
			"fftw-gnu12-openmpi4-ohpc-1.0-1.300.ohpc.x86_64",
		},
		"meta-package": {
			skeleton.Recipe{Name: "ohpc-tools", Kind: recipes.MetaPackage, Requires: []string{"bash", "gcc-c++"}},
			embedded,
			[]string{"meta/ohpc-tools/recipe.yaml"},
			"ohpc-tools-3-1.300.ohpc.noarch",
		},
		"meta-package for compilers": {
			skeleton.Recipe{Name: "ohpc-{compiler}-tools", Kind: recipes.MetaPackage, Families: compilers, Requires: []string{"scotch-{compiler}-ohpc"}},
			embedded,
			[]string{"meta/ohpc-compiler-tools/recipe.yaml"},
			"ohpc-gnu12-tools-3-1.300.ohpc.noarch",
		},
		"without macros": {
			skeleton.Recipe{Name: "on", Kind: recipes.Component, Group: "libs"},
			bare,
			[]string{"components/libs/on/SPECS/on.spec", "components/libs/on/recipe.yaml"},
			"on-ohpc-1.0-1.300.ohpc.x86_64",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := tt.dir(t)
			files, err := tt.recipe.Write(dir)
			require.NoError(t, err)
			require.Equal(t, tt.files, files)
			c, err := load.Dir(dir)
			require.NoError(t, err)
			r, err := c.Recipe(strings.ReplaceAll(tt.recipe.Name, "{compiler}", "gnu12"))
			require.NoError(t, err)
			if tt.recipe.Summary != "" {
				require.Equal(t, tt.recipe.Summary, r.Summary)
			}
			target := &recipes.Target{Name: "probe", Architectures: []string{"x86_64"}, Defines: map[string]string{"dist": ".300.ohpc"}}
			variants, _ := c.Expand(r, target, "x86_64")
			require.Len(t, variants, 1)
			text := []byte(c.Meta(variants[0]).Spec)
			if r.Kind == recipes.Component {
				text, err = c.Read(r.Spec)
				require.NoError(t, err)
			}
			top := t.TempDir()
			spec := filepath.Join(top, r.Name+".spec")
			require.NoError(t, os.WriteFile(spec, text, 0o644))
			args := []string{"--define", "_topdir " + top, "--define", "_sourcedir " + filepath.Join(dir, "shared"), "--target", "x86_64"}
			for _, d := range variants[0].Defines {
				args = append(args, "--define", d.Name+" "+d.Value)
			}
			out, err := exec.CommandContext(t.Context(), "rpmspec", append(args, "--query", "--builtrpms", "--queryformat", `%{name}-%{version}-%{release}.%{arch}\n`, spec)...).CombinedOutput()
			require.NoError(t, err, string(out))
			require.Equal(t, tt.packages+"\n", string(out), "without a warning")
			out, err = exec.CommandContext(t.Context(), "rpmbuild", append(args, "--nodeps", "-bb", spec)...).CombinedOutput()
			require.NoError(t, err, string(out))
			built, err := filepath.Glob(filepath.Join(top, "RPMS", "*", "*.rpm"))
			require.NoError(t, err)
			require.Len(t, built, 1)
			require.Equal(t, tt.packages+".rpm", filepath.Base(built[0]))

			_, err = tt.recipe.Write(dir)
			var mistake *skeleton.MistakeError
			require.ErrorAs(t, err, &mistake)
			require.ErrorContains(t, err, "is there already; nothing was written")
		})
	}
}

func TestMistakes(t *testing.T) {
	component := skeleton.Recipe{Name: "fftw", Kind: recipes.Component, Group: "serial-libs"}
	meta := skeleton.Recipe{Name: "ohpc-{compiler}-x", Kind: recipes.MetaPackage, Families: compilers}
	tests := map[string]struct {
		base   skeleton.Recipe
		change func(r *skeleton.Recipe)
		want   string
	}{
		"no group":         {component, func(r *skeleton.Recipe) { r.Group = "" }, "give one, such as admin, compiler-families, dev-tools, serial-libs"},
		"group of a path":  {component, func(r *skeleton.Recipe) { r.Group = "../x" }, `"../x" cannot name a group`},
		"name of a path":   {component, func(r *skeleton.Recipe) { r.Name = "../x" }, `"../x" cannot name a component`},
		"template":         {component, func(r *skeleton.Recipe) { r.Name = "{compiler}" }, `"{compiler}" cannot name a component`},
		"requires":         {component, func(r *skeleton.Recipe) { r.Requires = []string{"a"} }, "what a component requires stands in its spec"},
		"two lines":        {component, func(r *skeleton.Recipe) { r.Summary = "a\nb" }, "the summary must be a single line"},
		"unknown family":   {component, func(r *skeleton.Recipe) { r.Families = map[string]recipes.Choice{"compilers": {"all"}} }, `there is no family "compilers" (did you mean "compiler"?)`},
		"unknown member":   {component, func(r *skeleton.Recipe) { r.Families = map[string]recipes.Choice{"compiler": {"gnu13"}} }, `there is no member of family compiler "gnu13" (did you mean "gnu12"?)`},
		"meta with group":  {meta, func(r *skeleton.Recipe) { r.Group = "libs" }, "a meta-package belongs to no group"},
		"meta of a path":   {meta, func(r *skeleton.Recipe) { r.Name = "../x" }, `"../x" cannot name a meta-package`},
		"meta, one name":   {meta, func(r *skeleton.Recipe) { r.Name = "ohpc-x" }, "has {compiler} in it, as in ohpc-{compiler}-libs"},
		"name of another":  {component, func(r *skeleton.Recipe) { r.Name = "hwloc" }, `there is another recipe "hwloc"`},
		"requires nothing": {meta, func(r *skeleton.Recipe) { r.Requires = []string{"a b"} }, `"a b" is not the name of a package`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := embedded(t)
			tt.change(&tt.base)
			_, err := tt.base.Write(dir)
			require.ErrorContains(t, err, tt.want)
			_, err = load.Dir(dir)
			require.NoError(t, err, "nothing is left behind")
		})
	}

	dir := bare(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte("relase: 3\n"), 0o644))
	_, err := component.Write(dir)
	var problems strict.Problems
	require.ErrorAs(t, err, &problems, "a catalogue with mistakes is not added to")
}
