package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// TestWhatRequiresNothingThatIsMissingComesAlong: of a chain of very many jobs, none does
// whose chain has a job without result, as few looks as that takes.
func TestWhatRequiresNothingThatIsMissingComesAlong(t *testing.T) {
	const length = 30_000
	id := func(i int) string { return fmt.Sprintf("m%05d/EL_9/x86_64", i) }
	s := &Set{Plan: &plan.Plan{}, results: map[string]*builder.Result{}}
	for i := range length {
		// The first requires the second, and so on: the last to be looked at counts.
		j := &plan.Job{ID: id(i)}
		if i+1 < length {
			j.RunNeeds = []string{id(i + 1)}
			s.results[j.ID] = &builder.Result{}
		}
		s.Plan.Jobs = append(s.Plan.Jobs, j)
	}
	begin := time.Now()
	there := s.installable(nil)
	require.Less(t, time.Since(begin), 10*time.Second, "it takes milliseconds in one pass, and minutes in as many as there are jobs")
	for i := range length {
		require.False(t, there[id(i)], i)
	}

	// What is wanted is going to have a result; what has another reason is left out alone.
	there = s.installable(map[string]bool{id(length - 1): true})
	require.True(t, there[id(0)])
	require.False(t, there[id(length-1)], "it comes as wanted")
	s.Plan.Jobs[length/2].Unknown = []plan.Unknown{{Requirement: "absent", Package: "p"}}
	there = s.installable(map[string]bool{id(length - 1): true})
	require.False(t, there[id(length/2)])
	require.False(t, there[id(0)])
	require.True(t, there[id(length/2+1)])
}
