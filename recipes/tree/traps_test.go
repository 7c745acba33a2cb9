package tree_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
	"github.com/ohpc-build/ohpc-build/recipes/tree"
)

func recipe(t *testing.T, c *recipes.Catalog, name string) *recipes.Recipe {
	t.Helper()
	r, err := c.Recipe(name)
	require.NoError(t, err)
	return r
}

// TestRecipes goes through what a recipe is called, where it is and what
// multiplies it.
func TestRecipes(t *testing.T) {
	all := recipes.Choice{recipes.All}
	compiler := map[string]recipes.Choice{"compiler": all}
	both := map[string]recipes.Choice{"compiler": all, "mpi": all}
	c := load(t, fixture)
	for _, test := range []struct {
		name, spec string
		families   map[string]recipes.Choice
		variants   []recipes.Extra
	}{
		{name: "hdf5", spec: "components/io-libs/hdf5/SPECS/hdf5.spec", families: compiler},
		{name: "phdf5", spec: "components/io-libs/phdf5/SPECS/hdf5.spec", families: both},
		{name: "ohpc-release", spec: "components/admin/ohpc-release/SPECS/release.spec"},
		{name: "ohpc-release-factory", spec: "components/admin/ohpc-release-factory/SPECS/release.spec"},
		{name: "RC1", spec: "components/admin/ohpc-release-rcs/RC1/SPECS/release.spec"},
		{name: "RC2", spec: "components/admin/ohpc-release-rcs/RC2/SPECS/release.spec"},
		{name: "twins.twins", spec: "components/dev-tools/twins/SPECS/twins.spec"},
		{name: "twins.twins-more", spec: "components/dev-tools/twins/SPECS/twins-more.spec"},
		{name: "impi-devel", spec: "components/mpi-families/impi-devel/SPECS/intel-mpi.spec"},
		{name: "meta-packages", spec: "components/admin/meta-packages/SPECS/meta-packages.spec"},
		{name: "metis", spec: "components/serial-libs/metis/SPECS/metis.spec", families: compiler},
		{name: "cubew", spec: "components/io-libs/cubew/SPECS/cubew.spec", families: compiler},
		{name: "mvapich2", spec: "components/mpi-families/mvapich2/SPECS/mvapich2.spec", families: compiler},
		{
			name: "openmpi", spec: "components/mpi-families/openmpi/SPECS/openmpi.spec", families: compiler,
			variants: []recipes.Extra{{Name: "pmix", Defines: map[string]string{"RMS_DELIM": "-pmix"}}},
		},
		{
			name: "mpich", spec: "components/mpi-families/mpich/SPECS/mpich.spec", families: compiler,
			variants: []recipes.Extra{{Name: "ucx", Defines: map[string]string{"with_ucx": "1"}}},
		},
		{
			name: "netcdf", spec: "components/io-libs/netcdf/SPECS/netcdf.spec", families: both,
			variants: []recipes.Extra{{Name: "serial", Defines: map[string]string{"ohpc_mpi_dependent": "0"}, Families: compiler}},
		},
		{
			name: "lmod-defaults", spec: "components/admin/lmod-defaults/SPECS/lmod-defaults.spec",
			families: map[string]recipes.Choice{"compiler": all, "mpi": {"openmpi5", "mvapich2", "impi"}},
		},
		{
			name: "openblas", spec: "components/serial-libs/openblas/SPECS/openblas.spec",
			families: map[string]recipes.Choice{"compiler": {"gnu14", "arm1"}},
		},
		{
			name: "imb", spec: "components/perf-tools/imb/SPECS/imb.spec",
			families: map[string]recipes.Choice{"compiler": {"gnu14"}, "mpi": {"openmpi5", "mpich"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := recipe(t, c, test.name)
			require.Equal(t, test.spec, r.Spec.Path)
			require.Equal(t, filepath.Dir(filepath.Dir(test.spec)), r.Dir)
			require.Equal(t, strings.Split(test.spec, "/")[1], r.Group)
			require.Equal(t, test.families, r.Families)
			require.Equal(t, test.variants, r.Variants)
		})
	}
}

// TestNoStrayRecipes: only folders with a spec are components, and each is one.
func TestNoStrayRecipes(t *testing.T) {
	c := load(t, fixture)
	specs, err := filepath.Glob(fixture + "/components/*/*/SPECS/*.spec")
	require.NoError(t, err)
	nested, err := filepath.Glob(fixture + "/components/*/*/*/SPECS/*.spec")
	require.NoError(t, err)
	var want, got []string
	for _, path := range slices.Concat(specs, nested) {
		want = append(want, strings.TrimPrefix(filepath.ToSlash(path), fixture+"/"))
	}
	for _, r := range c.Recipes {
		got = append(got, r.Spec.Path)
		require.Equal(t, recipes.Component, r.Kind, r.Name)
	}
	require.ElementsMatch(t, want, got)
}

func TestSources(t *testing.T) {
	c := load(t, fixture)
	names := func(files []recipes.File) []string {
		var all []string
		for _, f := range files {
			all = append(all, f.Name)
		}
		return all
	}
	require.Equal(t, []string{"OHPC_compiler_deps", "OHPC_macros", "OHPC_setup_compiler", "OHPC_setup_mpi"}, names(c.Shared))
	require.Equal(t, []string{"charlie", "charlie-polite.patch"}, names(recipe(t, c, "charliecloud").Sources))
	require.Equal(t, []string{"get_source.sh"}, names(recipe(t, c, "handbook").Sources))
	require.Empty(t, recipe(t, c, "gsl").Sources)

	// Links to what all specs share are files like others.
	linked := recipe(t, c, "ohpc-filesystem").Sources
	require.Equal(t, []string{"OHPC_setup_compiler", "OHPC_setup_mpi"}, names(linked))
	for i, f := range linked {
		require.Equal(t, c.Shared[i+2].Digest, f.Digest)
		data, err := c.Read(f)
		require.NoError(t, err)
		require.Equal(t, f.Digest, store.Of(data))
	}
}

// TestReasons: what is not built says in which file that is written.
func TestReasons(t *testing.T) {
	c := load(t, fixture)
	for _, test := range []struct{ recipe, variant, target, arch, reason string }{
		{"boost", "intel-mpich", "EL_9", "aarch64", `-intel\\b`},
		{"boost", "gnu14-impi", "EL_9", "x86_64", `-gnu14-impi\\b`},
		{"boost", "arm1-mpich", "EL_9", "aarch64", "misc/obs/obs_config.py"},
		{"boost", "intel-openmpi5", "openEuler_22.03", "x86_64", "misc/obs/config.2.x"},
		{"netcdf", "arm1-serial", "EL_9", "x86_64", "-arm1"},
		{"mpich", "intel-ucx", "EL_9", "aarch64", `-intel\\b`},
		{"netcdf-c++", "gnu14-openmpi5", "Leap_15", "x86_64", "netcdf-c++"},
		{"llvm-compilers", "", "EL_9", "x86_64", "!"},
		{"losf", "", "EL_9", "x86_64", "[groups]"},
		{"RC2", "", "Leap_15", "aarch64", "[groups]"},
	} {
		t.Run(test.recipe+" "+test.variant, func(t *testing.T) {
			target, err := c.Target(test.target)
			require.NoError(t, err)
			_, skips := c.Expand(recipe(t, c, test.recipe), target, test.arch)
			i := slices.IndexFunc(skips, func(s recipes.Skip) bool { return s.Variant == test.variant })
			require.GreaterOrEqual(t, i, 0, "is not skipped: %v", skips)
			require.Contains(t, skips[i].Reason, test.reason)
		})
	}
}

func TestDefines(t *testing.T) {
	c, err := tree.Load(fixture, tree.Options{Targets: targets(), Defines: map[string]string{"OHPC_CUSTOM_DELIM": "zen4", "ohpc_version": "3-next"}})
	require.NoError(t, err)
	target, err := c.Target("Leap_15")
	require.NoError(t, err)
	variants, _ := c.Expand(recipe(t, c, "scotch"), target, "x86_64")
	require.Len(t, variants, 2)
	got := map[string]string{}
	for _, d := range variants[1].Defines {
		got[d.Name] = d.Value
	}
	require.Equal(t, map[string]string{
		"OHPC_CUSTOM_DELIM": "zen4", "_repository": "Leap_15", "compiler_family": "intel",
		"ohpc_version": "3-next", "sle_version": "150500", "suse_version": "1500",
	}, got)

	answers := evaluate(t, c, variants[:1])
	require.NoError(t, answers[0].Err)
	require.Equal(t, "scotch-gnu14-zen4-ohpc", answers[0].Result.Packages[0].Name)
}

// TestDefinesStayWithTheTree: the caller's targets are not changed.
func TestDefinesStayWithTheTree(t *testing.T) {
	mine := targets()
	_, err := tree.Load(fixture, tree.Options{Targets: mine})
	require.NoError(t, err)
	require.Equal(t, targets(), mine)
}

func TestReleases(t *testing.T) {
	for _, test := range []struct {
		asked, version, major, file string
		compilers, mpis             []string
		gsl                         recipes.Choice
	}{
		{"", "3.2.0", "3", "config.2.x", []string{"gnu14", "intel", "arm1"}, []string{"openmpi5", "mpich", "mvapich2", "impi"}, recipes.Choice{recipes.All}},
		{"3.2.0", "3.2.0", "3", "config.2.x", []string{"gnu14", "intel", "arm1"}, []string{"openmpi5", "mpich", "mvapich2", "impi"}, recipes.Choice{recipes.All}},
		{"3.2", "3.2.0", "3", "config.2.x", []string{"gnu14", "intel", "arm1"}, []string{"openmpi5", "mpich", "mvapich2", "impi"}, recipes.Choice{recipes.All}},
		{"3.1.0", "3.1.0", "3", "config.2.x", []string{"gnu13", "intel"}, []string{"openmpi5", "mpich"}, recipes.Choice{"gnu13"}},
		{"2.9.0", "2.9.0", "2", "config.2.x", []string{"gnu13"}, []string{"openmpi5"}, recipes.Choice{recipes.All}},
		{"1.3.9", "1.3.9", "1", "config", []string{"gnu8"}, []string{"openmpi3"}, recipes.Choice{recipes.All}},
	} {
		t.Run(test.asked, func(t *testing.T) {
			c, err := tree.Load(fixture, tree.Options{Release: test.asked, Targets: targets()})
			require.NoError(t, err)
			require.Equal(t, test.version, c.Version)
			require.Equal(t, test.major, c.Release)
			for name, want := range map[string][]string{"compiler": test.compilers, "mpi": test.mpis} {
				family, err := c.Family(name)
				require.NoError(t, err)
				var members []string
				for _, m := range family.Members {
					members = append(members, m.Name)
				}
				require.Equal(t, want, members)
				require.Equal(t, name+"_family", family.Define)
			}
			require.Equal(t, test.gsl, recipe(t, c, "gsl").Families["compiler"])
			reason, dead := recipe(t, c, "losf").Excluded("EL_9", "x86_64")
			require.True(t, dead)
			require.True(t, strings.HasSuffix(reason, "misc/obs/"+test.file), reason)
		})
	}
}

// TestLoadingTwice gives the same.
func TestLoadingTwice(t *testing.T) {
	a, b := load(t, fixture), load(t, fixture)
	require.Equal(t, a.Recipes, b.Recipes)
	require.Equal(t, a.Families, b.Families)
	require.Equal(t, a.Targets, b.Targets)
	require.Equal(t, a.Shared, b.Shared)
	require.Equal(t, a.Defines, b.Defines)
}

// checkout is a copy of the small tree that a test may change. A nil text
// removes a file or folder.
func checkout(t *testing.T, changes map[string]*string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(fixture)))
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.RemoveAll(path))
		if text := changes[name]; text != nil {
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(*text), 0o755))
		}
	}
	return dir
}

