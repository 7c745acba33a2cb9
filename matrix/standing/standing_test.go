package standing_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/standing"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

var began = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

func supported(arch string) standing.Cell {
	return standing.Cell{Arch: arch, Status: report.Supported, Required: []string{"install"}}
}

func preview(arch string, missing ...string) standing.Cell {
	return standing.Cell{Arch: arch, Status: report.TechPreview, Required: []string{"install"}, Missing: missing, Brief: "install: failed"}
}

func document(id string, cells ...standing.Cell) standing.Document {
	return standing.Document{Version: standing.Version, Program: "test", Release: "3.2", Target: "EL_9", Snapshot: id, Validated: began, Cells: cells}
}

// released has snapshots of one target, and what is noted of them.
type released struct {
	*publishtest.Fixture
	tree *channel.Tree
	t    *testing.T
}

func newReleased(t *testing.T) released {
	f := publishtest.SetUp(t)
	require.NoError(t, os.MkdirAll(f.Spec.Root, 0o755))
	return released{f, f.Tree(channel.Options{}), t}
}

func (r released) made(version string) snapshot.Snapshot {
	return r.MustMake(r.Add(rpmtest.Simple("p", version, "1", "noarch"), ""))
}

func (r released) note(id string, cells ...standing.Cell) {
	r.t.Helper()
	b, err := document(id, cells...).Encode()
	require.NoError(r.t, err)
	require.NoError(r.t, r.tree.Note(r.t.Context(), "EL_9", id, b))
}

func (r released) pointer() layout.Pointer {
	return layout.Pointer{Release: "3.2", Channel: layout.Release, Target: "EL_9"}
}

// TestGuard has a channel that points to one snapshot and is to point to another.
func TestGuard(t *testing.T) {
	r := newReleased(t)
	before, after := r.made("1").ID, r.made("2").ID
	x86, arm := "x86_64", "aarch64"
	type cells []standing.Cell
	for name, tc := range map[string]struct {
		channel layout.Channel
		was, is cells // nil: never validated
		same    bool
		lost    []string
	}{
		"both stay":                    {was: cells{supported(x86), supported(arm)}, is: cells{supported(x86), supported(arm)}},
		"one more":                     {was: cells{supported(x86)}, is: cells{supported(x86), preview(arm, "install of p: failed")}},
		"one gains":                    {was: cells{preview(x86, "m")}, is: cells{supported(x86)}},
		"one is gone":                  {was: cells{supported(x86), supported(arm)}, is: cells{supported(x86)}, lost: []string{"EL_9/aarch64 (it would be gone)"}},
		"in updates too":               {channel: layout.Updates, was: cells{supported(arm)}, is: cells{supported(x86)}, lost: []string{"EL_9/aarch64 (it would be gone)"}},
		"all are gone":                 {was: cells{supported(x86), supported(arm)}, is: cells{}, lost: []string{"EL_9/x86_64 (it would be gone)", "EL_9/aarch64 (it would be gone)"}},
		"a tech preview is gone":       {was: cells{supported(x86), preview(arm, "m")}, is: cells{supported(x86)}},
		"one fails":                    {was: cells{supported(x86)}, is: cells{preview(x86, "install of p: failed", "n")}, lost: []string{"EL_9/x86_64 (install of p: failed; n)"}},
		"one fails in many ways":       {was: cells{supported(x86)}, is: cells{preview(x86, "1", "2", "3", "4", "5", "6", "7")}, lost: []string{"EL_9/x86_64 (1; 2; 3; 4; 5 and 2 more)"}},
		"one fails, one is gone":       {was: cells{supported(x86), supported(arm)}, is: cells{preview(arm, "m")}, lost: []string{"EL_9/x86_64 (it would be gone)", "EL_9/aarch64 (m)"}},
		"it was a tech preview before": {was: cells{preview(x86, "m")}, is: cells{preview(x86, "m", "n")}},
		"never validated":              {was: cells{supported(x86), preview(arm, "m")}, lost: []string{"EL_9/x86_64 (it was never validated)"}},
		"nothing was known before":     {is: cells{preview(x86, "m")}},
		"the same snapshot":            {was: cells{supported(x86)}, same: true},
		"nobody relies on staging":     {channel: layout.Staging, was: cells{supported(x86)}, is: cells{}},
		"nor on factory":               {channel: layout.Factory, was: cells{supported(x86)}},
	} {
		t.Run(name, func(t *testing.T) {
			for id, c := range map[string]cells{before: tc.was, after: tc.is} {
				noted := filepath.Join(r.Spec.Root, layout.StandingFile("EL_9", id))
				if c != nil {
					r.note(id, c...)
				} else if err := os.Remove(noted); err != nil {
					require.ErrorIs(t, err, os.ErrNotExist)
				}
			}
			p, to := r.pointer(), after
			if tc.channel != "" {
				p.Channel = tc.channel
			}
			if tc.same {
				to = before
			}
			err := standing.Guard(r.tree, p, before, to)
			if tc.lost == nil {
				require.NoError(t, err)
				return
			}
			var lost *standing.LostError
			require.ErrorAs(t, err, &lost)
			require.Equal(t, tc.lost, lost.Cells)
			require.ErrorContains(t, err, "not published in "+p.String()+": ")
			require.ErrorContains(t, err, standing.AllowFlag)
		})
	}
	require.NoError(t, standing.Guard(r.tree, r.pointer(), "", after), "nothing was there before")

	for _, id := range []string{before, after} { // what cannot be read allows nothing
		r.note(before, supported(x86))
		r.note(after, supported(x86))
		require.NoError(t, r.tree.Note(t.Context(), "EL_9", id, []byte("{")))
		require.ErrorContains(t, standing.Guard(r.tree, r.pointer(), before, after), "reading a status")
	}
}

