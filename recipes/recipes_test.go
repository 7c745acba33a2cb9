package recipes_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
)

var update = flag.Bool("update", false, "write the golden files anew")

func catalog() *recipes.Catalog {
	return &recipes.Catalog{
		Version: "3.1",
		Date:    recipes.Date{Time: time.Date(2024, 10, 21, 0, 0, 0, 0, time.UTC)},
		URL:     "https://example.org/a%20b",
		Defines: map[string]string{"ohpc_version": "3", "dist": "catalogue"},
		Families: []*recipes.Family{
			{Name: "compiler", Define: "compiler_family", Members: []recipes.Member{
				{Name: "gnu12"},
				{Name: "intel", Exclude: []recipes.Exclusion{{Arch: "aarch64", Reason: "Intel makes none"}}},
			}},
			{Name: "mpi", Define: "mpi_family", Members: []recipes.Member{{Name: "mpich4"}, {Name: "openmpi4"}}},
		},
		Targets: []*recipes.Target{
			{Name: "EL_9", Architectures: []string{"x86_64", "aarch64"}, Defines: map[string]string{"dist": "320.ohpc"}},
			{Name: "Leap_15", Architectures: []string{"x86_64"}},
		},
	}
}

func TestExpand(t *testing.T) {
	c := catalog()
	all := recipes.Choice{recipes.All}
	tests := map[string]struct {
		recipe   recipes.Recipe
		target   string
		arch     string
		variants []string
		skips    []recipes.Skip
	}{
		"no family":   {recipes.Recipe{}, "EL_9", "x86_64", []string{""}, nil},
		"one family":  {recipes.Recipe{Families: map[string]recipes.Choice{"compiler": all}}, "EL_9", "x86_64", []string{"gnu12", "intel"}, nil},
		"one member":  {recipes.Recipe{Families: map[string]recipes.Choice{"compiler": {"intel"}}}, "EL_9", "x86_64", []string{"intel"}, nil},
		"two of them": {recipes.Recipe{Families: map[string]recipes.Choice{"mpi": all, "compiler": all}}, "EL_9", "x86_64", []string{"gnu12-mpich4", "gnu12-openmpi4", "intel-mpich4", "intel-openmpi4"}, nil},
		"a member's exclusion": {
			recipes.Recipe{Families: map[string]recipes.Choice{"mpi": {"mpich4"}, "compiler": all}},
			"EL_9", "aarch64",
			[]string{"gnu12-mpich4"},
			[]recipes.Skip{{Recipe: "probe", Variant: "intel-mpich4", Target: "EL_9", Arch: "aarch64", Reason: "intel: Intel makes none"}},
		},
		"its own exclusion": {
			recipes.Recipe{Families: map[string]recipes.Choice{"compiler": all}, Exclude: []recipes.Exclusion{{Target: "EL_9", Reason: "no"}}},
			"EL_9", "x86_64", nil,
			[]recipes.Skip{{Recipe: "probe", Target: "EL_9", Arch: "x86_64", Reason: "no"}},
		},
		"another's exclusion": {recipes.Recipe{Exclude: []recipes.Exclusion{{Target: "EL_9", Arch: "aarch64", Reason: "no"}}}, "EL_9", "x86_64", []string{""}, nil},
		"named after a family": {
			recipes.Recipe{Families: map[string]recipes.Choice{"mpi": all, "compiler": all}, Fixed: []recipes.Pick{{Family: "compiler", Member: "gnu12"}}},
			"EL_9", "x86_64",
			[]string{"mpich4", "openmpi4"},
			nil,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.recipe.Name = "probe"
			target, err := c.Target(tt.target)
			require.NoError(t, err)
			for range 3 {
				variants, skips := c.Expand(&tt.recipe, target, tt.arch)
				var names []string
				for _, v := range variants {
					names = append(names, v.Name())
				}
				require.Equal(t, tt.variants, names)
				require.Equal(t, tt.skips, skips)
			}
		})
	}
}

func TestDefines(t *testing.T) {
	c := catalog()
	r := &recipes.Recipe{
		Families: map[string]recipes.Choice{"compiler": {"intel"}, "mpi": {"mpich4"}},
		Requires: requirements("{compiler}-compilers-ohpc", "hdf5-{compiler}-{mpi}-ohpc", "{other}"),
	}
	el, err := c.Target("EL_9")
	require.NoError(t, err)
	variants, _ := c.Expand(r, el, "x86_64")
	require.Len(t, variants, 1)
	require.Equal(t, []recipes.Define{
		{Name: "compiler_family", Value: "intel"},
		{Name: "dist", Value: "320.ohpc"}, // the target's, over the catalogue's
		{Name: "mpi_family", Value: "mpich4"},
		{Name: "ohpc_version", Value: "3"},
	}, variants[0].Defines)
	require.Equal(t, []string{"intel-compilers-ohpc", "hdf5-intel-mpich4-ohpc", "{other}"}, variants[0].Requires())
	require.Equal(t, "mpich4", variants[0].Member("mpi"))
	require.Empty(t, variants[0].Member("fabric"))
	require.Equal(t, []string{"x-intel"}, variants[0].TestPackages(recipes.Test{Packages: []string{"x-{compiler}"}}))
	require.Equal(t, map[string]string{"ohpc_version": "3", "dist": "catalogue"}, c.Defines, "expanding leaves the catalogue as it is")
}

