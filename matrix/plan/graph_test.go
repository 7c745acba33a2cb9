package plan_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// image is a base that holds what begins with "sys", on x86_64; nothing is known
// of aarch64.
type image struct{}

func (image) Provides(target, arch string, req rpm.Dependency) (met, known bool) {
	return target == "Debian_12" && strings.HasPrefix(req.Name, "sys"), arch == "x86_64"
}

func TestRequirementsAreSortedByWhoMeetsThem(t *testing.T) {
	scotch := job("scotch", "gnu14", "x86_64", "scotch-gnu14-ohpc = 7.0", "", "")
	scotch.Defines = map[string]string{"compiler_family": "gnu14"}
	requires := "scotch-gnu14-ohpc >= 7, sys-devel, scotch-gnu14-ohpc >= 7, scoth-gnu14-ohpc, hypre-gnu14-ohpc, phdf5-gnu14-ohpc, only-there, nothing-at-all, scotch-gnu14-ohpc > 8"
	app := job("app", "gnu14", "x86_64", "app = 1", requires, "scotch-gnu14-ohpc, missing-at-run-time")
	app.BuildRequires = append(app.BuildRequires,
		rpm.Dependency{Name: "(none or neither)"}, rpm.Dependency{Name: "(scotch-gnu14-ohpc or none)"}, rpm.Dependency{Name: "(broken"})
	app.Spec, app.Files = "components/app/SPECS/app.spec", []string{"components/OHPC_macros"}
	p, err := plan.New([]*plan.Job{app, scotch, job("there", "", "aarch64", "only-there", "scotch-gnu14-ohpc", "")},
		plan.WithBase(image{}),
		plan.WithFailures([]plan.Failure{{
			ID: "x", Recipe: "components/parallel-libs/hypre", Variant: "gnu14", Target: "Debian_12", Arch: "x86_64", Messages: []string{"no"},
		}}),
		plan.WithSkips([]plan.Skip{{Recipe: "phdf5", Target: "Debian_12", Arch: "x86_64", Reason: "it is Tuesday"}}),
		plan.WithText(func(path string) ([]byte, error) {
			if path == app.Spec {
				return []byte("BuildRequires: scoth-%{compiler_family}%{PROJ_DELIM}\nRequires: nothing-at-all\n\nRequires: missing-at-run-time\n"), nil
			}
			return nil, fs.ErrNotExist
		}))
	require.NoError(t, err)
	require.Equal(t, []string{scotch.ID}, app.Needs)
	require.Equal(t, []string{scotch.ID}, app.RunNeeds)
	require.Equal(t, []plan.Met{{"(scotch-gnu14-ohpc or none)", scotch.ID}, {"scotch-gnu14-ohpc >= 7", scotch.ID}}, app.Met)
	require.Equal(t, []string{"sys-devel"}, app.External)
	require.Empty(t, app.Assumed)

	at := func(requirement, hint string, line int) plan.Unknown {
		return plan.Unknown{Requirement: requirement, Arch: "x86_64", Hint: hint, File: app.Spec, Line: line}
	}
	atRunTime := at("missing-at-run-time", "", 4)
	atRunTime.Package = "app"
	require.Equal(t, []plan.Unknown{
		at("(broken", "it cannot be read: it ends where an operator is expected", 0),
		at("(none or neither)", "nothing provides none; nothing provides neither", 0),
		at("hypre-gnu14-ohpc", "components/parallel-libs/hypre@gnu14 could not be read", 0),
		at("nothing-at-all", "", 0),
		at("only-there", "only-there is there for Debian_12/aarch64 only", 0),
		at("phdf5-gnu14-ohpc", "phdf5 is skipped: it is Tuesday", 0),
		at("scotch-gnu14-ohpc > 8", "scotch-gnu14-ohpc is there in 7.0, not > 8", 0),
		at("scoth-gnu14-ohpc", "scotch-gnu14-ohpc is there", 1),
		atRunTime,
	}, app.Unknown)
	require.Equal(t, []string{"scotch-gnu14-ohpc"}, p.Job("there/Debian_12/aarch64").Assumed)
	require.Len(t, p.Failures, 1)
	require.Len(t, p.Skips, 1)
}

func TestAPackageOfTheSameFamilyIsTaken(t *testing.T) {
	var jobs []*plan.Job
	for _, family := range []string{"gnu14", "intel"} {
		mpi := job("openmpi", family, "x86_64", "openmpi-"+family+", mpi-devel", "", "")
		petsc := job("petsc", family, "x86_64", "petsc-"+family, "mpi-devel", "")
		for _, j := range []*plan.Job{mpi, petsc} {
			j.Defines = map[string]string{"compiler_family": family}
			jobs = append(jobs, j)
		}
	}
	p, err := plan.New(jobs)
	require.NoError(t, err)
	require.Equal(t, []string{"openmpi@gnu14/Debian_12/x86_64"}, p.Job("petsc@gnu14/Debian_12/x86_64").Needs)
	require.Equal(t, []string{"openmpi@intel/Debian_12/x86_64"}, p.Job("petsc@intel/Debian_12/x86_64").Needs)
}

func TestWhatIsMadeOnceIsSortedOutForEachArchitecture(t *testing.T) {
	meta := job("meta", "", "x86_64", "meta", "", "tool")
	meta.Shared = []string{"aarch64"}
	p, err := plan.New([]*plan.Job{meta, job("tool", "", "x86_64", "tool", "", "")}, plan.WithBase(everywhere{}))
	require.NoError(t, err)
	require.Equal(t, []string{"tool/Debian_12/x86_64"}, p.Job(meta.ID).RunNeeds)
	require.Equal(t, []plan.Unknown{{Requirement: "tool", Package: "meta", Arch: "aarch64", Hint: "tool is there for Debian_12/x86_64 only"}}, meta.Unknown)
}

// everywhere is a base that holds nothing.
type everywhere struct{}

func (everywhere) Provides(string, string, rpm.Dependency) (met, known bool) { return false, true }

func TestFilterKeepsOrderAndRemarks(t *testing.T) {
	p, err := plan.New(catalogue(), plan.WithSkips([]plan.Skip{{Recipe: "lmod", Reason: "b"}, {Recipe: "lmod", Reason: "a"}, {Recipe: "bison"}}))
	require.NoError(t, err)
	q := p.Filter(func(j *plan.Job) bool { return j.Recipe == "lmod" || j.Recipe == "scotch" })
	require.Equal(t, []string{
		"lmod/Debian_12/aarch64", "lmod/Debian_12/x86_64", "scotch@gnu12/Debian_12/aarch64", "scotch@gnu12/Debian_12/x86_64",
	}, ids(q))
	require.Equal(t, []plan.Skip{{Recipe: "bison"}, {Recipe: "lmod", Reason: "a"}, {Recipe: "lmod", Reason: "b"}}, q.Skips)
	require.Len(t, p.Select([]string{"lmod"}).Skips, 2)
	require.Nil(t, q.Job("gnu12-compilers/Debian_12/x86_64"))
	require.NotNil(t, (&plan.Plan{Jobs: q.Jobs}).Job("lmod/Debian_12/x86_64"), "a plan that was put together otherwise")
}
