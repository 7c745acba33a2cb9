package closed_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/closed"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// tree is a plan for two targets of two architectures, of whose packages nothing
// but what the tests say is known.
type tree struct {
	jobs     []*plan.Job
	results  map[*plan.Job]*spec.Result
	skips    []plan.Skip
	failures []plan.Failure
	texts    map[string]string
	cells    []closed.Cell
}

func newTree(cells ...string) *tree {
	t := &tree{results: map[*plan.Job]*spec.Result{}, texts: map[string]string{}}
	for _, c := range cells {
		target, arch, _ := strings.Cut(c, "/")
		t.cells = append(t.cells, closed.Cell{Target: target, Arch: arch})
	}
	return t
}

// relation reads "name", "name >= 1" and rich dependencies.
func relation(s string) rpm.Dependency {
	f := strings.Fields(s)
	if len(f) != 3 || strings.HasPrefix(s, "(") {
		return rpm.Dependency{Name: s}
	}
	sense := map[string]rpm.Sense{"=": rpm.Equal, ">=": rpm.Greater | rpm.Equal, "<": rpm.Less}[f[1]]
	return rpm.Dependency{Name: f[0], Flags: sense, Version: f[2]}
}

func relations(s string) (all []rpm.Dependency) {
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, relation(part))
		}
	}
	return all
}

// pkg is a package of version 7-1 with what it requires, and what it provides
// beside itself.
func pkg(name, requires string, provides ...string) headers.Header {
	p := headers.Header{Name: name, Version: "7", Release: "1", Arch: "x86_64", Requires: relations(requires)}
	p.Provides = append(relations(name+" = 7-1"), relations(strings.Join(provides, ","))...)
	return p
}

func noarch(p headers.Header) headers.Header {
	p.Arch = "noarch"
	return p
}

// add makes a job of a recipe, "boost" or "boost@gnu14-mpich", in some cells. An
// entry of unbuilt is declared only.
func (t *tree) add(recipe, cells, buildRequires string, packages ...headers.Header) *spec.Result {
	r := &spec.Result{Source: headers.Header{Name: recipe + "-src", Requires: relations(buildRequires)}, Packages: packages}
	name, variant, _ := strings.Cut(recipe, "@")
	for _, c := range strings.Fields(cells) {
		target, arch, _ := strings.Cut(c, "/")
		arch, shared, _ := strings.Cut(arch, "+")
		j := &plan.Job{
			ID: recipe + "/" + target + "/" + arch, Recipe: name, Variant: variant, Target: target, Arch: arch,
			Spec: name + ".spec", Files: []string{name + ".spec", "OHPC_macros"},
		}
		if shared != "" {
			j.Shared = []string{shared}
		}
		t.jobs = append(t.jobs, j)
		t.results[j] = r
	}
	return r
}

func (t *tree) input() closed.Input {
	return closed.Input{
		Plan:      &plan.Plan{Jobs: t.jobs, Skips: t.skips, Failures: t.failures},
		Cells:     t.cells,
		Evaluated: func(j *plan.Job) *spec.Result { return t.results[j] },
		Own:       func(_, _, name string) bool { return strings.Contains(name, "-ohpc") },
		Defines:   func(*plan.Job) []recipes.Define { return []recipes.Define{{Name: "compiler_family", Value: "gnu14"}} },
		Text: func(path string) ([]byte, error) {
			if text, ok := t.texts[path]; ok {
				return []byte(text), nil
			}
			return nil, errors.New("there is no such file")
		},
	}
}

func (t *tree) check(tb testing.TB) *closed.Report {
	tb.Helper()
	r, err := closed.Check(tb.Context(), t.input())
	require.NoError(tb, err)
	return r
}

// lines are the findings in a form that is read easily.
func lines(r *closed.Report) []string {
	all := []string{}
	for _, m := range r.Missing {
		all = append(all, fmt.Sprintf("%s %s %s | %s | %s", strings.Join(m.Names, " "), m.Kind, m.Requirement, strings.Join(m.Cells, " "), m.Hint))
	}
	return all
}

const (
	x86     = "EL_9/x86_64"
	arm     = "EL_9/aarch64"
	both    = arm + " " + x86
	leapX86 = "Leap_15/x86_64"
)

