package plan_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// cyclesOf are the cycles that New reports.
func cyclesOf(t *testing.T, jobs []*plan.Job, opts ...plan.Option) []*plan.CycleError {
	t.Helper()
	_, err := plan.New(jobs, opts...)
	require.Error(t, err)
	var one *plan.CycleError
	require.ErrorAs(t, err, &one)
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return []*plan.CycleError{one}
	}
	var all []*plan.CycleError
	for _, e := range several.Unwrap() {
		var c *plan.CycleError
		require.ErrorAs(t, e, &c)
		all = append(all, c)
	}
	return all
}

func TestCycleIsToldByItsRequirements(t *testing.T) {
	petsc := job("petsc", "gnu14", "x86_64", "petsc-gnu14-ohpc", "bison, hypre-gnu14-ohpc", "")
	petsc.Spec, petsc.Files = "components/petsc/SPECS/petsc.spec", []string{"components/OHPC_macros"}
	hypre := job("hypre", "gnu14", "x86_64", "hypre-gnu14-ohpc", "", "metis-gnu14-ohpc")
	hypre.Spec = "components/hypre/SPECS/hypre.spec"
	metis := job("metis", "gnu14", "x86_64", "metis-gnu14-ohpc", "petsc-gnu14-ohpc", "")
	metis.Spec = "components/metis/SPECS/metis.spec"
	texts := map[string]string{
		petsc.Spec:               "Name: petsc\n%include %{_sourcedir}/OHPC_macros\n",
		"components/OHPC_macros": "\nBuildRequires: hypre-%{compiler_family}%{PROJ_DELIM}\n",
		hypre.Spec:               "BuildRequires: metis-gnu14-ohpc\nRequires: metis-gnu14-ohpc\n",
	}
	cycles := cyclesOf(t, []*plan.Job{petsc, hypre, metis}, plan.WithText(func(path string) ([]byte, error) {
		if text, ok := texts[path]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}))
	require.Len(t, cycles, 1)
	require.Equal(t, []string{
		"hypre@gnu14/Debian_12/x86_64", "metis@gnu14/Debian_12/x86_64", "petsc@gnu14/Debian_12/x86_64", "hypre@gnu14/Debian_12/x86_64",
	}, rotate(cycles[0].Path, "hypre@gnu14/Debian_12/x86_64"))
	require.EqualError(t, cycles[0], `these jobs need each other to be built: metis@gnu14/Debian_12/x86_64 → petsc@gnu14/Debian_12/x86_64 → hypre@gnu14/Debian_12/x86_64 → metis@gnu14/Debian_12/x86_64
  metis@gnu14 → petsc@gnu14: BuildRequires: petsc-gnu14-ohpc (components/metis/SPECS/metis.spec)
  petsc@gnu14 → hypre@gnu14: BuildRequires: hypre-gnu14-ohpc (components/OHPC_macros:2)
  hypre@gnu14 → metis@gnu14: needs at run time: metis-gnu14-ohpc (components/hypre/SPECS/hypre.spec:2)
  take one of these requirements out`)
}

// rotate makes a circle begin elsewhere.
func rotate(path []string, first string) []string {
	for i, id := range path {
		if id == first {
			return append(append(append([]string{}, path[i:]...), path[1:i]...), first)
		}
	}
	return path
}

func TestTheShortestCycleOfEachComponent(t *testing.T) {
	cycles := cyclesOf(t, []*plan.Job{
		// a → b → c → a, but b and c need each other directly
		job("a", "", "x86_64", "a", "b", ""), job("b", "", "x86_64", "b", "c", ""), job("c", "", "x86_64", "c", "a, b", ""),
		// behind it, and not part of it
		job("d", "", "x86_64", "d", "a", ""),
		job("x", "", "x86_64", "x", "y", ""), job("y", "", "x86_64", "y", "z", ""), job("z", "", "x86_64", "z", "x", ""),
		// two that need each other only to be installed are none
		job("p", "", "x86_64", "p", "", "q"), job("q", "", "x86_64", "q", "", "p"), job("r", "", "x86_64", "r", "p", ""),
	})
	var paths [][]string
	for _, c := range cycles {
		paths = append(paths, c.Path)
	}
	cell := "/Debian_12/x86_64"
	require.Equal(t, [][]string{{"b" + cell, "c" + cell, "b" + cell}, {"x" + cell, "y" + cell, "z" + cell, "x" + cell}}, paths)
}

