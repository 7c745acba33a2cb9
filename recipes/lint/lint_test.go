package lint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/lint"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/recipes/tree"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// host runs rpmspec on this machine, without a container: the specs are the
// tests' own.
type host struct{}

func (host) Run(ctx context.Context, dir string, args []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C.UTF-8"}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return nil // the answers say it
	}
	return err
}

// bench is a catalogue in the making.
type bench struct {
	*testing.T
	files   fstest.MapFS
	catalog *recipes.Catalog
	base    lint.Base
}

func newBench(t *testing.T) *bench {
	testenv.Programs(t, "rpmspec")
	files := fstest.MapFS{}
	both := []string{"x86_64", "aarch64"}
	return &bench{T: t, files: files, catalog: &recipes.Catalog{
		FS: files, Release: "3", Version: "3.2", URL: "https://example.org", Date: recipes.Date{Time: time.Unix(0, 0)},
		Targets: []*recipes.Target{{Name: "EL_9", Architectures: both}},
		Families: []*recipes.Family{
			{Name: "compiler", Define: "compiler_family", Members: []recipes.Member{{Name: "gnu12"}, {Name: "gnu14"}}},
			{Name: "mpi", Define: "mpi_family", Members: []recipes.Member{{Name: "mpich"}, {Name: "openmpi5"}}},
		},
	}}
}

// andLeap adds a second target.
func (b *bench) andLeap() {
	leap := &recipes.Target{Name: "Leap_15", Architectures: b.catalog.Targets[0].Architectures, Defines: map[string]string{"suse_version": "1500"}}
	b.catalog.Targets = append(b.catalog.Targets, leap)
}

func (b *bench) file(name string, data []byte) recipes.File {
	b.files[name] = &fstest.MapFile{Data: data}
	return recipes.File{Name: path.Base(name), Path: name, Digest: store.Of(data)}
}

// recipe adds a component. The text is that of its spec behind the tags that each
// must have; it may give some of them again.
func (b *bench) recipe(name, text string, change ...func(*recipes.Recipe)) *recipes.Recipe {
	b.Helper()
	tags := []string{"Name: " + name + "-ohpc", "Version: 1.0", "Release: 1%{?dist}", "Summary: s", "License: MIT"}
	tags = slices.DeleteFunc(tags, func(line string) bool {
		tag, _, _ := strings.Cut(line, ":")
		main, _, _ := strings.Cut(text, "%package")
		return strings.HasPrefix(main, tag+":") || strings.Contains(main, "\n"+tag+":")
	})
	if !strings.Contains(text, "%description\n") {
		text += "\n%description\n%files\n"
	}
	dir := "components/dev-tools/" + name
	r := &recipes.Recipe{
		Name: name, Kind: recipes.Component, Dir: dir,
		Spec: b.file(dir+"/SPECS/"+name+".spec", []byte(strings.Join(tags, "\n")+"\n"+text)),
	}
	for _, c := range change {
		c(r)
	}
	b.catalog.Recipes = append(b.catalog.Recipes, r)
	return r
}

// families multiplies a recipe.
func families(names ...string) func(*recipes.Recipe) {
	return func(r *recipes.Recipe) {
		r.Families = map[string]recipes.Choice{}
		for _, name := range names {
			r.Families[name] = recipes.Choice{recipes.All}
		}
	}
}

func noarch(owner string) func(*recipes.Recipe) {
	return func(r *recipes.Recipe) { r.Noarch = owner }
}

// check evaluates everything and returns the findings of some rules, one line
// each.
func (b *bench) check(rules ...string) []string {
	b.Helper()
	var lines []string
	for _, f := range b.findings() {
		if !slices.Contains(rules, f.Rule) {
			continue
		}
		file := strings.TrimPrefix(f.File, "components/dev-tools/")
		line := fmt.Sprintf("%s:%d:%d %s %s", file, f.Line, f.Column, f.Severity, f.Message)
		if f.Hint != "" {
			line += " => " + f.Hint
		}
		if len(f.Packages) > 0 {
			line += " | " + strings.Join(f.Packages, " ")
		}
		lines = append(lines, line+" @ "+strings.Join(f.Where, "; "))
	}
	return lines
}