func TestPublished(t *testing.T) {
	r := newReleased(t)
	s := r.made("1")
	p := r.pointer()
	_, known, err := standing.Published(r.tree, p)
	require.NoError(t, err)
	require.False(t, known, "nothing is published")
	require.NoError(t, r.tree.Move(t.Context(), publishtest.To(t, r.tree, layout.Release, s)))
	_, known, err = standing.Published(r.tree, p)
	require.NoError(t, err)
	require.False(t, known, "nothing was noted")

	r.note(s.ID, supported("x86_64"), preview("aarch64", "m"))
	want := document(s.ID, supported("x86_64"), preview("aarch64", "m"))
	for name, read := range map[string]func() (standing.Document, bool, error){
		"published": func() (standing.Document, bool, error) { return standing.Published(r.tree, p) },
		"noted":     func() (standing.Document, bool, error) { return standing.Noted(r.tree, "EL_9", s.ID) },
	} {
		d, known, err := read()
		require.NoError(t, err, name)
		require.True(t, known, name)
		require.Equal(t, want, d, name)
	}
	require.NoError(t, r.tree.Note(t.Context(), "EL_9", s.ID, []byte(`{"version": 2}`)))
	_, known, err = standing.Published(r.tree, p)
	require.False(t, known)
	require.ErrorContains(t, err, "OpenHPC/3.2/EL_9.status.json in the folder of repositories: reading a status: it is version 2, this program reads 1; move it away")
	_, _, err = standing.Noted(r.tree, "EL_9", s.ID)
	require.ErrorContains(t, err, ".channels/.standing/EL_9/"+s.ID+".json in the folder")
}

// TestOf judges the cells of one target by a run's report.
func TestOf(t *testing.T) {
	run := &report.Run{Program: "v1", Release: "3.2", Started: began.Add(1234 * time.Millisecond), Checks: []report.Check{
		{Name: "install", Target: "EL_9", Arch: "x86_64", Subject: "p with dnf", Result: report.Pass},
		{Name: "install", Target: "EL_9", Arch: "aarch64", Subject: "p with dnf", Result: report.Fail},
	}}
	d := standing.Of(run, "EL_9", "id", []report.Cell{
		{Target: "EL_9", Arch: "x86_64", Required: []string{"install"}},
		{Target: "EL_9", Arch: "aarch64", Required: []string{"install"}},
		{Target: "Leap_15", Arch: "x86_64"},
	})
	require.Equal(t, "EL_9", d.Target)
	require.Equal(t, began.Add(time.Second), d.Validated)
	require.Len(t, d.Cells, 2, "those of the other target are not told")
	require.Equal(t, report.Supported, d.Cells[0].Status)
	require.Equal(t, report.TechPreview, d.Cells[1].Status)
	require.Equal(t, []string{"install of p with dnf"}, d.Cells[1].Missing)
	require.Equal(t, "OpenHPC 3.2 for EL_9\nStatus: x86_64 supported\nStatus: aarch64 tech preview (install: 1 failed)\nStatus: riscv64 supported\n",
		string(d.Lines("3.2", "EL_9", []string{"x86_64", "aarch64", "riscv64"})))

	// However much is missing, the document stays small; nothing required is a list all the same.
	for range 3000 {
		run.Checks = append(run.Checks, report.Check{Name: "suite", Target: "EL_9", Arch: "x86_64", Subject: "x", Result: report.Fail})
	}
	d = standing.Of(run, "EL_9", "id", []report.Cell{{Target: "EL_9", Arch: "x86_64", Required: []string{"suite"}}, {Target: "EL_9", Arch: "aarch64"}})
	require.Len(t, d.Cells[0].Missing, 1001)
	require.Equal(t, "and 2000 more", d.Cells[0].Missing[1000])
	b, err := d.Encode()
	require.NoError(t, err)
	require.True(t, strings.Contains(string(b), `"required": []`))
}

