package load_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

const (
	probe   = "components/libs/probe/recipe.yaml"
	meta    = "meta/ohpc-compiler-libs/recipe.yaml"
	family  = "families/compiler.yaml"
	target  = "targets/EL_9.yaml"
	digest  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	catalog = "catalog.yaml"
)

// tree is a small, correct catalogue.
func tree() map[string]string {
	return map[string]string{
		catalog:              "release: \"3\"\nversion: 3.1\ndate: 2024-10-21\nurl: https://example.org\ndefines: {ohpc_version: \"3\"}\n",
		"shared/OHPC_macros": "%global PROJ_DELIM -ohpc\n",
		family: `name: compiler
define: compiler_family
summary: Compilers
members:
  - {name: gnu12, summary: GNU 12, recipe: gnu12-compilers}
  - name: intel
    summary: Intel
    recipe: intel-compilers
    exclude: [{arch: aarch64, reason: Intel makes none}]
`,
		target: `name: EL_9
summary: Enterprise Linux 9
architectures: [x86_64, aarch64]
image: {reference: registry.example.org/el:9}
managers: [dnf]
defines: {dist: 320.ohpc}
checks:
  - install-dnf
  - {name: suite, architectures: [x86_64]}
`,
		"components/compiler-families/gnu12-compilers/recipe.yaml":                "name: gnu12-compilers\nkind: component\ngroup: compiler-families\nsummary: s\nnoarch: any\n",
		"components/compiler-families/gnu12-compilers/SPECS/gnu12-compilers.spec": "Name: x\n",
		"components/compiler-families/intel-compilers/recipe.yaml":                "name: intel-compilers\nkind: component\ngroup: compiler-families\nsummary: s\nnoarch: x86_64\n",
		"components/compiler-families/intel-compilers/SPECS/intel-compilers.spec": "Name: x\n",
		probe: `name: probe
kind: component
group: libs
summary: A library
spec: SPECS/other.spec
sources:
  - file: probe-1.0.tar.gz
    sha256: ` + digest + `
    url: https://example.org/probe-1.0.tar.gz
    mirrors: [https://mirror.example.org/probe-1.0.tar.gz]
  - file: data.tar.xz
    git: {url: https://example.org/data.git, commit: 0123456789012345678901234567890123456789, prefix: data-1/}
families:
  compiler: all
exclude:
  - {target: EL_9, arch: aarch64, reason: does not compile}
needs: {memory: 2GiB, disk: 512MiB, cores: 4, time: 90m}
tests:
  - tests/run.sh
  - {script: tests/more.sh, packages: ["probe-{compiler}-ohpc"], time: 5m}
`,
		"components/libs/probe/SPECS/other.spec":   "Name: probe\n",
		"components/libs/probe/SOURCES/fix.patch":  "--- a\n",
		"components/libs/probe/tests/run.sh":       "true\n",
		"components/libs/probe/tests/more.sh":      "true\n",
		"components/libs/probe/tests/data/graph.g": "1 2\n",
		meta: `name: ohpc-{compiler}-libs
kind: meta-package
summary: Libraries built with {compiler}
families: {compiler: all}
requires: ["probe-{compiler}-ohpc"]
`,
	}
}

