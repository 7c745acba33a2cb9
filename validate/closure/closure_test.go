package closure_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// dependency reads "name" or "name >= version"; an expression stays whole.
func dependency(t testing.TB, s string) rpm.Dependency {
	t.Helper()
	if strings.HasPrefix(s, "(") {
		return rpm.Dependency{Name: s}
	}
	list, err := closure.ReadProvided("", strings.NewReader(s))
	require.NoError(t, err)
	return list.Of[0].Provides[0]
}

// pkg is a package that provides itself and more.
func pkg(t testing.TB, name, evr, arch string, requires []string, provides ...string) closure.Package {
	t.Helper()
	p := closure.Package{ID: name + evr + arch, Name: name, EVR: rpm.ParseEVR(evr), Arch: arch}
	p.Provides = append(p.Provides, dependency(t, name+" = "+evr))
	for _, s := range provides {
		if strings.HasPrefix(s, "/") {
			p.Files = append(p.Files, s)
		} else {
			p.Provides = append(p.Provides, dependency(t, s))
		}
	}
	for _, s := range requires {
		p.Requires = append(p.Requires, dependency(t, s))
	}
	return p
}

func check(t testing.TB, opt closure.Options) *closure.Report {
	t.Helper()
	report, err := closure.Check(t.Context(), opt)
	require.NoError(t, err)
	for i := range report.Missing {
		require.NotEmpty(t, report.Missing[i].ID)
		report.Missing[i].ID, report.Missing[i].Absent = "", nil // see TestOpen
	}
	return report
}

func list(name string, of ...closure.Package) *closure.List { return &closure.List{Name: name, Of: of} }

// TestRequirements checks one requirement against a small world, with what the
// report says when it is missing.
func TestRequirements(t *testing.T) {
	tested := func(req string) *closure.List {
		return list("tested",
			pkg(t, "app", "1-1", "x86_64", []string{req}, "virtual = 2.0", "/opt/app/bin/run"),
			pkg(t, "scotch-gnu12-ohpc", "7.0.3-1", "x86_64", nil, "scotch-any"),
			pkg(t, "scotch-gnu12-ohpc", "7.0.1-1", "x86_64", nil),
			pkg(t, "hwloc-ohpc", "2.9.0-1", "x86_64", nil, "libhwloc.so.15()(64bit)(ohpc)"),
			pkg(t, "arm-only", "1-1", "aarch64", nil),
			pkg(t, "scripts", "1-1", "noarch", nil),
			pkg(t, "sources", "1-1", "src", []string{"never looked at"[:5]}),
		)
	}
	base := list("base",
		pkg(t, "glibc", "2.36-1", "x86_64", []string{"not checked"[:3]}, "libc.so.6(GLIBC_2.36)(64bit)", "libc.so.6(GLIBC_2.8)(64bit)", "librt.so.1()(64bit)", "perl(sub)"),
		pkg(t, "bash", "1:5.2-1", "x86_64", nil, "/usr/bin/bash", "/bin/sh"),
		pkg(t, "grep", "3-1", "i686", nil, "/usr/bin/grep"),
	)
	for req, want := range map[string]string{
		"scotch-gnu12-ohpc":                "",
		"scotch-gnu12-ohpc >= 7.0.3":       "",
		"scotch-gnu12-ohpc = 7.0.1":        "",
		"scotch-gnu12-ohpc >= 8":           "scotch-gnu12-ohpc is there in 7.0.3-1, 7.0.1-1, not >= 8",
		"scotch-any >= 3":                  "", // provided without a version: any
		"scotch-gnu14-ohpc":                "scotch-gnu12-ohpc is there in 7.0.3-1, 7.0.1-1",
		"virtual >= 2":                     "", // by itself
		"/opt/app/bin/run":                 "",
		"bash >= 5.2":                      "",
		"bash < 1":                         "bash is there in 1:5.2-1, not < 1",
		"/bin/sh":                          "",
		"/usr/bin/grep":                    "", // from another architecture of the same machine
		"/bin/grep":                        "/usr/bin/grep is there",
		"arm-only":                         "arm-only is there for aarch64 only",
		"scripts":                          "",
		"sources":                          "-",
		"rpmlib(Whatever) <= 9":            "",
		"libc.so.6(GLIBC_2.36)(64bit)":     "",
		"libc.so.6(GLIBC_2.38)(64bit)":     "libc.so.6(GLIBC_2.36)(64bit) is there",
		"libhwloc.so.15()(64bit)":          "libhwloc.so.15()(64bit)(ohpc) is there",
		"libz.so.1()(64bit)":               "-", // librt is near, but something else
		"librt.so.2()(64bit)":              "librt.so.1()(64bit) is there",
		"perl(six)":                        "-",
		"completely-different":             "-",
		"(bash or completely-different)":   "",
		"(bash and completely-different)":  "nothing provides completely-different",
		"(bash < 1 or scotch-gnu14-ohpc)":  "bash is there in 1:5.2-1, not < 1; scotch-gnu12-ohpc is there in 7.0.3-1, 7.0.1-1",
		"(bash with glibc)":                "each part has a provider, but not one for all of it",
		"(bash with /bin/sh)":              "",
		"(bash and )":                      `it cannot be read: a name is expected before ")"`,
		"(/bin/grep or arm-only)":          "/usr/bin/grep is there; arm-only is there for aarch64 only",
		"(completely-different if nobody)": "",
	} {
		t.Run(req, func(t *testing.T) {
			report := check(t, closure.Options{Tested: []closure.Repository{tested(req)}, Base: []closure.Repository{base}})
			require.Equal(t, []string{"aarch64", "x86_64"}, report.Cells)
			require.Equal(t, 6, report.Packages)
			if want == "" {
				require.Empty(t, report.Missing)
				return
			}
			require.Equal(t, []closure.Missing{{
				Cell: "x86_64", Package: "app-1-1.x86_64", Repository: "tested", Requirement: req, Nearest: strings.TrimPrefix(want, "-"),
			}}, report.Missing)
		})
	}
}