// TestRequirement has one package that requires one thing, in one cell, beside what
// there is for others.
func TestRequirement(t *testing.T) {
	for _, tc := range []struct{ requirement, hint string }{
		{"scotch-gnu14-ohpc", ""},
		{"scotch-gnu14-ohpc >= 7", ""},
		{"ptscotch-ohpc", ""},
		{"(scotch-gnu14-ohpc and ptscotch-ohpc)", ""},
		{"(hwloc-gnu14-ohpc or ptscotch-ohpc)", ""},
		{"(hwloc-gnu14-ohpc if petsc-gnu14-ohpc)", ""},
		{"resource-manager", ""},
		{"tools-noarch-ohpc", ""},
		{"rpmlib(Anything)", ""},

		{"scotch-gnu14-ohpc >= 8", "scotch-gnu14-ohpc is there in 7, not >= 8"},
		{"scotch-gnu14-ohpc >= 7-2", "scotch-gnu14-ohpc is there in 7-1, not >= 7-2"},
		{"scocth-gnu14-ohpc", "scotch-gnu14-ohpc is there"},
		{"scotch-arm1-ohpc", "scotch-gnu14-ohpc is there"},
		{"completely-different-ohpc", ""},
		{"likwid-ohpc", "likwid would make it, but is not built here: ExcludeArch: aarch64"},
		{"geopm-gnu14-mpich-ohpc", `geopm@gnu14-mpich would make it, but is not built here: "geopm" is left out`},
		{"geopm-gnu14-openmpi5-ohpc", "geopm@gnu14-openmpi5 would make it, but is not built here: no fabric"},
		{"dimemas-ohpc", "dimemas would make it, whose spec cannot be read"},
		{"dead-gnu14-ohpc", "dead would make it, but is not built here: in no group"},
		{"deadly-ohpc", ""},
		{"leaps-ohpc", "leaps makes it for Leap_15/x86_64 only"},
		{"slurmdbd-ohpc", "slurm.spec declares it, but gives it no files: it is never produced"},
		{"(scotch-gnu14-ohpc with missing-ohpc)", "nothing provides missing-ohpc"},
		{"(scocth-gnu14-ohpc and likwid-ohpc)", "scotch-gnu14-ohpc is there; likwid would make it, but is not built here: ExcludeArch: aarch64"},
		{"(scotch-gnu14-ohpc with ptscotch-ohpc)", "each part has a provider, but not one for all of it"},
		{"(scotch-gnu14-ohpc", "it cannot be read: it ends where an operator is expected"},
	} {
		t.Run(tc.requirement, func(t *testing.T) {
			tree := newTree(arm, x86, leapX86)
			tree.add("app", arm, "", pkg("app-ohpc", tc.requirement))
			tree.add("scotch@gnu14", arm, "", pkg("scotch-gnu14-ohpc", ""), pkg("tools-ohpc", ""))
			tree.add("ptscotch", arm, "", pkg("ptscotch-mpich-ohpc", "", "ptscotch-ohpc"))
			tree.add("slurm", arm, "", pkg("slurm-ohpc", "", "resource-manager")).Unbuilt = []string{"slurmdbd-ohpc", "slurm-src"}
			tree.add("tools", x86, "", noarch(pkg("tools-noarch-ohpc", "")))
			tree.add("likwid", x86, "", pkg("likwid-ohpc", ""))
			tree.add("geopm@gnu14-mpich", x86, "", pkg("geopm-gnu14-mpich-ohpc", ""))
			tree.add("leaps", leapX86, "", noarch(pkg("leaps-ohpc", "")))
			skip := func(recipe, variant, reason string) {
				tree.skips = append(tree.skips, plan.Skip{Recipe: recipe, Variant: variant, Target: "EL_9", Arch: "aarch64", Reason: reason})
			}
			skip("likwid", "", "ExcludeArch: aarch64")
			skip("geopm", "gnu14-mpich", `"geopm" is left out`)
			skip("geopm", "gnu14-openmpi5", "no fabric")
			skip("dead", "", "in no group")
			tree.failures = []plan.Failure{{Recipe: "dimemas", Target: "EL_9", Arch: "aarch64", File: "dimemas.spec", Line: 10, Messages: []string{"Unknown tag: Recuires"}}}
			want := []string{"app-ohpc requires " + tc.requirement + " | " + arm + " | " + tc.hint}
			if tc.hint == "" && tc.requirement != "completely-different-ohpc" && tc.requirement != "deadly-ohpc" {
				want = []string{}
			}
			r := tree.check(t)
			require.Equal(t, want, lines(r))
			require.Equal(t, len(want), r.Unmet)
			require.Empty(t, r.Left)
			require.Equal(t, []closed.Unbuilt{{File: "slurm.spec", Packages: []string{"slurmdbd-ohpc"}, Cells: []string{arm}}}, r.Unbuilt)
			require.Equal(t, []closed.Failure{{Recipe: "dimemas", Cells: []string{arm}, File: "dimemas.spec", Line: 10, Messages: []string{"Unknown tag: Recuires"}}}, r.Failures)
		})
	}
}