func text(s string) *string { return &s }

// TestNothingIsRun: reading a tree runs no word of it.
func TestNothingIsRun(t *testing.T) {
	witness := filepath.Join(t.TempDir(), "witness")
	dir := checkout(t, map[string]*string{
		"components/admin/clock/SPECS/clock.spec":          text("%define x %(touch " + witness + ")\nName: %{x}y\nSummary: %(touch " + witness + ")\n"),
		"components/admin/clock/SPECS/sleeper.spec":        text("Name: %(sleep 1000)\n"),
		"components/admin/handbook/SOURCES/get_source.sh":  text("#!/bin/sh\ntouch " + witness + "\n"),
		"components/OHPC_macros":                           text("%(touch " + witness + ")\n"),
		"misc/obs/obs_config.py":                           text("import os\nos.system('touch " + witness + "')\nskip_combos = [os.system('touch " + witness + "')]\n"),
		"components/admin/clock/SOURCES/.hidden/not-there": text(""),
	})
	c := load(t, dir)
	require.NoFileExists(t, witness)
	require.Empty(t, recipe(t, c, "clock.clock").Sources, "hidden files are not sources")
}

// TestLinks: a link is followed inside the tree, and is an error where it leads
// out of it.
func TestLinks(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("Name: secret\n"), 0o600))
	const sources = "components/runtimes/charliecloud/SOURCES"
	for _, test := range []struct{ name, link, to, problem string }{
		{"inside", sources + "/macros", "../../../OHPC_macros", ""},
		{"up and down again", sources + "/macros", "../../../../components/OHPC_macros", ""},
		{"absolute", sources + "/secret", secret, sources + "/secret: path escapes"},
		{"relative", sources + "/secret", "../../../../../../../../../../etc/hostname", sources + "/secret: path escapes"},
		{"dangling", sources + "/secret", "nothing", sources + "/secret: no such file"},
		{"to itself", sources + "/secret", "secret", sources + "/secret: "},
		{"spec", "components/runtimes/charliecloud/SPECS/other.spec", secret, "SPECS/other.spec: path escapes"},
		{"shared file", "components/OHPC_secret", secret, "components/OHPC_secret: path escapes"},
		{"configuration", "misc/obs/config.secret", secret, "misc/obs/config.secret: path escapes"},
		{"folder", "components/elsewhere", filepath.Dir(secret), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := checkout(t, nil)
			require.NoError(t, os.Symlink(test.to, filepath.Join(dir, test.link)))
			c, err := tree.Load(dir, tree.Options{Targets: targets()})
			if test.problem == "" {
				require.NoError(t, err)
				require.Len(t, c.Recipes, len(load(t, fixture).Recipes))
				return
			}
			require.ErrorContains(t, err, test.problem)
			require.NotContains(t, err.Error(), "Name: secret")
		})
	}
}