// universe are the packages that rich dependencies are tried with: a, b and c
// exist, x, y and z do not.
var universe = []string{"a", "b", "c"}

// richTable says for each expression whether it holds. rpm itself is asked with
// all packages installed; where its answer is another, the reason is given.
var richTable = []struct {
	expression string
	holds      bool
	otherwise  string // why rpm says the opposite
}{
	{"(a and b)", true, ""},
	{"(a and x)", false, ""},
	{"(x or a)", true, ""},
	{"(x or y)", false, ""},
	{"(a or b or x)", true, ""},
	{"(a if b)", true, ""},
	{"(x if b)", false, ""},
	{"(x if y)", true, ""},
	{"(a if b else x)", true, ""},
	{"(x if b else a)", false, ""},
	{"(x if y else a)", true, ""},
	{"(a if y else x)", false, ""},
	{"(a unless x)", true, ""},
	{"(x unless y)", false, ""},
	{"(x unless a)", false, ""},
	{"(a unless b)", true, "b is installed, but need not be"},
	{"(x unless a else b)", true, ""},
	{"(x unless y else b)", false, ""},
	{"(a unless b else x)", true, "b is installed, but need not be"},
	{"(a with a-extra)", true, ""},
	{"(a with b)", false, ""},
	{"(a with a-extra >= 2)", true, ""},
	{"(a with a-extra >= 3)", false, ""},
	{"(a without b)", true, ""},
	{"(a without a-extra)", false, ""},
	{"(a-extra without b-extra)", true, ""},
	{"(shared without a)", true, ""},
	{"((shared without a) without b)", false, ""},
	{"((x or a) with a-extra)", true, ""},
	{"((a and b) if (c or x))", true, ""},
	{"((a and x) if (c and x))", true, ""},
	{"((a and x) if (c or x))", false, ""},
	{"(x or (a and (b if c)))", true, ""},
	{"(a = 1 and b >= 1)", true, ""},
	{"(a > 1)", false, ""},
	{"(x if (a if x))", false, ""},
	{"(x if (y if a))", false, "the condition holds where a is not installed"},
	{"(x if (y unless z))", true, ""},
}

func provides(name string) []string {
	switch name {
	case "a":
		return []string{"a-extra = 2", "shared"}
	case "b":
		return []string{"b-extra", "shared"}
	}
	return nil
}

func TestRichDependencies(t *testing.T) {
	var world []closure.Package
	for _, name := range universe {
		world = append(world, pkg(t, name, "1-1", "x86_64", nil, provides(name)...))
	}
	for _, tc := range richTable {
		app := pkg(t, "app", "1-1", "x86_64", []string{tc.expression})
		report := check(t, closure.Options{Tested: []closure.Repository{list("tested", app)}, Base: []closure.Repository{list("base", world...)}})
		require.Equal(t, tc.holds, len(report.Missing) == 0, tc.expression)
	}
}

