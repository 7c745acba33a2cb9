package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// targetHolds is the base of the plan that is shown.
type targetHolds struct{}

func (targetHolds) Provides(_, _ string, req rpm.Dependency) (met, known bool) {
	return req.Name == "bison", req.Name != "zlib-devel"
}

// shown is a plan with something of everything.
func shown(t *testing.T) *plan.Plan {
	t.Helper()
	var jobs []*plan.Job
	add := func(recipe, variant, arch, name, buildRequires, requires string, takes time.Duration) {
		names := func(s string) (all []rpm.Dependency) {
			for _, n := range strings.Fields(s) {
				all = append(all, rpm.Dependency{Name: n})
			}
			return all
		}
		jobs = append(jobs, &plan.Job{
			ID: plan.ID(recipe, variant, "EL_9", arch), Recipe: recipe, Variant: variant, Target: "EL_9", Arch: arch,
			Spec: "components/" + recipe + ".spec", Files: []string{"components/" + recipe + ".spec", "components/OHPC_macros"},
			BuildRequires: names(buildRequires), Takes: takes, Recorded: arch == "x86_64", Reason: plan.ReasonNew,
			Produces: []plan.Produced{{Name: name, Provides: names(name), Requires: names(requires)}},
		})
	}
	for _, arch := range []string{"aarch64", "x86_64"} {
		add("gnu14-compilers", "", arch, "gnu14-compilers-ohpc", "bison zlib-devel", "lmod-ohpc", 2*time.Hour+5*time.Minute)
		add("lmod", "", arch, "lmod-ohpc", "bison", "", 30*time.Second)
		add("scotch", "gnu14", arch, "scotch-gnu14-ohpc", "gnu14-compilers-ohpc", "lmood-ohpc", 4*time.Minute)
		add("petsc", "gnu14", arch, "petsc-gnu14-ohpc", "scotch-gnu14-ohpc gnu14-compilers-ohpc hypre-gnu14-ohpc", "", 20*time.Minute)
	}
	p, err := plan.New(jobs, plan.WithBase(targetHolds{}),
		plan.WithSkips([]plan.Skip{{Recipe: "impi", Variant: "intel", Target: "EL_9", Arch: "aarch64", Reason: "the compiler is for x86_64 only"}}),
		plan.WithFailures([]plan.Failure{
			{ID: "hypre@gnu14/EL_9/aarch64", Recipe: "hypre", Variant: "gnu14", Target: "EL_9", Arch: "aarch64", File: "components/hypre.spec", Line: 12, Messages: []string{"Unknown tag: Foo"}},
			{ID: "hypre@gnu14/EL_9/x86_64", Recipe: "hypre", Variant: "gnu14", Target: "EL_9", Arch: "x86_64", File: "components/hypre.spec", Line: 12, Messages: []string{"Unknown tag: Foo"}},
		}))
	require.NoError(t, err)
	lmod := p.Job("lmod/EL_9/x86_64")
	lmod.Reason, lmod.Key = plan.ReasonReused, "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	return p
}

func TestPlanIsShown(t *testing.T) {
	for name, v := range map[string]planView{
		"plan.txt":          {format: "text"},
		"explain.txt":       {format: "text", explain: true},
		"plan.json":         {format: "json"},
		"plan.dot":          {format: "dot"},
		"touch.txt":         {format: "text", touch: []string{"components/scotch.spec"}},
		"touch-explain.txt": {format: "text", touch: []string{"components/scotch.spec"}, explain: true},
		"touch.json":        {format: "json", touch: []string{"components/scotch.spec", "components/scoth.spec"}},
		"touch.dot":         {format: "dot", touch: []string{"components/petsc.spec"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out, warnings bytes.Buffer
			require.NoError(t, v.show(shown(t), nil, &out, &warnings))
			golden := filepath.Join("testdata", "plan", name)
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
				require.NoError(t, os.WriteFile(golden, out.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err, "go test -update writes it")
			require.Equal(t, string(want), out.String())
			if name == "touch.json" {
				require.Equal(t, "warning: no job is made of components/scoth.spec (did you mean components/scotch.spec?)\n", warnings.String())
			} else {
				require.Empty(t, warnings.String())
			}
		})
	}
}

func TestPlanOfNothingTouched(t *testing.T) {
	v := planView{format: "text", touch: []string{"OHPC_macro"}}
	err := v.show(shown(t), nil, &bytes.Buffer{}, &bytes.Buffer{})
	require.EqualError(t, err, "no job is made of OHPC_macro")
	require.Equal(t, exitUsage, exitStatus(t.Context(), err))
}

func TestPlanWithEverythingReused(t *testing.T) {
	p := shown(t)
	for _, j := range p.Jobs {
		j.Reason = plan.ReasonReused
	}
	var out bytes.Buffer
	require.NoError(t, planText(p, &out, false))
	require.Contains(t, out.String(), "nothing is to run; if everything were:\n3 levels of jobs that can run side by side: 4, 2, 2\n")
	require.Contains(t, out.String(), "8 jobs: 0 to run, 8 reused, 1 skipped, 2 failed")
	out.Reset()
	require.NoError(t, planText(&plan.Plan{}, &out, false))
	require.Equal(t, "\n0 jobs: 0 to run, 0 reused\n", out.String())
}

func TestPathsWithinFolders(t *testing.T) {
	tree := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(tree, "components", "a"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(tree, "components", "a", "x"), nil, 0o644))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(tree, link))
	t.Chdir(filepath.Join(tree, "components"))
	require.Equal(t, []string{
		"components/a/x", "components/a", "components/a/x", "components/gone", "a/gone", "components/a/x", "/etc/hostname", ".",
	}, withinFolders([]string{
		"a/x", "a", filepath.Join(tree, "components/a/x"), filepath.Join(tree, "components/gone"), "a/gone", "components/a/x", "/etc/hostname", tree,
	}, []string{"", link}))
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 400 * time.Millisecond: "0 s", 59500 * time.Millisecond: "1 min", 90 * time.Second: "1 min 30 s", 2 * time.Hour: "2 h",
		200*time.Minute + 10*time.Second: "3 h 20 min", 47*time.Hour + 59*time.Minute: "47 h 59 min", 50 * time.Hour: "2 d 2 h",
	} {
		require.Equal(t, want, span(d))
	}
}