const config = "misc/obs/config.2.x"

func TestErrors(t *testing.T) {
	release := func(lines string) map[string]*string {
		return map[string]*string{config: text("[groups]\nadmin = [\"prun\"]\n\n" + lines), "misc/obs/config": nil}
	}
	const sound = "[3.0.0]\ncompiler_families=[\"gnu14\"]\nmpi_families=[\"openmpi5\"]\n"
	for _, test := range []struct {
		name    string
		changes map[string]*string
		release string
		file    string // that the error names
		line    int
		message string
	}{
		{name: "not a tree", changes: map[string]*string{"components": nil}, file: "components", message: "--tree takes the top folder"},
		{name: "components is a file", changes: map[string]*string{"components": text("x")}, file: "components", message: "no such folder"},
		{name: "no specs", changes: map[string]*string{"components": nil, "components/admin/x/README": text("x")}, file: "components", message: "there is no spec in this tree"},
		{name: "no configuration folder", changes: map[string]*string{"misc": nil}, file: "misc/obs", message: "families of each release"},
		{name: "no configuration", changes: map[string]*string{config: nil, "misc/obs/config": nil}, file: "misc/obs/config.*", message: "no such file"},
		{name: "configuration is a folder", changes: map[string]*string{config: nil, config + "/x": text("")}, file: config, message: "not a regular file"},
		{name: "no sections", changes: map[string]*string{config: text("x = 1\n")}, file: config, line: 1, message: "neither a [section] nor an option"},
		{name: "no releases", changes: release(""), file: config, message: "[3.2.0]"},
		{name: "not a line", changes: release(sound + "what is this\n"), file: config, line: 7, message: "what is this"},
		{name: "twice", changes: release(sound + sound), file: config, line: 7, message: "the first is in line 4"},
		{name: "option twice", changes: release(sound + "standalone = []\nstandalone = []\n"), file: config, line: 8, message: "the first is in line 7"},
		{name: "no families", changes: release("[3.0.0]\nmpi_families=[\"openmpi5\"]\n"), file: config, line: 4, message: "compiler_families"},
		{name: "no list", changes: release(sound + "standalone = prun\n"), file: config, line: 7, message: "begin with ["},
		{name: "no end", changes: release(sound + "standalone = [\"prun\",\n"), file: config, line: 7, message: "standalone"},
		{name: "no comma", changes: release(sound + "standalone = [\"prun\" \"slurm\"]\n"), file: config, line: 7, message: "comma"},
		{name: "no quote", changes: release(sound + "standalone = [\"prun]\n"), file: config, line: 7, message: "quotes"},
		{name: "call", changes: release(sound + "standalone = [open(\"/etc/passwd\")]\n"), file: config, line: 7, message: "quotes"},
		{name: "no expression", changes: release(sound + "skip_aarch = [\"-(intel\"]\n"), file: config, line: 7, message: "regular expression"},
		{name: "unknown architecture", changes: release(sound + "skip_riscv = [\"-intel\"]\n"), file: config, line: 7, message: "skip_riscv"},
		{name: "release misspelt", release: "3.2.1", file: "misc/obs/config.*", message: "the latest are 1.3.9, 2.9.0, 3.1.0, 3.2.0"},
		{name: "release of the future", release: "17.23.42", file: "misc/obs/config.*", message: "the latest are 1.3.9, 2.9.0, 3.1.0, 3.2.0"},
		{name: "a spec that is too large", changes: map[string]*string{"components/admin/prun/SPECS/prun.spec": text(strings.Repeat("#", 16<<20+1))}, file: "components/admin/prun/SPECS/prun.spec", message: "larger than 16 MiB"},
		{name: "too deep", changes: map[string]*string{"components/" + strings.Repeat("a/", 30) + "SPECS/a.spec": text("")}, file: "components/a/a", message: "nested deeper"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := checkout(t, test.changes)
			_, err := tree.Load(dir, tree.Options{Release: test.release, Targets: targets()})
			var problems strict.Problems
			require.ErrorAs(t, err, &problems)
			i := slices.IndexFunc(problems, func(p *strict.Problem) bool {
				return strings.HasPrefix(p.File, filepath.Join(dir, test.file)) && p.Line == test.line && strings.Contains(p.Error(), test.message)
			})
			require.GreaterOrEqual(t, i, 0, "no error for %s:%d with %q:\n%v", test.file, test.line, test.message, err)
		})
	}
}