func (b *bench) findings() []lint.Finding {
	b.Helper()
	in := lint.Input{Catalog: b.catalog, Base: b.base}
	st, err := store.Open(b.TempDir())
	require.NoError(b, err)
	put := func(name string, data []byte) spec.File {
		d, err := st.PutBytes(b.Context(), data)
		require.NoError(b, err)
		return spec.File{Name: name, Digest: d}
	}
	var queries []spec.Query
	for _, target := range b.catalog.Targets {
		for _, arch := range target.Architectures {
			for _, r := range b.catalog.Recipes {
				variants, _ := b.catalog.Expand(r, target, arch)
				for _, v := range variants {
					e := lint.Evaluated{Variant: v, Path: r.Spec.Path}
					name := r.Spec.Name
					if r.Kind == recipes.MetaPackage {
						e.Path, e.Text, name = r.Dir, []byte(b.catalog.Meta(v).Spec), r.Name+".spec"
					} else {
						e.Text, err = b.catalog.Read(r.Spec)
						require.NoError(b, err)
					}
					q := spec.Query{Path: e.Path, Spec: put(name, e.Text), Arch: arch}
					for _, f := range b.catalog.Inputs(r) {
						data, err := b.catalog.Read(f)
						require.NoError(b, err)
						q.Sources = append(q.Sources, put(f.Name, data))
					}
					for _, d := range v.Defines {
						q.Defines = append(q.Defines, spec.Define{Name: d.Name, Value: d.Value})
					}
					in.Evaluated = append(in.Evaluated, e)
					queries = append(queries, q)
				}
			}
		}
	}
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	answers, err := spec.New(st, host{}, spec.Image{Digest: store.Of([]byte("the host")), Arch: arch}).Evaluate(b.Context(), queries, nil)
	require.NoError(b, err)
	for i, a := range answers {
		in.Evaluated[i].Result, in.Evaluated[i].Err = a.Result, a.Err
	}
	findings, err := lint.Check(in)
	require.NoError(b, err)
	return findings
}

// base provides a few things on one target, and knows nothing of others.
type base map[string]bool

func (b base) Provides(target, _ string, d rpm.Dependency) (provided, known bool) {
	return b[d.Name], target == "EL_9"
}

func TestReadable(t *testing.T) {
	b := newBench(t)
	b.andLeap()
	b.recipe("broken", "Flavour: none\n")
	b.recipe("elsewhere", "ExclusiveArch: x86_64\n")
	b.recipe("here", "Requires: broken-ohpc\nRequires: elsewhere-ohpc\n")
	require.Equal(t, []string{
		"broken/SPECS/broken.spec:6:1 error rpm cannot read it: Unknown tag: Flavour: none => nothing is known of what it builds, and so nothing more is said about it: mend this first @ all",
		"here/SPECS/here.spec:7:11 error elsewhere-ohpc is required, and no recipe makes it for this target and architecture => " +
			"it is made for x86_64 only: require it there only, as with %ifarch, or do not build this here | here-ohpc @ aarch64",
	}, b.check("unreadable-spec", "unknown-requirement"))
}

