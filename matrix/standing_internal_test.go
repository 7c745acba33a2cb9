package matrix

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/standing"
	"github.com/ohpc-build/ohpc-build/matrix/trial"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// TestOverlayOnOneArchitecture notes the standing of a run on x86_64 whose channel has
// aarch64 too: that cell stands as before, and may be published, until it gets a package
// with which nobody has tried it.
func TestOverlayOnOneArchitecture(t *testing.T) {
	f := publishtest.SetUp(t)
	of := func(x86, arm, both string) snapshot.Snapshot {
		return f.MustMake(f.Add(rpmtest.Simple("x86", x86, "1", "x86_64"), ""), f.Add(rpmtest.Simple("arm", arm, "1", "aarch64"), ""),
			f.Add(rpmtest.Simple("both", both, "1", "noarch"), ""))
	}
	base, before := f.MustMake(), of("1", "1", "1")
	tree := f.Tree(channel.Options{})
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Updates, before)))
	began := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	was := standing.Document{Version: standing.Version, Release: "3.2", Target: "EL_9", Snapshot: before.ID, Validated: began}
	for _, arch := range before.Arches {
		was.Cells = append(was.Cells, standing.Cell{Arch: arch, Status: report.Supported, Required: []string{"closure"}})
	}
	b, err := was.Encode()
	require.NoError(t, err)
	require.NoError(t, tree.Note(t.Context(), "EL_9", before.ID, b))

	run := func(after snapshot.Snapshot) (standing.Document, error) {
		t.Helper()
		m := &Matrix{
			opt: Options{
				Out: filepath.Dir(f.Spec.Root), Channel: layout.Updates, Catalog: &recipes.Catalog{Release: "3.2"}, Log: slog.New(slog.DiscardHandler),
			},
			cells: []*jobs.Cell{{Target: &recipes.Target{Name: "EL_9", Checks: []recipes.RequiredCheck{{Name: "closure"}}}, Arch: "x86_64"}},
			jobs:  &jobs.Set{Plan: &plan.Plan{}},
			base:  &trial.Tree{Dir: base.Dir},
			report: &report.Run{Started: began.Add(time.Hour), Checks: []report.Check{
				{Name: "closure", Target: "EL_9", Arch: "x86_64", Subject: "all packages", Result: report.Pass},
			}},
			snapshots: map[string]snapshot.Snapshot{"EL_9": after},
		}
		require.NoError(t, m.noteStandings(t.Context(), true))
		d, known, err := standing.Noted(tree, "EL_9", after.ID)
		require.NoError(t, err)
		require.True(t, known)
		return d, m.guardStanding(tree, m.pointer(after), before.ID, after.ID)
	}

	d, err := run(of("2", "1", "1"))
	require.NoError(t, err)
	require.Len(t, d.Cells, 2)
	require.Equal(t, "x86_64", d.Cells[0].Arch)
	require.Empty(t, d.Cells[0].Snapshot)
	require.Equal(t, standing.Cell{Arch: "aarch64", Status: report.Supported, Required: []string{"closure"}, Snapshot: before.ID, Validated: began}, d.Cells[1])

	d, err = run(of("2", "1", "2"))
	require.ErrorContains(t, err, "EL_9/aarch64 (it was not validated with both.noarch 1-1 → 2-1)")
	require.Equal(t, report.TechPreview, d.Cells[1].Status)

	// The very same snapshot says of the other architecture what it said.
	d, err = run(before)
	require.NoError(t, err)
	require.True(t, d.Same(was))

	// In a snapshot without it, it is gone.
	f.Spec.Arches = []string{"x86_64"}
	d, err = run(f.MustMake(f.Add(rpmtest.Simple("x86", "3", "1", "x86_64"), "")))
	require.ErrorContains(t, err, "EL_9/aarch64 (it would be gone)")
	require.Len(t, d.Cells, 1)
}