func TestOwner(t *testing.T) {
	target := catalog().Targets[0]
	both := []string{"aarch64", "x86_64"}
	tests := map[string]struct {
		noarch  string
		exclude []recipes.Exclusion
		archs   []string
		owner   string
		ok      bool
	}{
		"each its own":            {"", nil, both, "", true},
		"any: the target's first": {"any", nil, both, "x86_64", true},
		"any, but not that one":   {"any", []recipes.Exclusion{{Arch: "x86_64"}}, both, "aarch64", true},
		"any of those asked for":  {"any", nil, []string{"aarch64"}, "aarch64", true},
		"a named one":             {"aarch64", nil, both, "aarch64", true},
		"a named one not built":   {"aarch64", nil, []string{"x86_64"}, "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := &recipes.Recipe{Noarch: tt.noarch, Exclude: tt.exclude}
			owner, ok := r.Owner(target, tt.archs)
			require.Equal(t, tt.owner, owner)
			require.Equal(t, tt.ok, ok)
		})
	}
}

func TestNotFound(t *testing.T) {
	c := catalog()
	c.Recipes = []*recipes.Recipe{{Name: "hwloc"}, {Name: "scotch"}}
	_, err := c.Recipe("scoth")
	require.EqualError(t, err, `there is no recipe "scoth" (did you mean "scotch"?)`)
	_, err = c.Target("Debian_12")
	require.EqualError(t, err, `there is no target "Debian_12"`)
	_, err = c.Family("compilers")
	require.EqualError(t, err, `there is no family "compilers" (did you mean "compiler"?)`)
	_, err = c.Families[0].Member("gnu13")
	require.EqualError(t, err, `there is no member of family compiler "gnu13" (did you mean "gnu12"?)`)
	var missing *recipes.NotFoundError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []string{"gnu12", "intel"}, missing.Known)
}

func TestMetaSpec(t *testing.T) {
	c := catalog()
	r := &recipes.Recipe{
		Name: "ohpc-gnu12-libs", Kind: recipes.MetaPackage, Noarch: recipes.AnyArch,
		Summary:  "Libraries, 100% of them",
		Families: map[string]recipes.Choice{"compiler": {"gnu12"}}, Fixed: []recipes.Pick{{Family: "compiler", Member: "gnu12"}},
		Description: "All libraries\nthat are built with GNU 12.\n",
		Requires:    requirements("{compiler}-compilers-ohpc", "lmod-ohpc"),
	}
	variants, _ := c.Expand(r, c.Targets[0], "x86_64")
	got := c.Meta(variants[0]).Spec
	golden := filepath.Join("testdata", "meta.spec")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestReadNoticesChanges(t *testing.T) {
	files := fstest.MapFS{"shared/a": {Data: []byte("as it was")}}
	c := &recipes.Catalog{FS: files}
	f := recipes.File{Name: "a", Path: "shared/a", Digest: store.Of([]byte("as it was"))}
	data, err := c.Read(f)
	require.NoError(t, err)
	require.Equal(t, "as it was", string(data))
	files["shared/a"].Data = []byte("as it is")
	_, err = c.Read(f)
	var corrupt *store.CorruptError
	require.ErrorAs(t, err, &corrupt)
}

func TestDigest(t *testing.T) {
	digest := func(change func(*recipes.Catalog, *recipes.Recipe)) store.Digest {
		c := &recipes.Catalog{Shared: []recipes.File{{Name: "macros", Digest: "sha256:1"}}}
		r := &recipes.Recipe{
			Name: "probe", Spec: recipes.File{Name: "probe.spec", Digest: "sha256:2"},
			Sources: []recipes.File{{Name: "a.patch", Digest: "sha256:3"}},
			Fetched: []recipes.Source{{File: "a.tar", SHA256: "4"}},
			Tests:   []recipes.Test{{Script: "tests/a"}},
		}
		change(c, r)
		d, err := c.Digest(r)
		require.NoError(t, err)
		return d
	}
	same := digest(func(*recipes.Catalog, *recipes.Recipe) {})
	for name, change := range map[string]func(*recipes.Catalog, *recipes.Recipe){
		"spec":     func(_ *recipes.Catalog, r *recipes.Recipe) { r.Spec.Digest = "sha256:9" },
		"a file":   func(_ *recipes.Catalog, r *recipes.Recipe) { r.Sources[0].Digest = "sha256:9" },
		"shared":   func(c *recipes.Catalog, _ *recipes.Recipe) { c.Shared[0].Digest = "sha256:9" },
		"a source": func(_ *recipes.Catalog, r *recipes.Recipe) { r.Fetched[0].SHA256 = "9" },
		"requires": func(_ *recipes.Catalog, r *recipes.Recipe) { r.Requires = requirements("x") },
	} {
		require.NotEqual(t, same, digest(change), name)
	}
	for name, change := range map[string]func(*recipes.Catalog, *recipes.Recipe){
		"tests":  func(_ *recipes.Catalog, r *recipes.Recipe) { r.Tests = nil },
		"needs":  func(_ *recipes.Catalog, r *recipes.Recipe) { r.Needs.Cores = 9 },
		"folder": func(_ *recipes.Catalog, r *recipes.Recipe) { r.Dir, r.Spec.Path = "x", "x/y" },
	} {
		require.Equal(t, same, digest(change), name)
	}
}

func requirements(packages ...string) []recipes.Requirement {
	required := make([]recipes.Requirement, len(packages))
	for i, p := range packages {
		required[i].Package = p
	}
	return required
}

func TestQuarantineCheck(t *testing.T) {
	now := time.Date(2026, 10, 2, 12, 0, 0, 0, time.UTC)
	for until, ok := range map[string]bool{"2020-01-01": true, "2026-12-31": true, "2027-01-01": false} {
		q := recipes.Quarantine{}
		require.NoError(t, q.Until.UnmarshalText([]byte(until)))
		require.Equal(t, ok, q.Check(now) == nil, until)
	}
}