func TestRequirements(t *testing.T) {
	const missing = ", and no recipe makes it for this target and architecture"
	for name, tc := range map[string]struct {
		text string
		want string // without file
	}{
		"there":                 {"Requires: scotch-gnu12-ohpc\n", ""},
		"provided":              {"Requires: scotch(library) >= 7\n", ""},
		"not ours":              {"Requires: no-such-thing\n", ""},
		"a path":                {"Requires: /opt/ohpc/pub/x-ohpc\n", ""},
		"new enough":            {"Requires: scotch-gnu12-ohpc >= 7.0\n", ""},
		"too old":               {"Requires: scotch-gnu12-ohpc >= 8\n", "6:11 error scotch-gnu12-ohpc >= 8 is required, and what there is has the version 7.0.3-1 | probe-ohpc @ all"},
		"another spelling":      {"Requires: scocth-gnu12-ohpc\n", `6:11 error scocth-gnu12-ohpc is required` + missing + ` => did you mean "scotch-gnu12-ohpc"? | probe-ohpc @ all`},
		"another family":        {"Requires: scotch-intel-ohpc\nRequires: scotch-gnu14-ohpc\n", `7:11 error scotch-gnu14-ohpc is required` + missing + ` => there is scotch-gnu12-ohpc | probe-ohpc @ all`},
		"for the build":         {"BuildRequires: a, absent-ohpc\n", "6:19 error absent-ohpc is needed to build this" + missing + " @ all"},
		"a subpackage":          {"Requires: probe-ohpc-absent\n", "6:11 error probe-ohpc-absent is required" + missing + " => there is probe-ohpc | probe-ohpc @ all"},
		"the project's own":     {"Requires: ohpc-absent\n", "6:11 error ohpc-absent is required" + missing + " | probe-ohpc @ all"},
		"recommended":           {"Recommends: absent-ohpc\n", "6:13 warning absent-ohpc is recommended" + missing + " | probe-ohpc @ all"},
		"by a macro":            {"%define fam gnu9\nRequires: scotch-%{fam}%{?x}-ohpc\n", "7:11 error scotch-gnu9-ohpc is required" + missing + " => there is scotch-gnu12-ohpc | probe-ohpc @ all"},
		"under a condition":     {"%ifarch aarch64\nRequires: absent-ohpc\n%endif\n", "7:11 error absent-ohpc is required" + missing + " | probe-ohpc @ aarch64"},
		"on one target":         {"%if 0%{?suse_version}\nRequires: absent-ohpc\n%endif\n", "7:11 error absent-ohpc is required" + missing + " | probe-ohpc @ Leap_15"},
		"rich, one of them":     {"Requires: (absent-ohpc or scotch-gnu12-ohpc)\n", ""},
		"rich, none of them":    {"Requires: (absent-ohpc or gone-ohpc)\n", "6:12 error absent-ohpc is required" + missing + " (of (absent-ohpc or gone-ohpc)) | probe-ohpc @ all"},
		"rich, someone else's":  {"Requires: (absent-ohpc or thing)\n", ""},
		"rich, all of them":     {"Requires: (scotch-gnu12-ohpc and (absent-ohpc >= 2 with thing))\n", "6:35 error absent-ohpc is required" + missing + " (of (scotch-gnu12-ohpc and (absent-ohpc >= 2 with thing))) | probe-ohpc @ all"},
		"rich, on condition":    {"Requires: (absent-ohpc if thing)\n", ""},
		"rich, with a function": {"Requires: (perl(x::y) or pkgconfig(z))\n", ""},
		"provides it itself":    {"Requires: it-ohpc = 1\nProvides: it-ohpc = 1\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if strings.Contains(tc.text, "suse_version") {
				b.andLeap()
			}
			b.recipe("scotch", "Name: scotch-gnu12-ohpc\nVersion: 7.0.3\nProvides: scotch(library) = 7\n")
			b.recipe("probe", tc.text)
			var want []string
			if tc.want != "" {
				want = []string{"probe/SPECS/probe.spec:" + tc.want}
			}
			got := b.check("unknown-requirement")
			if name == "another family" { // of a family that is unknown a typing error is all that can be told
				require.Len(t, got, 2)
				require.Contains(t, got[0], "scotch-intel-ohpc is required")
				got = got[1:]
			}
			require.Equal(t, want, got)
		})
	}
}

func TestRequirementsOfTheTarget(t *testing.T) {
	b := newBench(t)
	b.andLeap()
	b.base = base{"bash": true}
	b.recipe("probe", "Requires: bash\nRequires: bahs\nRequires: (bahs or bash)\n")
	require.Equal(t, []string{
		"probe/SPECS/probe.spec:7:11 error bahs is required, and neither the target nor a recipe provides it | probe-ohpc @ EL_9",
	}, b.check("unknown-requirement"))
}

