package load_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

const (
	full = "components/libs/full/recipe.yaml"
	base = "meta/ohpc-base/recipe.yaml"
	libs = "meta/ohpc-compiler-mpi-libs/recipe.yaml"
)

// complete is the correct catalogue with recipes that use everything else that a
// recipe can say.
func complete() map[string]string {
	files := tree()
	files["families/mpi.yaml"] = `name: mpi
define: mpi_family
summary: MPI
members:
  - {name: mpich4, summary: s, recipe: probe}
  - {name: openmpi4, summary: s, recipe: probe}
`
	files["targets/Leap_15.yaml"] = strings.NewReplacer("EL_9", "Leap_15", ", aarch64", "").Replace(files[target])
	files[full] = `name: full
kind: component
group: libs
summary: s
families: {compiler: all}
patches:
  - fix.patch
  - {file: fetched.patch}
  - file: upstream.patch
    url: https://example.org/full.git
    commit: 74ad08d123456789012345678901234567890123
sources:
  - {file: fetched.patch, sha256: ` + digest + `, url: https://example.org/fetched.patch}
variants:
  - name: pmix
    defines: {RMS_DELIM: "-pmix"}
    families: {compiler: [gnu12], mpi: [mpich4]}
  - name: serial
    defines: {ohpc_mpi_dependent: "0"}
    families: {}
exclude:
  - {target: EL_9, arch: aarch64, families: {compiler: gnu12}, variant: pmix, reason: hangs}
needs: {time: 2h, takes: 90m}
`
	files["components/libs/full/SPECS/full.spec"] = "Name: full\n"
	files["components/libs/full/SOURCES/fix.patch"] = "--- a\n"
	files["components/libs/full/tests/run.sh"] = "true\n"
	files[base] = `name: ohpc-base
kind: meta-package
summary: s
requires:
  - bash
  - package: net-tools
    only: {targets: [EL_9]}
  - package: net-tools-deprecated
    except: {targets: [EL_9]}
`
	files[libs] = `name: ohpc-{compiler}-{mpi}-libs
kind: meta-package
summary: s
families: {compiler: all, mpi: [mpich4]}
requires:
  - package: probe-{compiler}-ohpc
    only:
      architectures: [x86_64]
      families: {compiler: all, mpi: [mpich4]}
  - package: probe-{compiler}-ohpc
    only: {architectures: [aarch64]}
  - package: vtune
    only: {architectures: [x86_64]}
    except: {families: {compiler: [gnu12]}}
`
	return files
}

func TestComplete(t *testing.T) {
	c, err := load.FS(mapFS(complete()))
	require.NoError(t, err)
	el, err := c.Target("EL_9")
	require.NoError(t, err)
	leap, err := c.Target("Leap_15")
	require.NoError(t, err)

	r, err := c.Recipe("full")
	require.NoError(t, err)
	require.Equal(t, recipes.Duration(90*time.Minute), r.Needs.Takes)
	require.Equal(t, []recipes.Patch{{File: "fix.patch"}, {File: "fetched.patch"}, {File: "upstream.patch", URL: "https://example.org/full.git", Commit: commit}}, r.Patches)
	require.Equal(t, recipes.Source{File: "upstream.patch", Commit: &recipes.Commit{URL: "https://example.org/full.git", Commit: commit}}, r.Fetched[1],
		"a commit is fetched like any other source")
	names := func(arch string, target *recipes.Target) (names []string) {
		variants, _ := c.Expand(r, target, arch)
		for _, v := range variants {
			names = append(names, v.Name())
		}
		return names
	}
	require.Equal(t, []string{"gnu12", "intel", "gnu12-mpich4-pmix", "serial"}, names("x86_64", el))
	require.Equal(t, []string{"gnu12", "serial"}, names("aarch64", el))

	requires := func(name, arch string, target *recipes.Target) []string {
		r, err := c.Recipe(name)
		require.NoError(t, err)
		variants, _ := c.Expand(r, target, arch)
		require.Len(t, variants, 1)
		return variants[0].Requires()
	}
	require.Equal(t, []string{"bash", "net-tools"}, requires("ohpc-base", "x86_64", el))
	require.Equal(t, []string{"bash", "net-tools-deprecated"}, requires("ohpc-base", "x86_64", leap))
	require.Equal(t, []string{"probe-gnu12-ohpc"}, requires("ohpc-gnu12-mpich4-libs", "x86_64", el))
	require.Equal(t, []string{"probe-gnu12-ohpc"}, requires("ohpc-gnu12-mpich4-libs", "aarch64", el))
	require.Equal(t, []string{"probe-intel-ohpc", "vtune"}, requires("ohpc-intel-mpich4-libs", "x86_64", el))

	for name, want := range map[string]string{"ohpc-base": recipes.AnyArch, "ohpc-gnu12-mpich4-libs": ""} {
		r, err := c.Recipe(name)
		require.NoError(t, err)
		require.Equal(t, want, r.Noarch, "%s: with a condition on architectures it is another one for each", name)
		variants, _ := c.Expand(r, el, "x86_64")
		require.Equal(t, want != "", strings.Contains(c.Meta(variants[0]).Spec, "noarch"))
	}
}