func mapFS(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func TestLoad(t *testing.T) {
	c, err := load.FS(mapFS(tree()))
	require.NoError(t, err)
	require.Equal(t, "3", c.Release)
	require.Equal(t, "3.1", c.Version)
	require.Equal(t, time.Date(2024, 10, 21, 0, 0, 0, 0, time.UTC), c.Date.Time)
	require.Equal(t, []recipes.File{{Name: "OHPC_macros", Path: "shared/OHPC_macros", Digest: store.Of([]byte("%global PROJ_DELIM -ohpc\n"))}}, c.Shared)

	var names []string
	for _, r := range c.Recipes {
		names = append(names, r.Name)
	}
	require.Equal(t, []string{"gnu12-compilers", "intel-compilers", "ohpc-gnu12-libs", "ohpc-intel-libs", "probe"}, names,
		"a meta-package named after a family is one recipe for each member")

	r, err := c.Recipe("probe")
	require.NoError(t, err)
	require.Equal(t, recipes.Component, r.Kind)
	require.Equal(t, "other.spec", r.Spec.Name)
	require.Equal(t, store.Of([]byte("Name: probe\n")), r.Spec.Digest)
	require.Equal(t, []recipes.File{{Name: "fix.patch", Path: "components/libs/probe/SOURCES/fix.patch", Digest: store.Of([]byte("--- a\n"))}}, r.Sources)
	require.Equal(t, recipes.Needs{Memory: 2 << 30, Disk: 512 << 20, Cores: 4, Time: recipes.Duration(90 * time.Minute)}, r.Needs)
	require.Equal(t, []recipes.Test{
		{Script: "tests/run.sh"},
		{Script: "tests/more.sh", Packages: []string{"probe-{compiler}-ohpc"}, Time: recipes.Duration(5 * time.Minute)},
	}, r.Tests)
	require.True(t, r.Families["compiler"].HasAll())
	require.Equal(t, "data-1/", r.Fetched[1].Git.Prefix)

	el, err := c.Target("EL_9")
	require.NoError(t, err)
	require.Equal(t, []string{"install-dnf", "suite"}, el.RequiredChecks("x86_64"))
	require.Equal(t, []string{"install-dnf"}, el.RequiredChecks("aarch64"))

	text, err := c.Read(c.Shared[0])
	require.NoError(t, err)
	require.Equal(t, "%global PROJ_DELIM -ohpc\n", string(text))
}

// Each case changes one file of the correct catalogue: replaces a text in it,
// writes it anew, or removes it.
func TestProblems(t *testing.T) {
	tests := map[string]struct {
		file, old, new string // old empty: new is the whole file; both empty: no file
		want           string
	}{
		"no catalogue":        {catalog, "", "", "catalog.yaml: the file is missing (a catalogue has catalog.yaml at its top, and beside it components, meta, families and targets)"},
		"bad date":            {catalog, "2024-10-21", "October", `catalog.yaml:3:7: date: must be a day such as 2024-10-21, not "October"`},
		"bad version":         {catalog, "version: 3.1", "version: 3-1", `catalog.yaml:2:10: "3-1" is not the version of a package`},
		"bad release":         {catalog, `release: "3"`, "release: ../3", `catalog.yaml:1:10: "../3" cannot name a release`},
		"bad macro name":      {catalog, "ohpc_version", "ohpc-version", `catalog.yaml:5:11: "ohpc-version" is not the name of a macro (letters, digits and _, at least three)`},
		"macro of two lines":  {target, "320.ohpc", `"a\nb"`, `targets/EL_9.yaml:6:11: the value of a macro must be a single line`},
		"unknown key":         {probe, "sources:", "source:", probe + `:6:1: unknown key "source" (did you mean "sources"?)`},
		"wrong type":          {probe, "name: probe", "name: [probe]", probe + ":1:7: name must be a string, not a list"},
		"missing name":        {probe, "name: probe\n", "", probe + `:1:1: "name" is missing`},
		"empty summary":       {probe, "summary: A library", `summary: ""`, probe + ":4:10: summary is empty"},
		"unknown kind":        {probe, "kind: component", "kind: componnet", probe + `:2:7: kind: must be component or meta-package, not "componnet" (did you mean "component"?)`},
		"missing recipe":      {probe, "", "", probe + ": the file is missing (each folder here is a recipe)"},
		"name unlike folder":  {probe, "name: probe", "name: prober", probe + `:1:7: the name is "prober", the folder is probe (rename one of them)`},
		"name of a path":      {probe, "name: probe", "name: ../probe", probe + `:1:7: "../probe" cannot name a recipe (letters, digits and + . _ -)`},
		"other group":         {probe, "group: libs", "group: lib", probe + `:3:8: the group is "lib", the folder is in libs`},
		"no spec":             {"components/libs/probe/SPECS/other.spec", "", "", "components/libs/probe/SPECS/other.spec: file does not exist"},
		"spec outside":        {probe, "SPECS/other.spec", "../../x.spec", probe + `:5:7: "../../x.spec" is not a path inside the recipe`},
		"requires elsewhere":  {probe, "families:", "requires: [x]\nfamilies:", probe + ":13:11: requires is only for meta-packages (a component says it in its spec)"},
		"unknown family":      {probe, "  compiler: all", "  compilers: all", probe + `:14:3: there is no family "compilers" (did you mean "compiler"?)`},
		"unknown member":      {probe, "compiler: all", "compiler: [gnu13]", probe + `:14:14: there is no member of family compiler "gnu13" (did you mean "gnu12"?)`},
		"no member":           {probe, "compiler: all", "compiler: []", probe + ":14:3: no member is chosen (leave the family out, or choose all)"},
		"word for members":    {probe, "compiler: all", "compiler: gnu12", probe + `:14:13: families.compiler: must be a list of members, or all; not "gnu12"`},
		"unknown target":      {probe, "target: EL_9", "target: EL9", probe + `:16:14: there is no target "EL9" (did you mean "EL_9"?)`},
		"unknown arch":        {probe, "arch: aarch64", "arch: arm64", probe + `:16:26: target EL_9 has no architecture "arm64"`},
		"no reason":           {probe, ", reason: does not compile", "", probe + `:16:6: "reason" is missing in exclude[0]`},
		"bad memory":          {probe, "2GiB", "2 gigs", probe + `:17:17: needs.memory: must be a whole number with a unit, such as 512MiB or 4GiB, not "2 gigs"`},
		"bad time":            {probe, "90m}", "-90m}", probe + `:17:53: needs.time: must be a length of time, such as 90m or 6h, not "-90m"`},
		"negative cores":      {probe, "cores: 4", "cores: -4", probe + ":17:44: a number of cores cannot be negative"},
		"bad noarch":          {probe, "needs:", "noarch: yes!\nneeds:", probe + `:17:9: "yes!" is not an architecture (any, or the architecture that must build it)`},
		"no test":             {"components/libs/probe/tests/run.sh", "", "", probe + ":19:5: there is no file components/libs/probe/tests/run.sh"},
		"a long quarantine":   {probe, "time: 5m}", "time: 5m, quarantine: [{until: 2999-01-01, reason: r}]}", probe + ":20:97: 2999-01-01 is more than 90 days ahead (name an earlier day; it can be renewed then)"},
		"a case of a script":  {probe, "time: 5m}", "time: 5m, quarantine: [{case: c, until: 2024-01-01, reason: r}]}", probe + ":20:96: tests/more.sh has no cases: it is no BATS file (leave the case out)"},
		"test outside":        {probe, "tests/run.sh", "tests/../../x", probe + `:19:5: "tests/../../x" is not a file in the recipe's folder tests`},
		"unknown placeholder": {probe, "probe-{compiler}-ohpc", "probe-{mpi}-ohpc", probe + `:20:40: {mpi} is not one of the recipe's families`},

		"source from nowhere":  {probe, "    git: {url: https://example.org/data.git, commit: 0123456789012345678901234567890123456789, prefix: data-1/}\n", "", probe + ":11:5: a source says in exactly one way where it comes from (one of debian, url, git, dir and generated)"},
		"source from two":      {probe, "    git:", "    generated: key\n    git:", probe + ":11:5: a source says in exactly one way where it comes from (one of debian, url, git, dir and generated)"},
		"source without sum":   {probe, "    sha256: " + digest + "\n", "", probe + ":7:5: source probe-1.0.tar.gz is not pinned by a digest (add sha256: and the digest that sha256sum prints)"},
		"bad sum":              {probe, digest, digest[1:], probe + `:8:13: "` + digest[1:] + `" is not a SHA-256 digest: 64 lower-case hexadecimal digits`},
		"sum with prefix":      {probe, digest, "sha256:" + digest, `is not a SHA-256 digest: 64 lower-case`},
		"source is a path":     {probe, "file: probe-1.0.tar.gz", "file: ../probe", probe + `:7:11: "../probe" is not a file name`},
		"source twice":         {probe, "data.tar.xz", "probe-1.0.tar.gz", probe + ":11:11: another source has the same name, and both go to _sourcedir (rename it)"},
		"source like a file":   {probe, "data.tar.xz", "fix.patch", probe + ":11:11: components/libs/probe/SOURCES/fix.patch has the same name, and both go to _sourcedir (rename it)"},
		"file like shared":     {"components/libs/probe/SOURCES/OHPC_macros", "", "x", "components/libs/probe/SOURCES/OHPC_macros: shared/OHPC_macros has the same name, and both go to _sourcedir (rename it)"},
		"folder in SOURCES":    {"components/libs/probe/SOURCES/deep/x", "", "x", "components/libs/probe/SOURCES/deep: only files belong here (rpmbuild's SOURCES has no folders)"},
		"url of a file":        {probe, "url: https://example.org/probe-1.0.tar.gz", "url: file:///etc/passwd", probe + `:9:10: "file:///etc/passwd" is not an http or https address`},
		"mirror of a file":     {probe, "https://mirror.example.org/probe-1.0.tar.gz", "/etc/passwd", probe + `:10:15: "/etc/passwd" is not an http or https address`},
		"branch for a commit":  {probe, "0123456789012345678901234567890123456789", "main", probe + `:12:54: "main" is not a full commit: 40 lower-case hexadecimal digits (branches and tags move)`},
		"prefix is a path":     {probe, "data-1/", "../data", probe + `:12:104: "../data" is not the name of one folder`},
		"meta with spec":       {meta, "families:", "spec: x\nfamilies:", meta + ":4:7: spec is only for components"},
		"meta without content": {meta, `requires: ["probe-{compiler}-ohpc"]`, "requires: []", meta + ":5:11: a meta-package without requirements installs nothing"},
		"meta requires twice":  {meta, `["probe`, `["probe-{compiler}-ohpc", "probe`, meta + ":5:37: probe-{compiler}-ohpc is required twice"},
		"meta, bad name":       {meta, `["probe`, `["a b", "probe`, meta + `:5:12: "a b" is not the name of a package`},
		"meta, bad template":   {meta, `["probe-{compiler}`, `["probe-{comqiler}`, meta + `:5:12: {comqiler} is not one of the recipe's families (did you mean "compiler"?)`},
		"meta, section":        {meta, "families:", "description: |\n  text\n  %post\n  rm -rf /\nfamilies:", meta + ":4:14: no line of description may begin with % (rpm would take it for a section)"},
		"meta, two lines":      {meta, "summary: Libraries built with {compiler}", `summary: "a\nRequires: b"`, meta + ":3:10: summary must be a single line"},
		"meta, one name":       {meta, "name: ohpc-{compiler}-libs", "name: ohpc-compiler-libs", meta + ":4:12: the meta-package has the same name for each member of the family (put {compiler} into the name)"},

		"family unlike file":  {family, "name: compiler", "name: compilers", family + `:1:7: the name is "compilers", the file is compiler.yaml (rename one of them)`},
		"member twice":        {family, "name: intel\n", "name: gnu12\n", family + `:6:11: member "gnu12" is given twice`},
		"member all":          {family, "name: intel\n", "name: all\n", family + `:6:11: "all" cannot name a member`},
		"member's recipe":     {family, "intel-compilers", "intel-compiler", family + `:8:13: there is no recipe "intel-compiler" (did you mean "intel-compilers"?)`},
		"not YAML":            {"families/README.md", "", "x", "families/README.md: only .yaml files belong here"},
		"no architecture":     {target, "[x86_64, aarch64]", "[]", target + ":3:16: a target needs at least one architecture"},
		"noarch target":       {target, "[x86_64, aarch64]", "[x86_64, aarch64, noarch]", target + `:3:34: "noarch" is not an architecture (rpm's names, such as x86_64 and aarch64)`},
		"no image":            {target, "{reference: registry.example.org/el:9}", "{reference: \"\"}", target + ":4:9: an image has either a reference or a bootstrap"},
		"unknown check":       {target, "  - install-dnf", "  - instal-dnf", target + `:8:5: there is no check "instal-dnf" (did you mean "install-dnf"?)`},
		"check's arch":        {target, "architectures: [x86_64]", "architectures: [x86-64]", target + `:9:35: the target has no architecture "x86-64" (did you mean "x86_64"?)`},
		"file for a folder":   {"components/README", "", "x", "components/README: only folders belong here"},
		"two recipes, a name": {"components/other/probe/recipe.yaml", "", "name: probe\nkind: component\ngroup: other\nsummary: s\n", `components/other/probe/recipe.yaml:1:7: there is another recipe "probe" in components/libs/probe`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files := tree()
			switch {
			case tt.old != "":
				require.Contains(t, files[tt.file], tt.old, "the case changes nothing")
				files[tt.file] = strings.Replace(files[tt.file], tt.old, tt.new, 1)
			case tt.new != "":
				files[tt.file] = tt.new
				if strings.HasSuffix(tt.file, "other/probe/recipe.yaml") {
					files["components/other/probe/SPECS/probe.spec"] = "Name: x\n"
				}
			default:
				delete(files, tt.file)
			}
			_, err := load.FS(mapFS(files))
			var problems strict.Problems
			require.ErrorAs(t, err, &problems)
			require.ErrorContains(t, err, tt.want)
			require.Len(t, problems, 1, "one mistake, one message")
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	files := tree()
	files[probe] = strings.Replace(files[probe], "group: libs", "group: lib", 1)
	files[probe] = strings.Replace(files[probe], "compiler: all", "mpi: all", 1)
	files[meta] = strings.Replace(files[meta], "probe-{compiler}", "a b", 1)
	_, err := load.FS(mapFS(files))
	require.EqualError(t, err, probe+`:3:8: the group is "lib", the folder is in libs
`+probe+`:14:3: there is no family "mpi"
`+meta+`:5:12: "a b-ohpc" is not the name of a package`)
}

// A catalogue from a stranger cannot bring in files of the machine.
func TestDirKeepsInside(t *testing.T) {
	dir := t.TempDir()
	for name, text := range tree() {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	_, err := load.Dir(dir)
	require.NoError(t, err)

	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("x"), 0o600))
	link := filepath.Join(dir, "components/libs/probe/SOURCES/link")
	require.NoError(t, os.Symlink(secret, link))
	_, err = load.Dir(dir)
	require.EqualError(t, err, link+": symbolic links and special files are not allowed in a catalogue (put a copy of the file here)")
	require.NoError(t, os.Remove(link))

	spec := filepath.Join(dir, "components/libs/probe/SPECS/other.spec")
	require.NoError(t, os.Remove(spec))
	require.NoError(t, os.Symlink(secret, spec))
	_, err = load.Dir(dir)
	require.ErrorContains(t, err, spec+": ")
	require.ErrorContains(t, err, "escapes")

	_, err = load.Dir(filepath.Join(dir, "nothing"))
	require.ErrorContains(t, err, "opening the catalogue")
}