func TestRequirementsOfMetaPackages(t *testing.T) {
	b := newBench(t)
	meta := &recipes.Recipe{
		Name: "ohpc-gnu12-io", Kind: recipes.MetaPackage, Summary: "s", Dir: "meta/ohpc-io",
		Fixed: []recipes.Pick{{Family: "compiler", Member: "gnu12"}}, Families: map[string]recipes.Choice{"compiler": {"gnu12"}},
		Requires: []recipes.Requirement{{Package: "hdf5-{compiler}-ohpc"}},
	}
	b.file("meta/ohpc-io/recipe.yaml", []byte("name: ohpc-{compiler}-io\nrequires:\n  - hdf5-{compiler}-ohpc\n"))
	b.catalog.Recipes = append(b.catalog.Recipes, meta)
	require.Equal(t, []string{
		"meta/ohpc-io/recipe.yaml:3:5 error hdf5-gnu12-ohpc is required, and no recipe makes it for this target and architecture | ohpc-gnu12-io @ all",
	}, b.check("unknown-requirement"))
}

// An included file is one file, however many specs include it.
func TestIncluded(t *testing.T) {
	b := newBench(t)
	b.catalog.Shared = []recipes.File{b.file("components/OHPC_macros", []byte("# Shared\nRequires: absent-ohpc\n"))}
	b.recipe("one", "%include %{_sourcedir}/OHPC_macros\n")
	b.recipe("two", "%include %{_sourcedir}/OHPC_macros\n", func(r *recipes.Recipe) { r.Exclude = []recipes.Exclusion{{Arch: "aarch64", Reason: "r"}} })
	b.recipe("three", "")
	require.Equal(t, []string{
		"components/OHPC_macros:2:11 error absent-ohpc is required, and no recipe makes it for this target and architecture | one-ohpc two-ohpc @ all",
	}, b.check("unknown-requirement"))
}

func TestProviders(t *testing.T) {
	b := newBench(t)
	b.andLeap()
	b.recipe("first", "Name: same-ohpc\n")
	b.recipe("second", "Name: same-ohpc\n", func(r *recipes.Recipe) { r.Exclude = []recipes.Exclusion{{Target: "Leap_15", Reason: "r"}} })
	b.recipe("family", "Name: family-ohpc\n", families("compiler"))
	b.recipe("told", "Name: told-%{compiler_family}-ohpc\nProvides: told-ohpc\nRequires: told-ohpc\n", families("compiler"))
	b.recipe("user", "Requires: told-ohpc\nRequires: told-gnu12-ohpc\n")
	b.recipe("shared", "BuildArch: noarch\n")
	require.Equal(t, []string{
		"family/SPECS/family.spec:5:7 error the variants gnu12 and gnu14 both make the package family-ohpc: one overwrites the other in the repository => " +
			"let the name say which variant it is, as %{pname}-%{compiler_family}%{PROJ_DELIM}, or take one of the variants out of recipe.yaml | family-ohpc @ EL_9/aarch64, EL_9/x86_64, Leap_15/aarch64, Leap_15/x86_64 (gnu14)",
		"second/SPECS/second.spec:5:7 error components/dev-tools/first/SPECS/first.spec makes the package same-ohpc too: one overwrites the other in the repository => " +
			"rename one, or exclude one of the two recipes here | same-ohpc @ all",
		"user/SPECS/user.spec:6:11 warning told-ohpc is required, and told-gnu12-ohpc, told-gnu14-ohpc provide it: which one is installed is left to chance => " +
			"require one of the packages by its name | user-ohpc @ all",
	}, b.check("duplicate-provider"))
}