// TestRichDependenciesAgainstRPM asks rpm whether it would install a package
// with each expression beside all others.
func TestRichDependenciesAgainstRPM(t *testing.T) {
	rpmtest.Tool(t, "rpm")
	dir := t.TempDir()
	var world []string
	write := func(c rpmtest.Craft, name string) string {
		path := filepath.Join(dir, name+".rpm")
		require.NoError(t, os.WriteFile(path, c.Bytes(), 0o644))
		return path
	}
	for _, name := range universe {
		names, versions, flags := []string{name}, []string{"1-1"}, []uint32{8}
		for _, s := range provides(name) {
			d := dependency(t, s)
			names, versions, flags = append(names, d.Name), append(versions, d.Version), append(flags, uint32(d.Flags))
		}
		world = append(world, write(rpmtest.Simple(name, "1", "1", "noarch",
			rpmtest.Texts(1047, names...), rpmtest.Int32s(1112, flags...), rpmtest.Texts(1113, versions...)), name))
	}
	for i, tc := range richTable {
		app := write(rpmtest.Simple("app", "1", "1", "noarch",
			rpmtest.Texts(1049, tc.expression), rpmtest.Int32s(1048, 0), rpmtest.Texts(1050, "")), fmt.Sprintf("app%d", i))
		out, err := rpmtest.Try(t, "rpm", append([]string{
			"-U", "--test", "--nosignature", "--nodigest", "--ignorearch", "--ignoreos",
			"--dbpath", filepath.Join(dir, "db"), app,
		}, world...)...)
		if err != nil {
			require.Contains(t, out, "is needed by app-1-1", "rpm failed for another reason")
		}
		agrees := (err == nil) == tc.holds
		require.Equal(t, tc.otherwise == "", agrees, "%s: rpm says %v\n%s", tc.expression, err, out)
	}
}

// TestDeepExpressions takes expressions whose naive evaluation doubles with
// each level.
func TestDeepExpressions(t *testing.T) {
	for _, level := range []string{"(x if %s else y)", "(x unless y else %s)", "(x if y else %s)"} {
		e := "(x or y)"
		for range 40 {
			e = fmt.Sprintf(level, e)
		}
		begin := time.Now()
		report := check(t, closure.Options{Tested: []closure.Repository{list("tested", pkg(t, "app", "1-1", "noarch", []string{e}))}})
		require.Len(t, report.Missing, 1)
		require.NotContains(t, report.Missing[0].Nearest, "cannot be read")
		require.Less(t, time.Since(begin), 5*time.Second, level)
	}
}

func TestTooManyArchitectures(t *testing.T) {
	var all []closure.Package
	for i := range 65 {
		all = append(all, pkg(t, "a", "1-1", fmt.Sprintf("arch%d", i), nil))
	}
	_, err := closure.Check(t.Context(), closure.Options{Tested: []closure.Repository{list("odd", all...)}})
	require.ErrorContains(t, err, "the packages have 65 architectures; 64 are possible")
}