// TestBase has a package and a job that require what no job makes, for targets that
// are known in different ways.
func TestBase(t *testing.T) {
	list := func(names ...string) *closure.List {
		p := closure.Package{ID: "base", Name: "base", Arch: "noarch"}
		for _, n := range names {
			p.Provides = append(p.Provides, relation(n))
		}
		return &closure.List{Name: "base", Of: []closure.Package{p}}
	}
	missing := func(kinds ...string) []string { return kinds }
	for name, tc := range map[string]struct {
		cell closed.Cell
		want []string // kinds of what is missing
		left int
	}{
		"nothing is known":        {closed.Cell{}, missing(), 2},
		"the image has it":        {closed.Cell{Image: list("zlib")}, missing(), 0},
		"the image lacks it":      {closed.Cell{Image: list("bash")}, missing("build requires"), 1},
		"the image is everything": {closed.Cell{Image: list("bash"), Whole: true}, missing("build requires", "requires"), 0},
		"a repository has it":     {closed.Cell{Image: list("bash"), Repositories: []closure.Repository{list("zlib")}}, missing(), 0},
		"a repository lacks it":   {closed.Cell{Repositories: []closure.Repository{list("bash")}}, missing("build requires", "requires"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			tree := newTree()
			tc.cell.Target, tc.cell.Arch = "EL_9", "x86_64"
			tree.cells = []closed.Cell{tc.cell}
			tree.add("app", x86, "zlib", pkg("app-ohpc", "zlib"))
			r := tree.check(t)
			got := missing()
			for _, m := range r.Missing {
				got = append(got, string(m.Kind))
			}
			require.ElementsMatch(t, tc.want, got)
			if tc.left > 0 {
				require.Equal(t, []closed.Left{{Requirement: "zlib", Needed: tc.left, Cells: []string{x86}}}, r.Left)
			} else {
				require.Empty(t, r.Left)
			}
		})
	}
}

// TestBuilds has jobs that need what is made for another architecture only.
func TestBuilds(t *testing.T) {
	tree := newTree(arm, x86)
	tree.add("data", x86, "", noarch(pkg("data-ohpc", "")))
	tree.add("shared", "EL_9/x86_64+aarch64", "", noarch(pkg("shared-ohpc", "")))
	tree.add("app", both, "data-ohpc, shared-ohpc", pkg("app-ohpc", "data-ohpc, shared-ohpc"))
	r := tree.check(t)
	require.Equal(t, []string{"app build requires data-ohpc | " + arm + " | data makes it for " + x86 + " only"}, lines(r),
		"one repository serves both, but jobs are built from those of their cell")
	require.Equal(t, 4, r.Jobs, "a shared job is built once")
	require.Equal(t, 5, r.Packages)
	require.Equal(t, 8, r.Requirements)
	require.Equal(t, []string{arm, x86}, r.Cells)
}

// TestGathered has one fault in many places.
func TestGathered(t *testing.T) {
	tree := newTree(arm, x86, leapX86)
	for _, variant := range []string{"openmpi5", "mpich"} {
		tree.add("ptscotch@"+variant, both, "", pkg("ptscotch-"+variant+"-ohpc", "scocth-ohpc"))
	}
	tree.add("ptscotch@impi", x86, "", pkg("ptscotch-impi-ohpc", "scocth-ohpc"))
	r := tree.check(t)
	require.Equal(t, []string{
		"ptscotch-impi-ohpc requires scocth-ohpc | " + x86 + " | ",
		"ptscotch-mpich-ohpc ptscotch-openmpi5-ohpc requires scocth-ohpc | " + both + " | ",
	}, lines(r))
	require.Equal(t, 5, r.Unmet)
	for range 10 {
		require.Equal(t, r, tree.check(t), "always in the same order")
	}
}