func TestMacros(t *testing.T) {
	const hint = " => define it, write %%{?%s} if it may be absent, or %%%% where a percent sign is meant @ all"
	undefined := func(at, severity, name, where string) string {
		return at + " " + severity + " nothing defines %{" + name + "}: it stays as it is in " + where + fmt.Sprintf(hint, name)
	}
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"defined":         {"%define flavour x\nURL: http://%{flavour}/%{name}\n", nil},
		"optional":        {"URL: http://%{?flavour}\n", nil},
		"asked for":       {"%{!?flavour: %global flavour x}\nURL: http://%{flavour}\n", nil},
		"by bcond":        {"%bcond_with it\nURL: http://%{with_it}\n", nil},
		"a define":        {"%if 0\n%endif\nURL: http://%{compiler_family}\n", nil},
		"the target's":    {"URL: http://x%{_vendor}\n", nil},
		"from a package":  {"%description\n%files\n%{python3_sitelib}/x\n", nil},
		"numbered":        {"Source0: a\n%description\n%prep\ncp %{SOURCE0} %{S:0} .\n%files\n", nil},
		"keywords":        {"%description\n%prep\n%setup -q\n%files\n%defattr(-,root,root)\n%config(noreplace) /a\n%doc b\n", nil},
		"escaped":         {"URL: http://%%{flavour}\n", nil},
		"format of date":  {"%description\n%prep\ndate +%Y%m%dabc; printf '%hello'\n%files\n", nil},
		"in a definition": {"%define unused %{flavour}\n", nil},
		"if it is there":  {"URL: http://x%{?it:%{flavour}}\n", nil},
		"for rpm -q":      {"%define unused_too %(rpm -q --qf '%{VERSION}' x)\nURL: http://%{unused_too}\n", nil},
		"in a used one":   {"%define used %{flavour}\nURL: http://%{used}\n", []string{undefined("6:14", "error", "flavour", "the preamble")}},
		"address":         {"URL: http://%{flavour}\n", []string{undefined("6:13", "error", "flavour", "the preamble")}},
		"bare":            {"URL: http://%flavour/x\n", []string{undefined("6:13", "error", "flavour", "the preamble")}},
		"file":            {"%description\n%files\n/opt/%{flavour}/x\n", []string{undefined("8:6", "error", "flavour", "%files")}},
		"script":          {"%description\n%install\necho %{flavour}\n%files\n", []string{undefined("8:6", "warning", "flavour", "%install")}},
		"build service": {"%description\n%install\necho baseurl=%{ohpc_repo}/%{_repository}\n%files\n", []string{
			"8:14 error nothing defines %{ohpc_repo}: it stays as it is in %install => it is known to OpenHPC's own build service only: give it a value under defines: of the catalogue or of the targets @ all",
			"8:27 error nothing defines %{_repository}: it stays as it is in %install => it is known to OpenHPC's own build service only: give it a value under defines: of the catalogue or of the targets @ all",
		}},
		"name and requirement": {"Requires: x-%{flavour}\nProvides: y(%{flavour})\n", []string{
			"6:13 error %{flavour} stays unexpanded in Requires: the package would have \"x-%{flavour}\" there" + fmt.Sprintf(hint, "flavour"),
			undefined("6:13", "error", "flavour", "the preamble"),
			"7:13 error %{flavour} stays unexpanded in Provides: the package would have \"y(%{flavour})\" there" + fmt.Sprintf(hint, "flavour"),
			undefined("7:13", "error", "flavour", "the preamble"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.recipe("probe", tc.text, func(r *recipes.Recipe) {
				if name == "a define" {
					families("compiler")(r)
				}
			})
			var want []string
			for _, w := range tc.want {
				want = append(want, "probe/SPECS/probe.spec:"+w)
			}
			require.Equal(t, want, b.check("unexpanded-macro"))
		})
	}
}

func TestRepoFiles(t *testing.T) {
	b := newBench(t)
	r := b.recipe("release", "Source1: a.repo\n")
	r.Sources = []recipes.File{
		b.file(r.Dir+"/SOURCES/a.repo", []byte("[a]\nbaseurl=http://example.org/%{_repository}\n")),
		b.file(r.Dir+"/SOURCES/b.repo", []byte("[b]\nbaseurl=http://example.org/%20x/$releasever\n")),
		b.file(r.Dir+"/SOURCES/notes.txt", []byte("%{x}\n")),
	}
	require.Equal(t, []string{
		"release/SOURCES/a.repo:2:28 error %{_repository} stays as it is: a file in SOURCES is copied, and dnf and zypper would ask for an address with the macro's name in it" +
			" => write the file in the spec's %install, where macros are expanded @ all",
	}, b.check("unexpanded-macro"))
}