func TestSame(t *testing.T) {
	base := func() standing.Document { return document("id", supported("x86_64"), preview("aarch64", "m")) }
	for name, tc := range map[string]struct {
		change func(*standing.Document)
		same   bool
	}{
		"nothing":          {func(*standing.Document) {}, true},
		"when":             {func(d *standing.Document) { d.Validated = d.Validated.Add(time.Hour) }, true},
		"by which program": {func(d *standing.Document) { d.Program = "another" }, true},
		"snapshot":         {func(d *standing.Document) { d.Snapshot = "other" }, false},
		"a cell less":      {func(d *standing.Document) { d.Cells = d.Cells[:1] }, false},
		"architecture":     {func(d *standing.Document) { d.Cells[0].Arch = "riscv64" }, false},
		"status":           {func(d *standing.Document) { d.Cells[0].Status = report.TechPreview }, false},
		"missing":          {func(d *standing.Document) { d.Cells[1].Missing = []string{"n"} }, false},
		"required":         {func(d *standing.Document) { d.Cells[1].Required = nil }, false},
		"what is carried":  {func(d *standing.Document) { d.Told = "other" }, false},
		"its number":       {func(d *standing.Document) { d.Serial = 1 }, false},
		"tried elsewhere":  {func(d *standing.Document) { d.Cells[1].Snapshot = "other" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := base()
			tc.change(&d)
			require.Equal(t, tc.same, d.Same(base()))
			require.Equal(t, tc.same, base().Same(d))
		})
	}
}

// TestCarryOver is of overlays on one architecture: the channel has the other one's
// packages as before.
func TestCarryOver(t *testing.T) {
	both := []string{"x86_64", "aarch64"}
	was := document("first", supported("x86_64"), supported("aarch64"))
	ran := document("second", supported("x86_64"))
	ran.Validated = began.Add(24 * time.Hour)
	kept := supported("aarch64")
	kept.Snapshot, kept.Validated = "first", began

	d := ran.CarryOver(was, both, []diff.Change{{Name: "p", Arch: "x86_64", New: "2-1"}, {Name: "p", Arch: "src", New: "2-1"}})
	require.Equal(t, []standing.Cell{supported("x86_64"), kept}, d.Cells)
	require.Len(t, ran.Cells, 1, "the run's own is as it was")

	// The next one keeps it too, with where it was tried; so does the same run again.
	third := document("third", supported("x86_64"))
	require.Equal(t, kept, third.CarryOver(d, both, nil).Cells[1])
	require.True(t, ran.CarryOver(d, both, nil).Same(d))
	require.True(t, document("first", supported("x86_64")).CarryOver(was, both, nil).Same(was))

	// So does what packages carry, unless the run has made them anew.
	told, own := was, ran
	told.Carried, own.Carried = standing.Carried{Told: "A", Serial: 3}, standing.Carried{Told: "B", Serial: 4}
	require.Equal(t, told.Carried, ran.CarryOver(told, both, nil).Carried)
	require.Equal(t, own.Carried, own.CarryOver(told, both, nil).Carried)

	// What the run tried, what the snapshot has no more, and what was not known before is not carried.
	worse := document("second", preview("x86_64", "m"), preview("aarch64", "m"))
	require.Equal(t, worse, worse.CarryOver(was, both, nil))
	require.Equal(t, ran, ran.CarryOver(was, []string{"x86_64"}, nil))
	require.Equal(t, ran, ran.CarryOver(document("first"), both, nil))

	// A cell that gets packages with which nobody has tried it does not stand as before.
	for _, arch := range []string{"noarch", "aarch64"} {
		changes := []diff.Change{{Name: "p", Arch: arch, Old: "1-1", New: "2-1"}}
		d := ran.CarryOver(was, both, changes)
		require.Equal(t, report.TechPreview, d.Cells[1].Status)
		require.Equal(t, []string{"it was not validated with p." + arch + " 1-1 → 2-1"}, d.Cells[1].Missing)
		require.Equal(t, "tech preview (packages not validated)", d.Cells[1].Line())
		again := third.CarryOver(d, both, changes)
		require.Len(t, again.Cells[1].Missing, 2)
		require.Equal(t, "tech preview (packages not validated)", again.Cells[1].Line())
	}
	failed := document("first", preview("aarch64", "m")).Cells[0]
	d = ran.CarryOver(document("first", failed), both, []diff.Change{{Name: "p", Arch: "noarch"}})
	require.Equal(t, "tech preview (install: failed; packages not validated)", d.Cells[1].Line())
}
