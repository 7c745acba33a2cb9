package report_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/reporttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file below testdata.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), path)
}

func TestGolden(t *testing.T) {
	r := reporttest.Sample()
	doc, err := r.JSON()
	require.NoError(t, err)
	golden(t, "testdata/matrix.json", doc)
	var table strings.Builder
	require.NoError(t, r.Table(&table))
	golden(t, "testdata/table.txt", []byte(table.String()))
}

func TestTheDocumentIsWrittenAsAWhole(t *testing.T) {
	for name, change := range map[string]func(*report.Run){
		"as it is":    func(*report.Run) {},
		"no job":      func(r *report.Run) { r.Jobs = []report.Job{} },
		"null":        func(r *report.Run) { r.Jobs = nil },
		"its own end": func(r *report.Run) { r.Error, r.Jobs[0].Reason = "\n  \"jobs\": null,\n", "\n  ],\n" },
	} {
		r := reporttest.Sample()
		change(r)
		want, err := json.MarshalIndent(r, "", "  ")
		require.NoError(t, err)
		got, err := r.JSON()
		require.NoError(t, err)
		require.Equal(t, string(want)+"\n", string(got), name)
	}
}

func TestALongTableLeavesOutWhereNothingHappened(t *testing.T) {
	r := reporttest.Sample()
	for i := range 6000 {
		r.Jobs = append(r.Jobs, report.Job{Recipe: fmt.Sprintf("old%d", i), Target: r.Cells[0].Target, Arch: r.Cells[0].Arch, Result: report.Reused})
	}
	var table strings.Builder
	require.NoError(t, r.Table(&table))
	require.Contains(t, table.String(), "\nscotch ")
	require.NotContains(t, table.String(), "old17")
	require.Regexp(t, `\(60\d\d rows more in which all is reused; matrix.json has them\)`, table.String())
	require.Less(t, strings.Count(table.String(), "\n"), 50)
}

func TestStatusAndResultFollowFromJobsAndChecks(t *testing.T) {
	r := reporttest.Sample()
	require.Equal(t, report.Fail, r.Result)
	require.Equal(t, report.Supported, r.Cells[0].Status)
	require.Equal(t, report.TechPreview, r.Cells[1].Status)
	require.Equal(t, []string{"build of scotch", "checks: not run"}, r.Cells[1].Missing)

	r.Jobs = r.Jobs[:0]
	r.Close(r.Started)
	require.Equal(t, report.Pass, r.Result)
	require.Equal(t, report.TechPreview, r.Cells[1].Status, "a cell without checks has proven nothing")

	r.Checks[0].Result = report.Fail
	r.Close(r.Started)
	require.Equal(t, report.Fail, r.Result)
	require.Equal(t, []string{"install-dnf of ohpc-base"}, r.Cells[0].Missing)

	r.Checks = nil
	r.Error = "the disk is full"
	r.Close(r.Started)
	require.Equal(t, report.Fail, r.Result)
}

func TestReadTakesItsOwnVersionOnly(t *testing.T) {
	dir := t.TempDir()
	_, err := report.Read(dir)
	require.ErrorIs(t, err, os.ErrNotExist)

	r := reporttest.Sample()
	r.Jobs[3].Reason = "plain words" // JSON has no bytes that are not UTF-8
	doc, err := r.JSON()
	require.NoError(t, err)
	path := filepath.Join(dir, report.Name)
	require.NoError(t, os.WriteFile(path, doc, 0o644))
	back, err := report.Read(dir)
	require.NoError(t, err)
	again, err := back.JSON()
	require.NoError(t, err)
	require.Equal(t, string(doc), string(again))

	for text, want := range map[string]string{
		`{"version": 2, "jobs": "elsewhere"}`: path + " has version 2 of the report's format, and this program knows up to 1: read it with the ohpc-build that wrote it",
		`{}`:                                  "is it a report of ohpc-build?",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		_, err := report.Read(dir)
		require.ErrorAs(t, err, new(*report.VersionError))
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, os.WriteFile(path, []byte(`{"version": 1, "jobs": 3}`), 0o644))
	_, err = report.Read(dir)
	require.ErrorContains(t, err, path)
}

// without is a run after a change to a copy of it.
func changed(t *testing.T, r *report.Run, change func(*report.Run)) *report.Run {
	t.Helper()
	b, err := json.Marshal(r)
	require.NoError(t, err)
	c := &report.Run{}
	require.NoError(t, json.Unmarshal(b, c))
	change(c)
	return c
}