func TestNames(t *testing.T) {
	for name, tc := range map[string]struct {
		text     string
		families []string
		want     []string
	}{
		"plain":                    {"Name: hwloc-ohpc\n", nil, nil},
		"the project's own":        {"Name: ohpc-release\n", nil, nil},
		"subpackage behind":        {"Name: a-ohpc\n%package server\nSummary: s\n%description server\n%description\n%files\n%files server\n", nil, nil},
		"family":                   {"Name: a-%{compiler_family}-ohpc\n", []string{"compiler"}, nil},
		"families":                 {"Name: a-%{compiler_family}-%{mpi_family}-ohpc\n", []string{"compiler", "mpi"}, nil},
		"something between":        {"Name: a-%{compiler_family}-%{mpi_family}-ucx-ohpc\n", []string{"compiler", "mpi"}, nil},
		"an MPI family":            {"Name: mpich-%{compiler_family}-ohpc\n", []string{"compiler"}, nil},
		"not a word of its own":    {"Name: a-gnu12x-%{compiler_family}-ohpc\n", []string{"compiler"}, nil},
		"another ending":           {"%global PROJ_DELIM -x\nName: a%{PROJ_DELIM}\n", nil, []string{"6:7 warning the name does not end with -ohpc: the package takes the place of the distribution's own, or is taken for it => end it with %{PROJ_DELIM} | a-x @ all"}},
		"subpackage of its own":    {"Name: a-ohpc\n%package -n b\nSummary: s\n%description -n b\n%description\n%files\n%files -n b\n", nil, []string{"6:1 warning the name does not end with -ohpc: the package takes the place of the distribution's own, or is taken for it => end it with %{PROJ_DELIM} | b @ all"}},
		"the wrong family":         {"Name: a-gnu12-ohpc\n", []string{"compiler"}, []string{"5:7 error the variant of gnu14 makes a package that is named after gnu12 => take the name from %{compiler_family} | a-gnu12-ohpc @ EL_9/aarch64, EL_9/x86_64 (gnu14)"}},
		"no family":                {"Name: a-ohpc\n", []string{"compiler"}, []string{"5:7 warning the name does not say with which compiler the package was built: a second one would collide with it => put %{compiler_family} into it, or take compiler out of the recipe's families | a-ohpc @ all"}},
		"families the wrong way":   {"Name: a-%{mpi_family}-%{compiler_family}-ohpc\n", []string{"compiler", "mpi"}, []string{"5:7 warning the MPI family comes before the compiler in the name => the convention is <name>-<compiler>-<mpi>-ohpc | a-mpich-gnu12-ohpc a-mpich-gnu14-ohpc a-openmpi5-gnu12-ohpc a-openmpi5-gnu14-ohpc @ all"}},
		"debug packages are rpm's": {"Name: a-ohpc\n%package -n a-ohpc-debuginfo\nSummary: s\n%description -n a-ohpc-debuginfo\n%description\n%files\n%files -n a-ohpc-debuginfo\n", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.recipe("probe", tc.text, families(tc.families...))
			var want []string
			for _, w := range tc.want {
				want = append(want, "probe/SPECS/probe.spec:"+w)
			}
			require.Equal(t, want, b.check("package-name"))
		})
	}
}

func TestNamesWithADelimiterOfTheirOwn(t *testing.T) {
	b := newBench(t)
	b.catalog.Defines = map[string]string{"PROJ_DELIM": "-site"}
	b.recipe("a", "Name: a%{PROJ_DELIM}\n")
	b.recipe("b", "Name: b-ohpc\n")
	require.Equal(t, []string{
		"b/SPECS/b.spec:5:7 warning the name does not end with -site: the package takes the place of the distribution's own, or is taken for it => end it with %{PROJ_DELIM} | b-ohpc @ all",
	}, b.check("package-name"))
}

