package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// synthetic is a release of many jobs: each makes three packages, requires 30
// things to be built, ten of which other jobs make, and its packages require some
// of those.
func synthetic(n int) []*plan.Job {
	const perCell = 250
	var jobs []*plan.Job
	for i := range n {
		family := []string{"gnu14", "intel"}[i%2]
		arch := fmt.Sprintf("arch%d", i/perCell)
		name := fmt.Sprintf("p%03d-%s-ohpc", i%perCell, family)
		j := &plan.Job{
			ID: plan.ID(name, family, "EL_9", arch), Recipe: name, Variant: family, Target: "EL_9", Arch: arch,
			Spec: "components/" + name + ".spec", Files: []string{"components/" + name + ".spec", "components/OHPC_macros"},
			Defines: map[string]string{"compiler_family": family}, Takes: time.Duration(1+i%17) * time.Minute,
		}
		var requires []rpm.Dependency
		for k := 1; k <= 10; k++ {
			// Even positions are of one family, odd ones of the other.
			if other := i%perCell - 2*k*k; other >= 0 {
				requires = append(requires, rpm.Dependency{Name: fmt.Sprintf("p%03d-%s-ohpc", other, family), Flags: rpm.Greater | rpm.Equal, Version: "1"})
			}
		}
		j.BuildRequires = append(j.BuildRequires, requires...)
		for k := len(j.BuildRequires); k < 29; k++ {
			j.BuildRequires = append(j.BuildRequires, rpm.Dependency{Name: fmt.Sprintf("lib%d-devel", (i+k)%400)})
		}
		if i%perCell > 20 {
			j.BuildRequires = append(j.BuildRequires, rpm.Dependency{Name: "mpi-devel"})
		}
		for _, sub := range []string{"", "-devel", "-doc"} {
			p := plan.Produced{Name: name + sub, Requires: requires}
			p.Provides = []rpm.Dependency{{Name: p.Name, Flags: rpm.Equal, Version: "1-1"}, {Name: p.Name + "(x86-64)", Flags: rpm.Equal, Version: "1-1"}}
			if i%perCell < 20 && sub == "-devel" {
				p.Provides = append(p.Provides, rpm.Dependency{Name: "mpi-devel"})
			}
			j.Produces = append(j.Produces, p)
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		jobs := synthetic(1500)
		b.StartTimer()
		p, err := plan.New(jobs)
		require.NoError(b, err)
		require.Len(b, p.Jobs, 1500)
	}
}

func BenchmarkTotals(b *testing.B) {
	p, err := plan.New(synthetic(1500))
	require.NoError(b, err)
	for b.Loop() {
		require.Equal(b, 1500, p.Totals().Jobs)
	}
}

func BenchmarkTouch(b *testing.B) {
	p, err := plan.New(synthetic(1500))
	require.NoError(b, err)
	for b.Loop() {
		t, err := p.Touch([]string{"components/OHPC_macros"})
		require.NoError(b, err)
		require.Len(b, t.Jobs, 1500)
	}
}