func TestAJobIsInACycleByWhatItsOwnPackagesAreNeededFor(t *testing.T) {
	p, err := plan.New([]*plan.Job{job("gcc", "", "x86_64", "gcc", "gcc", "")})
	require.NoError(t, err, "the first gcc is built with the target's")
	require.Empty(t, p.Jobs[0].Needs)
	require.Equal(t, []string{"gcc"}, p.Jobs[0].Assumed)

	cycles := cyclesOf(t, []*plan.Job{job("a", "", "x86_64", "a", "b", ""), job("b", "", "x86_64", "b", "", "a")})
	require.Equal(t, []string{"a/Debian_12/x86_64", "b/Debian_12/x86_64", "a/Debian_12/x86_64"}, cycles[0].Path)
	require.False(t, cycles[0].Steps[0].AtRunTime)
	require.True(t, cycles[0].Steps[1].AtRunTime)
}

func TestTheSameCycleInEachCellIsToldOnce(t *testing.T) {
	var jobs []*plan.Job
	for _, arch := range []string{"x86_64", "aarch64"} {
		for _, family := range []string{"gnu12", "gnu14"} {
			jobs = append(jobs, job("a", family, arch, "a-"+family, "b-"+family, ""), job("b", family, arch, "b-"+family, "a-"+family, ""))
		}
	}
	for _, j := range jobs {
		j.Spec = j.Recipe + ".spec"
	}
	text := func(path string) ([]byte, error) {
		return []byte("BuildRequires: " + map[string]string{"a.spec": "b", "b.spec": "a"}[path] + "-gnu%{version}\n"), nil
	}
	cycles := cyclesOf(t, jobs, plan.WithText(text))
	require.Len(t, cycles, 1)
	require.Equal(t, []string{"a@gnu12/Debian_12/x86_64", "a@gnu14/Debian_12/aarch64", "a@gnu14/Debian_12/x86_64"}, cycles[0].Also)
	require.ErrorContains(t, cycles[0], "(a.spec:1)")
}

// TestCyclesOfManyJobs is about time: everything needs everything.
func TestCyclesOfManyJobs(t *testing.T) {
	all := ""
	for i := range 300 {
		all += fmt.Sprintf("p%d,", i)
	}
	var jobs []*plan.Job
	for i := range 300 {
		jobs = append(jobs, job(fmt.Sprintf("j%03d", i), "", "x86_64", fmt.Sprintf("p%d", i), all, all))
	}
	cycles := cyclesOf(t, jobs)
	require.Len(t, cycles, 1)
	require.Len(t, cycles[0].Path, 3)
}

func TestConflicts(t *testing.T) {
	a, b, c := job("a", "", "x86_64", "same = 1", "", ""), job("b", "", "x86_64", "same = 1", "", ""), job("c", "", "x86_64", "c", "", "")
	_, err := plan.New([]*plan.Job{a, b, c})
	require.EqualError(t, err, "a/Debian_12/x86_64 and b/Debian_12/x86_64 both make the package same: rename one, or exclude one of them from the target")

	a.Spec, b.Spec = "components/a/SPECS/a.spec", "components/b/SPECS/a.spec"
	other, another := job("a", "", "aarch64", "same = 1", "", ""), job("b", "", "aarch64", "same = 1", "", "")
	for _, j := range []*plan.Job{a, b, other, another} {
		j.Produces = append(j.Produces, plan.Produced{Name: "same-devel"})
		j.Spec = "components/" + j.Recipe + "/SPECS/a.spec"
	}
	_, err = plan.New([]*plan.Job{a, b, c, other, another})
	var conflict *plan.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.EqualError(t, err, "components/a/SPECS/a.spec and components/b/SPECS/a.spec both make the packages same, same-devel "+
		"(a/Debian_12/aarch64, b/Debian_12/aarch64), and so do 1 other pairs of their jobs: rename one, or exclude one of them from the target")

	twice := job("v", "one", "x86_64", "v", "", "")
	again := job("v", "two", "x86_64", "v", "", "")
	twice.Spec, again.Spec = "v.spec", "v.spec"
	_, err = plan.New([]*plan.Job{twice, again})
	require.ErrorContains(t, err, "v.spec: v@one/Debian_12/x86_64 and v@two/Debian_12/x86_64 both make the package v:")
}