func TestCompareWithReadsJobByJob(t *testing.T) {
	dir := t.TempDir()
	_, err := report.CompareWith(dir, reporttest.Sample())
	require.ErrorIs(t, err, os.ErrNotExist)
	first, second := reporttest.Sample(), reporttest.Sample()
	first.Recipes = []string{"scotch"}
	first.History = map[string][]report.Sample{"x": {{Seconds: 1}}}
	first.Jobs = append(first.Jobs, report.Job{ID: "gone/x", Result: report.Fail, Packages: []report.Package{{File: "gone-1-1.noarch.rpm"}}})
	doc, err := first.JSON()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, report.Name), doc, 0o644))
	all, err := report.Read(dir)
	require.NoError(t, err)
	previous, err := report.CompareWith(dir, second)
	require.NoError(t, err)
	require.Equal(t, report.Compare(all, second), previous)

	for text, want := range map[string]string{
		`{"version":99,"jobs":[]}`: "has version 99 of the report's format",
		`{"version":1,"jobs":[{`:   "unexpected EOF",
		`{"version":1,"jobs":{}}`:  "it has { where [ should be",
		`[]`:                       "it has [ where { should be",
		``:                         "EOF",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, report.Name), []byte(text), 0o644))
		_, err := report.CompareWith(dir, second)
		require.ErrorContains(t, err, want)
	}
}

func TestCompare(t *testing.T) {
	now := reporttest.Sample()
	const aarch64, x86 = "scotch@gnu12/Debian_12/aarch64", "scotch@gnu12/Debian_12/x86_64"
	job := func(r *report.Run, id string) *report.Job {
		for i := range r.Jobs {
			if r.Jobs[i].ID == id {
				return &r.Jobs[i]
			}
		}
		t.Fatal(id)
		return nil
	}
	require.True(t, report.Compare(now, now).Empty())

	before := changed(t, now, func(r *report.Run) {
		job(r, aarch64).Result = report.Built
		job(r, x86).Result = report.Fail
		job(r, "hwloc/Debian_12/x86_64").Packages[0].File = "hwloc-ohpc-2.10.0-1.300.ohpc.x86_64.rpm"
		*job(r, "lmod/Debian_12/x86_64") = report.Job{ID: "gone/Debian_12/x86_64", Result: report.Built}
		r.Checks[0].Result = report.Fail
		r.Seconds = 12
	})
	p := report.Compare(before, now)
	require.Equal(t, &report.Previous{
		Started: now.Started, Result: report.Fail, Seconds: 12,
		Failing: []string{aarch64}, Mended: []string{x86}, Added: []string{"lmod/Debian_12/x86_64"}, Gone: []string{"gone/Debian_12/x86_64"},
		Packages:     []report.PackageChange{{Target: "Debian_12", Arch: "x86_64", Name: "hwloc-ohpc", From: "2.10.0-1.300.ohpc", To: "2.9.0-1.300.ohpc", Down: true}},
		MendedChecks: []string{"Debian_12/x86_64/install-dnf/ohpc-base"},
	}, p)

	for name, partial := range map[string]func(*report.Run){
		"some recipes": func(r *report.Run) { r.Recipes = []string{"scotch"} },
		"interrupted":  func(r *report.Run) { r.Error = "interrupted" },
	} {
		p = report.Compare(changed(t, before, partial), now)
		require.Empty(t, p.Gone, name)
		require.Empty(t, p.Added, name)
		require.NotEmpty(t, p.Failing, name)
	}
}

func TestCriticalPath(t *testing.T) {
	r := reporttest.Sample()
	require.Equal(t, []string{"scotch@gnu12/Debian_12/aarch64"}, r.CriticalPath())
	r.Jobs[4].Seconds, r.Jobs[4].Begin = 100, 12.5
	require.Equal(t, []string{"hwloc/Debian_12/x86_64", "scotch@gnu12/Debian_12/x86_64"}, r.CriticalPath())
	r.Jobs[1].Needs = []string{"scotch@gnu12/Debian_12/x86_64", "no such job"}
	require.Len(t, r.CriticalPath(), 2, "a circle is not followed for ever")
	require.Empty(t, (&report.Run{}).CriticalPath())
}

func TestTimeline(t *testing.T) {
	r := &report.Run{Jobs: []report.Job{
		{ID: "c", Begin: 5, Seconds: 5},
		{ID: "a", Begin: 0, Seconds: 5},
		{ID: "b", Begin: 1, Seconds: 5},
		{ID: "reused"},
		{ID: "d", Begin: 2, Seconds: 1, Slot: 4},
		{ID: "e", Begin: 3, Seconds: 1, Slot: 1 << 40},
	}, Checks: []report.Check{{Begin: 3, Seconds: 1}, {Begin: 3, Seconds: 1, Reused: true}}}
	require.Equal(t, []report.Bar{
		{Lane: 0, Index: 1, Begin: 0, Seconds: 5},
		{Lane: 1, Index: 2, Begin: 1, Seconds: 5},
		{Lane: 3, Index: 4, Begin: 2, Seconds: 1},
		{Lane: 2, Index: 5, Begin: 3, Seconds: 1},
		{Lane: 0, Index: 0, Begin: 5, Seconds: 5},
		{Lane: 0, Index: 0, Check: true, Begin: 3, Seconds: 1},
	}, r.Timeline())
}

func TestHuman(t *testing.T) {
	for d, want := range map[time.Duration]string{
		400 * time.Millisecond: "0.4s", 36 * time.Second: "36s", 11*time.Minute + 2*time.Second: "11m02s", 5*time.Hour + 3*time.Minute: "5h03m",
	} {
		require.Equal(t, want, report.Human(d.Seconds()))
	}
}