func TestProblemsOfEverythingElse(t *testing.T) {
	tests := map[string]struct{ file, old, new, want string }{
		"patch nowhere":         {full, "- fix.patch", "- fxi.patch", full + ":7:5: there is no file components/libs/full/SOURCES/fxi.patch (put it there, or give the url and commit it is)"},
		"patch twice":           {full, "{file: fetched.patch}", "{file: fix.patch}", full + ":8:12: patch fix.patch is listed twice"},
		"patch is a path":       {full, "- fix.patch", "- ../fix.patch", full + `:7:5: "../fix.patch" is not a file name`},
		"commit like a file":    {full, "file: upstream.patch", "file: fix.patch", full + `:9:11: patch fix.patch is listed twice`},
		"commit like a source":  {full, "{file: fetched.patch}", "{file: fetched.patch, url: https://example.org/x.git, commit: " + commit + "}", full + ":8:12: one of the sources has the same name, and both go to _sourcedir (rename it, or leave out url and commit)"},
		"commit like shared":    {full, "file: upstream.patch", "file: OHPC_macros", full + ":9:11: shared/OHPC_macros has the same name"},
		"commit without url":    {full, "    url: https://example.org/full.git\n", "", full + `:9:5: "url" is missing in patches[2] (the repository that has the commit)`},
		"url without commit":    {full, "    commit: " + commit + "\n", "", full + `:9:5: "commit" is missing in patches[2] (branches and tags move)`},
		"short commit":          {full, "commit: " + commit, "commit: 74ad08d", full + `:11:13: "74ad08d" is not a full commit`},
		"program for a url":     {full, "https://example.org/full.git", `"ext::sh -c id"`, full + `:10:10: ext: is not a kind of git address that is fetched from (https, http, ssh, git)`},
		"file for a url":        {full, "https://example.org/full.git", "file:///etc", full + `:10:10: file: is not a kind of git address`},
		"variant twice":         {full, "name: serial", "name: pmix", full + `:18:11: there is another variant "pmix" (rename one of them)`},
		"variant of a path":     {full, "name: serial", "name: a/b", full + `:18:11: "a/b" cannot name a variant`},
		"variant without":       {full, `    defines: {ohpc_mpi_dependent: "0"}` + "\n", "", full + `:18:5: "defines" is missing in variants[1]`},
		"variant's macro":       {full, "{ohpc_mpi_dependent:", "{ohpc-mpi:", full + `:19:15: "ohpc-mpi" is not the name of a macro`},
		"variant's family":      {full, "mpi: [mpich4]", "mpj: [mpich4]", full + `:17:35: there is no family "mpj" (did you mean "mpi"?)`},
		"variant's member":      {full, "mpi: [mpich4]", "mpi: [mpich3]", full + `:17:41: there is no member of family mpi "mpich3" (did you mean "mpich4"?)`},
		"member twice":          {full, "mpi: [mpich4]", "mpi: [mpich4, mpich4]", full + `:17:49: member "mpich4" is chosen twice`},
		"all and more":          {full, "mpi: [mpich4]", "mpi: [all, mpich4]", full + `:17:41: all stands alone (mpi: all)`},
		"variant like base":     {full, "defines: {ohpc_mpi_dependent: \"0\"}\n    families: {}", "defines: {}", full + ":18:5: the variant has the same defines and families as the recipe itself (it would be built twice)"},
		"variant like another":  {full, "defines: {ohpc_mpi_dependent: \"0\"}\n    families: {}", "defines: {RMS_DELIM: -pmix}\n    families: {mpi: [mpich4], compiler: [gnu12]}", full + ":18:5: the variant has the same defines and families as variant pmix (it would be built twice)"},
		"variant's other name":  {full, `{RMS_DELIM: "-pmix"}`, "{mpi_family: openmpi4}", full + ":16:15: the family mpi gives the macro mpi_family its value (choose the member under families)"},
		"unknown variant":       {full, "variant: pmix", "variant: pmxi", full + `:22:73: the recipe has no variant "pmxi" under variants (did you mean "pmix"?)`},
		"unknown kind":          {full, "families: {compiler: gnu12}", "families: {copmiler: gnu12}", full + `:22:46: there is no family "copmiler" (did you mean "compiler"?)`},
		"unknown member":        {full, "families: {compiler: gnu12}", "families: {compiler: gnu13}", full + `:22:46: there is no member of family compiler "gnu13" (did you mean "gnu12"?)`},
		"member never built":    {full, "families: {compiler: gnu12}", "families: {mpi: openmpi4}", full + ":22:46: no variant of the recipe has the mpi openmpi4"},
		"other target's arch":   {full, "target: EL_9", "target: Leap_15", full + `:22:29: target Leap_15 has no architecture "aarch64"`},
		"member's variant":      {family, "exclude: [{arch: aarch64,", "exclude: [{arch: aarch64, variant: x,", family + ":9:40: the variants of recipes are not those of a family (leave it out)"},
		"family without member": {family, "  - {name: gnu12, summary: GNU 12, recipe: gnu12-compilers}\n  - name: intel\n    summary: Intel\n    recipe: intel-compilers\n    exclude: [{arch: aarch64, reason: Intel makes none}]\n", "  []\n", family + ":5:3: a family needs at least one member"},
		"template of a variant": {full, "needs:", "tests: [{script: tests/run.sh, packages: [\"x-{compiler}\"]}]\nneeds:", full + ":23:43: variant serial has no compiler to stand for {compiler}"},
		"allows nothing":        {full, "needs:", "allow: [{rule: setuid, paths: [], reason: x}]\nneeds:", full + ":23:31: nothing is allowed: there is no path"},
		"allows a bad path":     {full, "needs:", "allow: [{rule: setuid, paths: [usr/bin/x], reason: x}]\nneeds:", full + `:23:32: "usr/bin/x" is no pattern of paths (an absolute path, in which * stands for a part of a name)`},
		"allows a bad pattern":  {full, "needs:", "allow: [{rule: setuid, paths: [\"/usr/bin/[\"], reason: x}]\nneeds:", full + `:23:32: "/usr/bin/[" is no pattern of paths (an absolute path, in which * stands for a part of a name)`},
		"unknown rule":          {full, "needs:", "allow: [{rule: setid, paths: [/x], reason: x}]\nneeds:", full + `:23:16: allow[0].rule: must be one of machine, noarch-code, build-path, run-path, interpreter, setuid, capability, world-writable, device, owner, symlink, file-conflict, not "setid" (did you mean "setuid"?)`},
		"allows for no reason":  {full, "needs:", "allow: [{rule: setuid, paths: [/x]}]\nneeds:", full + `:23:10: "reason" is missing in allow[0]`},
		"takes too long":        {full, "takes: 90m", "takes: 3h", full + ":23:26: the build is expected to take 3h0m0s, but held to hang after 2h0m0s"},
		"takes no time":         {full, "takes: 90m", "takes: 0m", full + `:23:26: needs.takes: must be a length of time`},

		"condition's target":  {base, "only: {targets: [EL_9]}", "only: {targets: [EL9]}", base + `:7:22: there is no target "EL9" (did you mean "EL_9"?)`},
		"condition's arch":    {libs, "architectures: [aarch64]", "architectures: [arm64]", libs + `:11:28: no target has the architecture "arm64"`},
		"condition's family":  {base, "only: {targets: [EL_9]}", "only: {families: {compiler: [gnu12]}}", base + ":7:34: no variant of the recipe has a compiler"},
		"any of no family":    {base, "only: {targets: [EL_9]}", "only: {families: {compiler: all}}", base + ":7:23: no variant of the recipe has a compiler"},
		"condition's member":  {libs, "compiler: [gnu12]", "compiler: [gnu13]", libs + `:14:36: there is no member of family compiler "gnu13" (did you mean "gnu12"?)`},
		"member not chosen":   {libs, "mpi: [mpich4]}\n  -", "mpi: [openmpi4]}\n  -", libs + ":9:39: no variant of the recipe has the mpi openmpi4"},
		"empty condition":     {base, "only: {targets: [EL_9]}", "only: {}", base + ":7:11: the condition names nothing (leave it out, or give targets, architectures or families)"},
		"empty targets":       {base, "only: {targets: [EL_9]}", "only: {targets: []}", base + ":7:21: nothing is named (leave it out for all)"},
		"empty members":       {libs, "compiler: [gnu12]", "compiler: []", libs + ":14:25: no member is chosen (leave the family out, or choose all)"},
		"except like only":    {base, "only: {targets: [EL_9]}", "only: {targets: [EL_9]}\n    except: {targets: [EL_9]}", base + ":8:14: except is the same as only: net-tools would be required nowhere"},
		"nowhere":             {libs, "except: {families: {compiler: [gnu12]}}", "except: {families: {mpi: [mpich4]}}", libs + ":12:5: vtune is required nowhere (its conditions exclude each other)"},
		"twice, the same":     {base, "net-tools-deprecated\n    except:", "net-tools\n    only:", base + ":8:5: net-tools is required twice on EL_9/x86_64"},
		"twice, overlapping":  {base, "net-tools-deprecated\n    except: {targets: [EL_9]}", "bash\n    only: {targets: [Leap_15]}", base + ":8:5: bash is required twice on Leap_15/x86_64"},
		"twice, elsewhere":    {base, "net-tools-deprecated\n    except: {targets: [EL_9]}", "bash\n    only: {targets: [openEuler_22.03]}", base + ":8:5: bash is required twice on openEuler_22.03/"},
		"twice for a member":  {libs, "only: {architectures: [aarch64]}", "except: {families: {compiler: [gnu12]}}", libs + ":10:5: probe-{compiler}-ohpc is required twice on EL_9/x86_64 with intel with mpich4"},
		"noarch, not for all": {libs, "summary: s", "summary: s\nnoarch: any", libs + ":4:9: probe-{compiler}-ohpc is required on some architectures only, so that the package is another one for each (leave it out)"},
		"meta with patches":   {base, "summary: s", "summary: s\npatches: []", base + ":4:10: patches is only for components"},
		"meta with variants":  {base, "summary: s", "summary: s\nvariants: []", base + ":4:11: variants is only for components"},
		"requires a template": {base, "- bash", "- ba{sh", base + `:5:5: "ba{sh" is not the name of a package`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files := complete()
			require.Contains(t, files[tt.file], tt.old, "the case changes nothing")
			files[tt.file] = strings.Replace(files[tt.file], tt.old, tt.new, 1)
			_, err := load.FS(mapFS(files))
			var problems strict.Problems
			require.ErrorAs(t, err, &problems)
			require.ErrorContains(t, err, tt.want)
			require.Len(t, problems, 1, "one mistake, one message")
		})
	}
}

// Whatever can change what is built changes a recipe's digest.
func TestDigestCoversTheFile(t *testing.T) {
	of := func(files map[string]string) string {
		c, err := load.FS(mapFS(files))
		require.NoError(t, err)
		r, err := c.Recipe("full")
		require.NoError(t, err)
		d, err := c.Digest(r)
		require.NoError(t, err)
		return string(d)
	}
	before := of(complete())
	for name, tt := range map[string]struct {
		old, new string
		same     bool
	}{
		"commit":    {commit, "84ad08d123456789012345678901234567890123", false},
		"defines":   {"-pmix\"", "-slurm\"", false},
		"takes":     {"takes: 90m", "takes: 80m", true},
		"exclusion": {"reason: hangs", "reason: crashes", true},
	} {
		files := complete()
		require.Contains(t, files[full], tt.old)
		files[full] = strings.Replace(files[full], tt.old, tt.new, 1)
		require.Equal(t, tt.same, before == of(files), name)
	}
}
