package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/state"
	"github.com/ohpc-build/ohpc-build/recipes"
)

func TestEstimates(t *testing.T) {
	host, foreign := emulate.Host(), map[string]string{"x86_64": "aarch64", "aarch64": "x86_64"}[emulate.Host()]
	took := func(recipe, variant, arch string, seconds float64) state.Took {
		return state.Took{Name: plan.ID(recipe, variant, "Debian_12", arch), Recipe: recipe, Variant: variant, Target: "Debian_12", Arch: arch, Seconds: seconds}
	}
	e := newEstimator([]state.Took{
		took("hwloc", "", host, 40), took("hwloc", "", foreign, 120), // three times as long
		took("scotch", "gnu12", host, 60), took("scotch", "gnu14", host, 70), took("scotch", "llvm19", host, 90),
		took("papi", "", foreign, 300),
		took("instant", "", host, 0),
	})
	for name, tc := range map[string]struct {
		recipe, variant, target, arch string
		kind                          recipes.Kind
		says                          time.Duration
		want                          time.Duration
		recorded                      bool
	}{
		"the last time":                  {recipe: "hwloc", arch: host, want: 40 * time.Second, recorded: true},
		"before what the recipe says":    {recipe: "hwloc", arch: host, says: time.Hour, want: 40 * time.Second, recorded: true},
		"what the recipe says":           {recipe: "new", arch: host, says: time.Hour, want: time.Hour},
		"what the recipe says, emulated": {recipe: "new", arch: foreign, says: time.Hour, want: 3 * time.Hour},
		"on another target":              {recipe: "hwloc", target: "EL_9", arch: host, want: 40 * time.Second},
		"emulated as others were":        {recipe: "scotch", variant: "gnu12", arch: foreign, want: 3 * time.Minute},
		"natively, from emulated":        {recipe: "papi", arch: host, want: 100 * time.Second},
		"as other variants":              {recipe: "scotch", variant: "arm1", arch: host, want: 70 * time.Second},
		"as most":                        {recipe: "new", arch: host, want: usualTime},
		"a meta-package":                 {recipe: "all", arch: host, kind: recipes.MetaPackage, want: metaTime},
		"in no time":                     {recipe: "instant", arch: host, want: time.Millisecond, recorded: true},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.target == "" {
				tc.target = "Debian_12"
			}
			c := &candidate{
				job: &plan.Job{ID: plan.ID(tc.recipe, tc.variant, tc.target, tc.arch), Recipe: tc.recipe, Variant: tc.variant, Target: tc.target, Arch: tc.arch},
				variant: recipes.Variant{Recipe: &recipes.Recipe{
					Name: tc.recipe, Kind: tc.kind, Needs: recipes.Needs{Takes: recipes.Duration(tc.says), Memory: 1 << 30, Disk: 2 << 30, Cores: 3},
				}},
			}
			e.estimate(c)
			require.Equal(t, tc.want, c.job.Takes)
			require.Equal(t, tc.recorded, c.job.Recorded)
			require.EqualValues(t, 1<<30, c.job.Uses.Memory)
			require.EqualValues(t, 2<<30, c.job.Uses.Disk)
			require.Equal(t, 3, c.job.Uses.Cores)
		})
	}
	require.EqualValues(t, emulationTimes, newEstimator(nil).factor)
}