func TestNoFolder(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := tree.Load(missing, tree.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, missing)
}

// TestUnreadable: what may not be read is an error that names it, and nothing is
// planned from half a tree.
func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := checkout(t, nil)
	require.NoError(t, os.Chmod(filepath.Join(dir, config), 0))
	_, err := tree.Load(dir, tree.Options{Targets: targets()})
	require.ErrorContains(t, err, config+": permission denied")
}

// TestConfigForms: what Python's parser takes, ours does.
func TestConfigForms(t *testing.T) {
	c := load(t, checkout(t, map[string]*string{config: text(`; a remark of the other kind
[DEFAULT]
[groups]
admin : ['prun',
	# a remark inside a list

    "slurm" , ]
[3.0.0]
compiler_families: ["gnu14",]
mpi_families = [
  'openmpi5'
  ]
skip_aarch=['prun$', "not\\.there"] # a remark
standalone = []
`)}))
	target, err := c.Target("EL_9")
	require.NoError(t, err)
	for name, want := range map[string]string{"prun": "prun$", "slurm": "", "gsl": "[groups]"} {
		_, skips := c.Expand(recipe(t, c, name), target, "aarch64")
		if want == "" {
			require.Empty(t, skips)
			continue
		}
		require.Len(t, skips, 1, name)
		require.Contains(t, skips[0].Reason, want)
	}
}