// TestOpen has a base of which only a part is known: it may hold what begins with d.
func TestOpen(t *testing.T) {
	base := list("base", pkg(t, "a", "1-1", "x86_64", nil), pkg(t, "b", "1-1", "x86_64", nil, "b-extra"))
	for _, tc := range []struct{ requirement, missing, left string }{
		{"a", "", ""},
		{"a >= 2", "a >= 2", ""},
		{"d", "", "d"},
		{"d >= 2", "", "d >= 2"},
		{"gone", "gone", ""},
		{"(a and d)", "", "(a and d)"},
		{"(gone and d)", "gone", ""},
		{"(gone or d)", "", "(gone or d)"},
		{"(a or d)", "", ""},
		{"(gone or far)", "gone far", ""},
		{"(a if d)", "", ""},
		{"(d if a)", "", "(d if a)"},
		{"(gone if d)", "", "(gone if d)"}, // may be there or not
		{"(gone if d else far)", "gone far", ""},
		{"(a if d else b)", "", ""},
		{"(gone if d else a)", "", "(gone if d else a)"},
		{"(d if gone)", "", ""},
		{"(gone unless d)", "gone", ""},
		{"(gone unless d else a)", "", "(gone unless d else a)"},
		{"(d unless a)", "", "(d unless a)"},
		{"(b with b-extra)", "", ""},
		{"(a with d)", "", ""}, // the base has no other a
		{"(d with d-more)", "", "(d with d-more)"},
		{"(d without a)", "", "(d without a)"},
		{"(a without d)", "", ""},
		{"(d with (a or d-more))", "", "(d with (a or d-more))"},
		{"(gone", "", ""},
	} {
		t.Run(tc.requirement, func(t *testing.T) {
			app := pkg(t, "app", "1-1", "x86_64", []string{tc.requirement})
			report, err := closure.Check(t.Context(), closure.Options{
				Tested: []closure.Repository{list("tested", app)}, Base: []closure.Repository{base},
				Open: func(arch string, d rpm.Dependency) bool {
					require.Equal(t, "x86_64", arch)
					return strings.HasPrefix(d.Name, "d")
				},
			})
			require.NoError(t, err)
			var left []string
			for _, m := range report.Left {
				left = append(left, m.Requirement)
			}
			require.Equal(t, tc.left, strings.Join(left, " "))
			if tc.requirement == "(gone" || tc.requirement == "(a with d)" {
				require.Len(t, report.Missing, 1)
				require.Empty(t, report.Missing[0].Absent, "no single one")
				return
			}
			var missing []string
			for _, m := range report.Missing {
				require.Equal(t, app.ID, m.ID)
				for _, d := range m.Absent {
					missing = append(missing, d.String())
				}
			}
			require.Equal(t, tc.missing, strings.Join(missing, " "))
		})
	}
}

func TestCells(t *testing.T) {
	noarch := list("noarch", pkg(t, "meta", "1-1", "noarch", []string{"lib"}))
	base := list("base", pkg(t, "lib", "1-1", "x86_64", nil), pkg(t, "other", "1-1", "aarch64", nil))
	report := check(t, closure.Options{Tested: []closure.Repository{noarch}, Base: []closure.Repository{base}})
	require.Equal(t, []string{"aarch64", "x86_64"}, report.Cells, "the base's, when all is noarch")
	require.Equal(t, 1, report.Packages)
	require.Equal(t, 2, report.Requirements)
	require.Len(t, report.Missing, 1)
	require.Equal(t, "aarch64", report.Missing[0].Cell)

	report = check(t, closure.Options{Tested: []closure.Repository{noarch}, Base: []closure.Repository{base}, Architectures: []string{"x86_64"}})
	require.Empty(t, report.Missing)

	report = check(t, closure.Options{Tested: []closure.Repository{noarch}})
	require.Equal(t, []string{"noarch"}, report.Cells)
	require.Len(t, report.Missing, 1)
}

// late is a repository that tells its files only when asked.
type late struct {
	closure.List
	files map[string][]string // by ID
	asked int
}