func TestSources(t *testing.T) {
	text := "Source0: https://example.org/%{name}-%{version}.tar.gz\nSource1: beside.sh\nSource2: gone.sh\nSource3: https://example.org/x#/known.tar.gz\n" +
		"Patch0: https://example.org/1.patch\nPatch1: picked.patch\nSource4: declared.tar.gz\n"
	for _, fromSpec := range []bool{false, true} {
		b := newBench(t)
		r := b.recipe("a", text)
		r.FromSpec = fromSpec
		r.Sources = []recipes.File{b.file(r.Dir+"/SOURCES/beside.sh", nil)}
		r.Fetched = []recipes.Source{
			{File: "known.tar.gz", URL: "https://example.org/x", SHA256: strings.Repeat("0", 64)},
			{File: "declared.tar.gz", URL: "https://example.org/declared.tar.gz"},
		}
		r.Patches = []recipes.Patch{{File: "picked.patch", URL: "https://example.org/git", Commit: strings.Repeat("0", 40)}}
		severity := "error"
		if fromSpec {
			severity = "warning"
		}
		open := func(at, name string) string {
			return "a/SPECS/a.spec:" + at + " " + severity + " " + name + " is fetched without a digest: whoever answers at the address decides what is built => give its sha256 under sources: of a recipe.yaml @ all"
		}
		require.Equal(t, []string{
			open("6:10", "a-ohpc-1.0.tar.gz"),
			"a/SPECS/a.spec:8:10 " + severity + " gone.sh lies nowhere: not in SOURCES, and no address is given for it => put the file into SOURCES, or name where it comes from @ all",
			open("10:9", "1.patch"),
			open("12:10", "declared.tar.gz"),
		}, b.check("source-digest", "missing-source"))
	}
}

func TestNoarch(t *testing.T) {
	// For a spec that is noarch as a whole rpm changes the architecture before it
	// reads it. In subpackages it is that of the build.
	sub := func(tags string) string {
		return "%package sub\nBuildArch: noarch\n" + tags + "%description sub\n%description\n%files\n%files sub\n"
	}
	b := newBench(t)
	b.recipe("differs", sub("Summary: s\nRequires: boot(%{_target_cpu}), same\n"))
	b.recipe("owned", sub("Summary: s\nRequires: boot(%{_target_cpu})\n"), noarch("x86_64"))
	b.recipe("same", sub("Summary: s\nRequires: same\n"))
	b.recipe("told", sub("Summary: for %{_target_cpu}\n"))
	b.recipe("whole", "BuildArch: noarch\nRequires: boot(%{_target_cpu})\n", noarch(recipes.AnyArch))
	b.recipe("arched", "Requires: boot(%{_target_cpu})\n")
	const message = " error noarch, and yet not the same for each architecture: "
	const rest = ". There is one package for all in the repository => take what differs out of it, or drop BuildArch: noarch, or name in recipe.yaml who builds it: noarch: x86_64 | "
	require.Equal(t, []string{
		"differs/SPECS/differs.spec:9:11" + message + "only for x86_64 it requires boot(x86_64), only for aarch64 it requires boot(aarch64)" + rest + "differs-ohpc-sub @ all",
		"told/SPECS/told.spec:4:10" + message + `Summary is "for x86_64" for x86_64 and "for aarch64" for aarch64` + rest + "told-ohpc-sub @ all",
	}, b.check("noarch-differs"))
}

func TestHygiene(t *testing.T) {
	const commit = "74ad08d0123456789012345678901234567890ab"
	b := newBench(t)
	b.recipe("one", "%define develSHA "+commit+"\nVersion: 3.8pre\nRelease: 4\n")
	b.recipe("two", "%global other "+commit+"\nVersion: 3.8~pre\nObsoletes: old\nObsoletes: older < 2\n")
	b.recipe("three", "%define alone "+strings.Repeat("a", 40)+"\n%description\n%build\nmake %{?_smp_mflags}\nmake %{_smp_mflags}\n%files\n")
	require.Equal(t, []string{
		"one/SPECS/one.spec:4:1 warning commit 74ad08d… is pinned in 2 specs, and one of them will be forgotten: also in components/dev-tools/two/SPECS/two.spec => give the source tree a file in pins/, and take %{pin_commit} and %{pin_version} from it @ all",
		"one/SPECS/one.spec:5:10 warning rpm takes version 3.8pre to be newer than 3.8: whoever has it would never get the release => write 3.8~pre @ all",
		"one/SPECS/one.spec:6:10 note the release has no %{?dist}: packages for different targets have the same file name => write 4%{?dist} @ all",
		"three/SPECS/three.spec:9:6 note %{_smp_mflags} is written out with the number of processors, and rpm keeps the text in the source package: it differs from machine to machine => write make -j\"$RPM_BUILD_NCPUS\" @ all",
		"two/SPECS/two.spec:7:12 warning old is obsoleted in every version: it can never come back, not even from the distribution => write Obsoletes: old < VERSION, with the first version that is not replaced | two-ohpc @ all",
	}, b.check("repeated-pin", "prerelease-version", "release-without-dist", "unversioned-obsoletes", "processor-count"))
}