func TestPlaces(t *testing.T) {
	tree := newTree(x86)
	tree.texts["OHPC_macros"] = `%define PROJ_DELIM -ohpc
%{!?mpi_family: %global mpi_family openmpi5}
%{!?compiler_family: %global compiler_family gnu13}
BuildRequires: lmod%{PROJ_DELIM}
`
	tree.texts["meta.spec"] = `%include %{_sourcedir}/OHPC_macros
Name: meta
Requires: zero%{PROJ_DELIM}

%package -n ohpc-%{compiler_family}-tools
Requires: likwid-%{compiler_family}%{PROJ_DELIM}
%description -n ohpc-%{compiler_family}-tools
Requires: nothing here

%package -n ohpc-%{compiler_family}-%{mpi_family}-tools
Requires: netcdf%{PROJ_DELIM}
Requires: netcdf-%{mpi_family}%{PROJ_DELIM}
Requires: likwid-%{compiler_family}%{PROJ_DELIM}

%package doc
BuildRequires: zero%{PROJ_DELIM}
Requires: zero%{PROJ_DELIM}
`
	tree.add("meta", x86, "lmod-ohpc, zero-ohpc, unwritten-ohpc", pkg("meta", "zero-ohpc"), pkg("meta-doc", "zero-ohpc"),
		pkg("ohpc-gnu14-tools", "likwid-gnu14-ohpc"), pkg("ohpc-gnu14-openmpi5-tools", "netcdf-openmpi5-ohpc, netcdf-ohpc, likwid-gnu14-ohpc"))
	tree.add("lost", x86, "zero-ohpc", pkg("lost", "zero-ohpc"))
	var got []string
	for _, m := range tree.check(t).Missing {
		got = append(got, fmt.Sprintf("%s:%d %s %s %s", m.File, m.Line, m.Names[0], m.Kind, m.Requirement))
	}
	require.Equal(t, []string{
		"OHPC_macros:4 meta build requires lmod-ohpc",
		"lost.spec:0 lost build requires zero-ohpc",
		"lost.spec:0 lost requires zero-ohpc",
		"meta.spec:0 meta build requires unwritten-ohpc",
		"meta.spec:3 meta requires zero-ohpc",
		"meta.spec:6 ohpc-gnu14-tools requires likwid-gnu14-ohpc",
		"meta.spec:11 ohpc-gnu14-openmpi5-tools requires netcdf-ohpc",
		"meta.spec:12 ohpc-gnu14-openmpi5-tools requires netcdf-openmpi5-ohpc",
		"meta.spec:13 ohpc-gnu14-openmpi5-tools requires likwid-gnu14-ohpc",
		"meta.spec:16 meta build requires zero-ohpc",
		"meta.spec:17 meta-doc requires zero-ohpc",
	}, got)
}

// TestLargeTree is several times OpenHPC.
func TestLargeTree(t *testing.T) {
	tree := newTree(arm, x86, leapX86, "Leap_15/aarch64")
	cells := both + " " + leapX86 + " Leap_15/aarch64"
	for i := range 1000 {
		tree.add(fmt.Sprintf("r%d", i), cells, fmt.Sprintf("gcc, zlib-devel, r%d-ohpc, r%d-ohpc", (i+1)%1000, (i+2)%1010),
			pkg(fmt.Sprintf("r%d-ohpc", i), fmt.Sprintf("bash, r%d-ohpc >= 7", (i+3)%1000)), pkg(fmt.Sprintf("r%d-devel-ohpc", i), fmt.Sprintf("r%d-ohpc = 7-1", i)))
	}
	begin := time.Now()
	r := tree.check(t)
	require.Less(t, time.Since(begin), 10*time.Second, "it takes a fraction of a second")
	require.Equal(t, 28000, r.Requirements)
	require.Equal(t, 8, r.Unmet, "r1000 and r1001 of four cells")
}

func TestInterrupted(t *testing.T) {
	tree := newTree(x86)
	tree.add("app", x86, "zlib", pkg("app-ohpc", "zlib"))
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	_, err := closed.Check(ctx, tree.input())
	require.ErrorIs(t, err, enough)
}