func (l *late) Files(_ context.Context, wanted func(string) bool, fn func(id, path string) error) error {
	l.asked++
	for id, paths := range l.files {
		for _, path := range paths {
			if wanted(path) {
				if err := fn(id, path); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func TestFilesAreReadWhenNeeded(t *testing.T) {
	lib := pkg(t, "lib", "1-1", "x86_64", nil, "/usr/bin/lib")
	base := &late{List: closure.List{Name: "base", Of: []closure.Package{lib}}, files: map[string][]string{lib.ID: {"/usr/share/lib/x"}, "unknown": {"/usr/share/y"}}}
	run := func(req string) int {
		tested := list("tested", pkg(t, "app", "1-1", "x86_64", []string{req}))
		return len(check(t, closure.Options{Tested: []closure.Repository{tested}, Base: []closure.Repository{base}}).Missing)
	}
	require.Zero(t, run("/usr/bin/lib"))
	require.Zero(t, base.asked)
	require.Zero(t, run("/usr/share/lib/x"))
	require.Equal(t, 1, base.asked)
	require.Zero(t, run("(nothing or /usr/share/lib/x)"))
	require.Equal(t, 1, run("/usr/share/y"))
}

func TestReadProvided(t *testing.T) {
	l, err := closure.ReadProvided("base.txt", strings.NewReader("# what Debian holds\n\n  bash = 5.2\n/bin/sh\nlibc.so.6()(64bit)\n"))
	require.NoError(t, err)
	tested := list("tested", pkg(t, "app", "1-1", "aarch64", []string{"bash >= 5", "/bin/sh", "libc.so.6()(64bit)", "bash < 5"}))
	report := check(t, closure.Options{Tested: []closure.Repository{tested}, Base: []closure.Repository{l}})
	require.Len(t, report.Missing, 1)
	require.Equal(t, "bash is there in 5.2, not < 5", report.Missing[0].Nearest)

	for in, want := range map[string]string{
		"ok\nname <> 3\n":                 `base.txt:2: "name <> 3" is not a name`,
		"name = \n":                       "base.txt:1:",
		"a b c d":                         "base.txt:1:",
		"ok\n" + strings.Repeat("x", 1e5): "base.txt:2: the line has more than",
	} {
		_, err := closure.ReadProvided("base.txt", strings.NewReader(in))
		require.ErrorContains(t, err, want)
	}
}

func TestFromHeader(t *testing.T) {
	path := rpmtest.Simple("one", "1.0", "2", "aarch64", rpmtest.Int32s(1003, 4),
		rpmtest.Texts(1049, "lib"), rpmtest.Int32s(1048, 12), rpmtest.Texts(1050, "3")).Write(t, "one.rpm")
	p, err := rpm.ReadFile(path)
	require.NoError(t, err)
	c := closure.FromHeader(p, "id")
	require.Equal(t, "one-4:1.0-2.aarch64", c.NEVRA())
	require.Equal(t, []rpm.Dependency{{Name: "lib", Flags: rpm.Greater | rpm.Equal, Version: "3"}}, c.Requires)
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := closure.Check(ctx, closure.Options{Tested: []closure.Repository{list("x", pkg(t, "a", "1-1", "noarch", nil))}})
	require.ErrorIs(t, err, context.Canceled)
}

// TestThousandsOfPackages keeps a large repository a matter of seconds, also
// when much is missing.
func TestThousandsOfPackages(t *testing.T) {
	var all []closure.Package
	for i := range 10_000 {
		name := fmt.Sprintf("package-%d", i)
		p := pkg(t, name, "1-1", "x86_64", nil)
		for j := range 20 {
			p.Provides = append(p.Provides, rpm.Dependency{Name: fmt.Sprintf("lib%d-%d.so()(64bit)", i, j)})
			p.Requires = append(p.Requires, rpm.Dependency{Name: fmt.Sprintf("lib%d-%d.so()(64bit)", (i*7+j)%10_000, j)})
		}
		p.Requires = append(p.Requires, rpm.Dependency{Name: fmt.Sprintf("pakage-%d", i)})
		all = append(all, p)
	}
	begin := time.Now()
	report := check(t, closure.Options{Tested: []closure.Repository{list("large", all...)}})
	require.Len(t, report.Missing, 10_000)
	require.Equal(t, "package-0 is there in 1-1", report.Missing[0].Nearest)
	t.Logf("%v", time.Since(begin))
	require.Less(t, time.Since(begin), 20*time.Second)
}

func TestLoad(t *testing.T) {
	load := func(of ...closure.Package) *closure.Loaded {
		l, err := closure.Load(t.Context(), list("base", of...))
		require.NoError(t, err)
		require.Equal(t, "base", l.String())
		return l
	}
	lib, source := pkg(t, "lib", "1-1", "i686", nil), pkg(t, "lib", "1-1", "src", nil)
	for name, tc := range map[string]struct {
		loaded *closure.Loaded
		want   map[string]bool
	}{
		"of one architecture": {load(lib, source, pkg(t, "data", "1-1", "noarch", nil)), map[string]bool{"x86_64": true, "aarch64": false}},
		"for all":             {load(source, pkg(t, "data", "1-1", "noarch", nil)), map[string]bool{"x86_64": true, "aarch64": true}},
	} {
		for arch, want := range tc.want {
			require.Equal(t, want, tc.loaded.For(arch), "%s: %s", name, arch)
		}
	}
	app := pkg(t, "app", "1-1", "x86_64", []string{"lib"})
	for range 2 {
		require.Empty(t, check(t, closure.Options{Tested: []closure.Repository{list("tested", app)}, Base: []closure.Repository{load(lib)}}).Missing)
	}
	_, err := closure.Load(t.Context(), &broken{})
	require.ErrorContains(t, err, "reading the packages of broken: it broke")
}

// broken is a repository that cannot be read.
type broken struct{ closure.List }

func (*broken) String() string { return "broken" }

func (*broken) Packages(context.Context, func(closure.Package) error) error {
	return errors.New("it broke")
}
