package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/closed"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

func TestRecipesReport(t *testing.T) {
	const arm, x86 = "EL_9/aarch64", "EL_9/x86_64"
	r := &closed.Report{
		Cells: []string{arm, x86}, Packages: 12, Jobs: 8, Requirements: 40, Unmet: 11,
		Missing: []closed.Finding{
			{
				Kind: closed.Requires, Names: []string{"ohpc-tools"}, Requirement: "likwid-ohpc", Cells: []string{arm},
				File: "meta.spec", Line: 12, Hint: "likwid would make it, but is not built here: ExcludeArch: aarch64",
			},
			{
				Kind: closed.BuildRequires, Names: []string{"a", "b", "c", "d", "e", "f", "g"}, Requirement: "scocth-ohpc >= 7", Cells: []string{arm, x86},
				File: "p.spec", Hint: "scotch-ohpc is there",
			},
			{Kind: closed.BuildRequires, Names: []string{"h"}, Requirement: "no\u009bthing-ohpc", Cells: []string{x86}, File: "h.spec", Line: 1},
		},
		Left:     []closed.Left{{Requirement: "zlib-devel", Needed: 6, Cells: []string{arm, x86}}, {Requirement: "/bin/sh", Needed: 1, Cells: []string{x86}}},
		Unbuilt:  []closed.Unbuilt{{File: "slurm.spec", Packages: []string{"slurmdbd-ohpc"}, Cells: []string{x86}}},
		Failures: []closed.Failure{{Recipe: "dimemas", Cells: []string{x86}, File: "dimemas.spec", Line: 10, Messages: []string{"Unknown tag: Recuires", "and more"}}},
	}
	show := func(explain bool) string {
		var out bytes.Buffer
		require.NoError(t, recipesText(r, &out, explain))
		return out.String()
	}
	findings := `meta.spec:12: ohpc-tools requires likwid-ohpc
    in EL_9/aarch64: likwid would make it, but is not built here: ExcludeArch: aarch64
p.spec: a, b, c, d, e, f and 1 more require scocth-ohpc >= 7 to be built
    in all 2 cells: scotch-ohpc is there
h.spec:1: h requires no�thing-ohpc to be built
    in EL_9/x86_64
declared, but never produced, because there are no files:
    slurm.spec: slurmdbd-ohpc (EL_9/x86_64)
cannot be read:
    dimemas.spec:10: Unknown tag: Recuires; and more (EL_9/x86_64)
`
	require.Equal(t, findings+`11 not met, of 40 requirements of 12 packages and 8 jobs in 2 cells
7 requirements, 2 names, left to the targets: --explain lists them, --base names their repositories
`, show(false))
	require.Equal(t, findings+`left to the targets, of which not everything is known:
    zlib-devel, 6 × (all 2 cells)
    /bin/sh, 1 × (EL_9/x86_64)
11 not met, of 40 requirements of 12 packages and 8 jobs in 2 cells
7 requirements, 2 names, left to the targets: --base names their repositories
`, show(true))

	r.Missing, r.Unmet, r.Unbuilt, r.Failures, r.Cells = nil, 0, nil, nil, []string{x86}
	require.Equal(t, `closed but for what is left to the targets: 40 requirements of 12 packages and 8 jobs in EL_9/x86_64
7 requirements, 2 names, left to the targets: --explain lists them, --base names their repositories
`, show(false))
	r.Left = nil
	require.Equal(t, "closed: 40 requirements of 12 packages and 8 jobs in EL_9/x86_64\n", show(true))
}

func TestBasesOfTargets(t *testing.T) {
	targets := []*recipes.Target{{Name: "EL_9"}, {Name: "Leap_15"}}
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("a=b", 0o755))
	for text, want := range map[string]struct {
		cell  matrix.Distribution
		place string
	}{
		"https://example.org/9":                    {matrix.Distribution{}, "https://example.org/9"},
		"https://example.org/9?a=b":                {matrix.Distribution{}, "https://example.org/9?a=b"},
		"EL_9=https://example.org/9?a=b":           {matrix.Distribution{Target: "EL_9"}, "https://example.org/9?a=b"},
		"EL_9/aarch64=../a folder":                 {matrix.Distribution{Target: "EL_9", Arch: "aarch64"}, "../a folder"},
		"a=b":                                      {matrix.Distribution{}, "a=b"},
		"Leap_15/x86_64=EL_9=https://example.org/": {matrix.Distribution{Target: "Leap_15", Arch: "x86_64"}, "EL_9=https://example.org/"},
	} {
		cell, place, err := forCell(text, targets)
		require.NoError(t, err)
		require.Equal(t, want.cell, cell, text)
		require.Equal(t, want.place, place, text)
	}
	_, _, err := forCell("EL9=https://example.org", targets)
	require.EqualError(t, err, `there is no target "EL9" (did you mean "EL_9"?), and no such file`)

	for _, flag := range []string{"--base", "--provided"} {
		status, _, message := run(t, "validate", "closure", flag, "Debian_21=here")
		require.Equal(t, exitUsage, status)
		require.Contains(t, message, flag+` Debian_21=here: there is no target "Debian_21" (did you mean "Debian_12"?)`)
		status, _, message = run(t, "validate", "closure", flag, "Debian_12=absent")
		require.Equal(t, exitUsage, status)
		require.Contains(t, message, "absent")
	}
}

// TestClosureOfRecipes checks the small tree, whose README tells what must be found.
func TestClosureOfRecipes(t *testing.T) {
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "mmdebstrap")
	tree, err := filepath.Abs("../../recipes/tree/testdata/openhpc")
	require.NoError(t, err)
	golden, err := filepath.Abs("testdata/closure.txt")
	require.NoError(t, err)
	closure := func(args ...string) (int, string, string) {
		return run(t, append([]string{"validate", "closure", "--state", testenv.State(t), "--tree", tree}, args...)...)
	}

	status, out, message := closure()
	require.Equal(t, exitFailed, status, message)
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(out), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err, "go test -update writes it")
	require.Equal(t, string(want), out)

	status, out, _ = closure("--format", "json")
	require.Equal(t, exitFailed, status)
	var report struct {
		Version int
		closed.Report
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, 1, report.Version)
	require.Len(t, report.Cells, 6)
	require.NotEmpty(t, report.Left)
	left := func(r closed.Report, name string) bool {
		return slices.ContainsFunc(r.Left, func(l closed.Left) bool { return l.Requirement == name })
	}
	require.True(t, left(report.Report, "pkgconfig(zlib)"))

	// A repository of EL 9, for one architecture, that has no zlib.
	status, out, _ = closure("--target", "EL_9", "--base", "EL_9="+published(t, rpmtest.Simple("python3-devel", "3.9", "1", "x86_64")), "--format", "json")
	require.Equal(t, exitFailed, status)
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	i := slices.IndexFunc(report.Missing, func(f closed.Finding) bool { return f.Requirement == "pkgconfig(zlib)" })
	require.GreaterOrEqual(t, i, 0)
	require.Equal(t, []string{"EL_9/x86_64"}, report.Missing[i].Cells, "nothing was said of aarch64")
	require.False(t, slices.ContainsFunc(report.Missing, func(f closed.Finding) bool { return f.Requirement == "(python3-devel or python311-devel)" }))
	require.True(t, slices.ContainsFunc(report.Left, func(l closed.Left) bool {
		return l.Requirement == "pkgconfig(zlib)" && slices.Equal(l.Cells, []string{"EL_9/aarch64"})
	}))
}