func TestVersionsThatAreNoPrereleases(t *testing.T) {
	for _, version := range []string{"1.0", "2024a", "9.5p1", "1.2.3dev1x", "4.0~rc1", "20170829", "1.src"} {
		b := newBench(t)
		b.recipe("a", "Version: "+version+"\n")
		require.Empty(t, b.check("prerelease-version"), version)
	}
}

// A text that nobody asked rpm about is looked at all the same.
func TestTextsAlone(t *testing.T) {
	b := newBench(t)
	r := b.recipe("a", "URL: http://%(hostname)/\n")
	text, err := b.catalog.Read(r.Spec)
	require.NoError(t, err)
	variants, _ := b.catalog.Expand(r, b.catalog.Targets[0], "x86_64")
	findings, err := lint.Check(lint.Input{Catalog: b.catalog, Evaluated: []lint.Evaluated{{Variant: variants[0], Path: r.Spec.Path, Text: text}}})
	require.NoError(t, err)
	require.Len(t, findings, 1)
	require.Equal(t, "parse-time-command", findings[0].Rule)
}

func TestUnreadableCatalogue(t *testing.T) {
	b := newBench(t)
	r := b.recipe("a", "")
	r.Sources = []recipes.File{{Name: "gone", Path: "gone"}}
	variants, _ := b.catalog.Expand(r, b.catalog.Targets[0], "x86_64")
	_, err := lint.Check(lint.Input{Catalog: b.catalog, Evaluated: []lint.Evaluated{{Variant: variants[0], Path: r.Spec.Path}}})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// The small tree of package tree has a trap wherever real trees have one.
func TestTree(t *testing.T) {
	testenv.Integration(t)
	b := newBench(t)
	var err error
	el := &recipes.Target{Name: "EL_9", Architectures: []string{"aarch64"}, Defines: map[string]string{"rhel": "9"}}
	b.catalog, err = tree.Load("../tree/testdata/openhpc", tree.Options{Targets: []*recipes.Target{el}})
	require.NoError(t, err)
	rules := map[string][]string{}
	for _, f := range b.findings() {
		name := path.Base(f.File)
		if !slices.Contains(rules[f.Rule], name) {
			rules[f.Rule] = append(rules[f.Rule], name)
		}
	}
	require.Equal(t, []string{"dimemas.spec"}, rules["unreadable-spec"])
	require.Equal(t, []string{"meta-packages.spec", "boost.spec", "ptscotch.spec"}, rules["unknown-requirement"])
	require.Equal(t, []string{"release.spec"}, rules["unexpanded-macro"])
	require.Equal(t, []string{"clock.spec"}, rules["parse-time-command"])
	require.Equal(t, []string{"warewulf-cluster.spec"}, rules["repeated-pin"])
	require.Len(t, rules["prerelease-version"], 5)
	require.Contains(t, rules["source-digest"], "metis.spec")
	require.Equal(t, []string{"OHPC_macros"}, rules["duplicate-provider"])
	require.Empty(t, rules["package-name"])
	require.Empty(t, rules["foreign-binary"])
	require.Empty(t, rules["noarch-differs"])
}

func TestRules(t *testing.T) {
	seen := map[string]bool{}
	var reference bytes.Buffer
	require.NoError(t, lint.WriteReference(&reference))
	for _, r := range lint.Rules() {
		require.False(t, seen[r.Name], r.Name)
		seen[r.Name] = true
		found, err := lint.Explain(r.Name)
		require.NoError(t, err)
		require.Equal(t, r, found)
		require.Contains(t, reference.String(), "## "+r.Name+"\n")
	}
	_, err := lint.Explain("unknown-requirements")
	require.EqualError(t, err, `there is no rule "unknown-requirements" (did you mean "unknown-requirement"?)`)
}