// TestBroken: what rpm cannot read is no error of the tree, but an answer of its
// own, and the others have theirs.
func TestBroken(t *testing.T) {
	c := load(t, broken)
	target, err := c.Target("EL_9")
	require.NoError(t, err)
	var variants []recipes.Variant
	for _, r := range c.Recipes {
		vs, skips := c.Expand(r, target, hostArch())
		require.Empty(t, skips)
		variants = append(variants, vs...)
	}
	answers := evaluate(t, c, variants)
	got := map[string]string{}
	for i, a := range answers {
		var parse *spec.ParseError
		name := variants[i].Recipe.Name
		if a.Err != nil {
			require.ErrorAs(t, a.Err, &parse)
			require.Equal(t, variants[i].Recipe.Spec.Path, parse.File)
			got[name] = fmt.Sprintf("%d: %s", parse.Line, strings.Join(parse.Messages, "; "))
			continue
		}
		require.Len(t, a.Result.Packages, 1)
		got[name] = a.Result.Packages[0].Name + " " + strings.Join(a.Result.Warnings, "; ")
	}
	require.Len(t, got, 6)
	require.Contains(t, got["empty"], "0: Name field must be present")
	require.Equal(t, "same-ohpc ", got["first"])
	require.Equal(t, "same-ohpc ", got["second"])
	require.Contains(t, got["include"], "4: it includes OHPC_makros, which lies neither in SOURCES nor")
	require.Contains(t, got["name"], "name-%{flavour}-ohpc line 4: Possible unexpanded macro")
	require.Equal(t, "7: Unknown tag: Requries: bash", got["tag"])
}

// TestWarnings: rpm's warnings are kept; what a spec's commands print is not an
// error.
func TestWarnings(t *testing.T) {
	c := load(t, fixture)
	target, err := c.Target("EL_9")
	require.NoError(t, err)
	var variants []recipes.Variant
	for _, name := range []string{"papi", "shout", "slurm"} {
		vs, _ := c.Expand(recipe(t, c, name), target, hostArch())
		variants = append(variants, vs...)
	}
	answers := evaluate(t, c, variants)
	for _, a := range answers {
		require.NoError(t, a.Err)
	}
	papi := strings.Join(answers[0].Result.Warnings, "\n")
	require.Contains(t, papi, "Macro expanded in comment on line 10")
	require.Contains(t, papi, "bogus date in %changelog")
	require.Equal(t, "1.42", answers[1].Result.Packages[0].Version)
	require.Len(t, answers[2].Result.Packages, 2, "slurmdbd has no files")
}
