package plan_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// timed is a plan of: filesystem 1 min, compilers 10 min after it, hwloc 2 min
// and scotch 5 min after these, petsc 7 min after scotch, docs 4 min alone.
func timed(t *testing.T) *plan.Plan {
	t.Helper()
	minutes := map[string]int{"filesystem": 1, "compilers": 10, "hwloc": 2, "scotch": 5, "petsc": 7, "docs": 4}
	jobs := []*plan.Job{
		job("filesystem", "", "x86_64", "filesystem", "", ""),
		job("compilers", "", "x86_64", "compilers", "filesystem", ""),
		job("hwloc", "", "x86_64", "hwloc", "compilers", ""),
		job("scotch", "", "x86_64", "scotch", "compilers", ""),
		job("petsc", "", "x86_64", "petsc", "scotch", ""),
		job("docs", "", "aarch64", "docs", "", ""),
	}
	for _, j := range jobs {
		j.Takes, j.Recorded, j.Reason = time.Duration(minutes[j.Recipe])*time.Minute, j.Recipe != "docs", plan.ReasonNew
		j.Files = []string{"components/" + j.Recipe + "/SPECS/" + j.Recipe + ".spec", "components/OHPC_macros"}
	}
	p, err := plan.New(jobs, plan.WithSkips([]plan.Skip{{Recipe: "x", Target: "Debian_12", Arch: "aarch64"}}),
		plan.WithFailures([]plan.Failure{{ID: "y", Target: "EL_9", Arch: "x86_64"}}))
	require.NoError(t, err)
	return p
}

func recipes(jobs []*plan.Job) []string {
	var names []string
	for _, j := range jobs {
		names = append(names, j.Recipe)
	}
	return names
}

func TestTimes(t *testing.T) {
	p := timed(t)
	require.Equal(t, 29*time.Minute, p.Total())
	path, takes := p.CriticalPath()
	require.Equal(t, []string{"filesystem", "compilers", "scotch", "petsc"}, recipes(path))
	require.Equal(t, 23*time.Minute, takes)
	var levels [][]string
	for _, level := range p.Levels() {
		levels = append(levels, recipes(level))
	}
	require.Equal(t, [][]string{{"docs", "filesystem"}, {"compilers"}, {"hwloc", "scotch"}, {"petsc"}}, levels)
	require.Equal(t, 29*time.Minute, p.Estimate(1))
	require.Equal(t, 23*time.Minute, p.Estimate(2))

	for _, done := range []string{"filesystem", "compilers"} {
		p.Job(done + "/Debian_12/x86_64").Reason = plan.ReasonReused
	}
	run := p.ToRun()
	path, takes = run.CriticalPath()
	require.Equal(t, []string{"scotch", "petsc"}, recipes(path))
	require.Equal(t, 12*time.Minute, takes)
	require.Len(t, run.Levels(), 2)
	require.Equal(t, 18*time.Minute, run.Total())

	path, takes = (&plan.Plan{}).CriticalPath()
	require.Empty(t, path)
	require.Zero(t, takes)
	require.Empty(t, (&plan.Plan{}).Levels())
	require.Zero(t, (&plan.Plan{}).Estimate(2))
}

func TestTotals(t *testing.T) {
	p := timed(t)
	p.Job("filesystem/Debian_12/x86_64").Reason = plan.ReasonReused
	totals := p.Totals()
	require.Equal(t, plan.Count{Jobs: 6, ToRun: 5, Reused: 1, Skipped: 1, Failed: 1, Recorded: 5}, totals.Count)
	require.Equal(t, []plan.CellTotals{
		{Target: "Debian_12", Arch: "aarch64", Count: plan.Count{Jobs: 1, ToRun: 1, Skipped: 1}, Seconds: 240},
		{Target: "Debian_12", Arch: "x86_64", Count: plan.Count{Jobs: 5, ToRun: 4, Reused: 1, Recorded: 5}, Seconds: 24 * 60},
		{Target: "EL_9", Arch: "x86_64", Count: plan.Count{Failed: 1}},
	}, totals.Cells)
	require.Equal(t, plan.Course{
		Seconds: 28 * 60, CriticalSeconds: 22 * 60,
		CriticalPath: []string{"compilers/Debian_12/x86_64", "scotch/Debian_12/x86_64", "petsc/Debian_12/x86_64"},
		Levels:       []int{2, 2, 1},
		Parallel:     []plan.Parallel{{1, 28 * 60}, {2, 22 * 60}},
	}, totals.Run)
	require.Equal(t, []int{2, 1, 2, 1}, totals.All.Levels)
}

func TestTouch(t *testing.T) {
	p := timed(t)
	compilers := "components/compilers/SPECS/compilers.spec"
	for name, tc := range map[string]struct {
		paths     []string
		want      map[string]string
		unmatched []string
	}{
		"a spec": {paths: []string{compilers}, want: map[string]string{
			"compilers": "touched: " + compilers, "hwloc": "needs compilers/Debian_12/x86_64",
			"scotch": "needs compilers/Debian_12/x86_64", "petsc": "needs scotch/Debian_12/x86_64",
		}},
		"a folder":                {paths: []string{"components/petsc/"}, want: map[string]string{"petsc": "touched: components/petsc/SPECS/petsc.spec"}},
		"a part of a name":        {paths: []string{"components/pet", "components/docs"}, want: map[string]string{"docs": "touched: components/docs/SPECS/docs.spec"}, unmatched: []string{"components/pet"}},
		"written in another way":  {paths: []string{"./components/x/../docs//SPECS"}, want: map[string]string{"docs": "touched: components/docs/SPECS/docs.spec"}},
		"a mistake beside others": {paths: []string{"components/docs", "OHPC_macros"}, want: map[string]string{"docs": "touched: components/docs/SPECS/docs.spec"}, unmatched: []string{"OHPC_macros"}},
	} {
		t.Run(name, func(t *testing.T) {
			touched, err := p.Touch(tc.paths)
			require.NoError(t, err)
			got := map[string]string{}
			for _, j := range touched.Jobs {
				got[j.Recipe] = j.Because
			}
			require.Equal(t, tc.want, got)
			var unmatched []string
			for _, u := range touched.Unmatched {
				unmatched = append(unmatched, u.Path)
			}
			require.Equal(t, tc.unmatched, unmatched)
		})
	}
	for _, all := range []string{"components/OHPC_macros", ".", "components"} {
		touched, err := p.Touch([]string{all})
		require.NoError(t, err)
		require.Len(t, touched.Jobs, 6, all)
	}
	for path, want := range map[string]string{
		"OHPC_macros":            "no job is made of OHPC_macros (did you mean components/OHPC_macros?)",
		"components/OHPC_macro":  "no job is made of components/OHPC_macro (did you mean components/OHPC_macros?)",
		"components/scoth":       "no job is made of components/scoth (did you mean components/scotch?)",
		"/etc/passwd":            "no job is made of /etc/passwd",
		"../components/elsewise": "no job is made of ../components/elsewise",
	} {
		_, err := p.Touch([]string{path})
		var none *plan.NoMatchError
		require.ErrorAs(t, err, &none)
		require.EqualError(t, err, want)
	}
}
