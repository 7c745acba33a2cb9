package report_test

import (
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sample() *report.Run {
	begun := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	r := &report.Run{
		Program: "v1", Release: "3", Started: begun,
		Cells: []report.Cell{{Target: "Debian_12", Arch: "x86_64", Image: "sha256:1"}, {Target: "Debian_12", Arch: "aarch64"}},
		Jobs: []report.Job{
			{ID: "scotch@gnu12/Debian_12/x86_64", Recipe: "scotch", Variant: "gnu12", Target: "Debian_12", Arch: "x86_64", Result: report.Built, Reason: "new", Seconds: 36.2},
			{ID: "scotch@gnu12/Debian_12/aarch64", Recipe: "scotch", Variant: "gnu12", Target: "Debian_12", Arch: "aarch64", Result: report.Fail, Reason: "rpmbuild failed:\n\x1b[31mgcc: <oops>\x00\xff", Seconds: 662},
			{ID: "hwloc/Debian_12/x86_64", Recipe: "hwloc", Target: "Debian_12", Arch: "x86_64", Result: report.Reused},
			{ID: "hwloc/Debian_12/aarch64", Recipe: "hwloc", Target: "Debian_12", Arch: "aarch64", Result: report.Skip, Reason: "excluded by the recipe"},
		},
		Checks: []report.Check{
			{Name: "install-dnf", Subject: "ohpc-base", Target: "Debian_12", Arch: "x86_64", Result: report.Pass, Seconds: 4.25},
			{Name: "test", Subject: "hwloc", Target: "Debian_12", Arch: "x86_64", Result: report.Pass, Reused: true},
		},
		Snapshots: []report.Snapshot{{Target: "Debian_12", ID: "abc", Path: "repos/OpenHPC/3/Debian_12", Packages: 12, Published: true}},
	}
	r.Close(begun.Add(90 * time.Second))
	return r
}

func TestGolden(t *testing.T) {
	r := sample()
	dir := t.TempDir()
	require.NoError(t, r.WriteFiles(dir))
	var table strings.Builder
	require.NoError(t, r.Table(&table))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "table.txt"), []byte(table.String()), 0o644))
	for _, name := range []string{"matrix.json", "junit.xml", "table.txt"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		golden := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(golden, got, 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), name)
	}
}

func TestStatusAndResultFollowFromJobsAndChecks(t *testing.T) {
	r := sample()
	require.Equal(t, report.Fail, r.Result)
	require.Equal(t, report.Supported, r.Cells[0].Status)
	require.Equal(t, report.TechPreview, r.Cells[1].Status)
	require.Equal(t, []string{"build of scotch", "no check was run"}, r.Cells[1].Missing)

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

func TestJUnitIsXMLWhateverTheLogsHold(t *testing.T) {
	var sb strings.Builder
	require.NoError(t, sample().JUnit(&sb))
	var doc struct {
		Suites []struct {
			Name     string `xml:"name,attr"`
			Failures int    `xml:"failures,attr"`
			Skipped  int    `xml:"skipped,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal([]byte(sb.String()), &doc))
	require.Len(t, doc.Suites, 2)
	require.Equal(t, "Debian_12/aarch64", doc.Suites[1].Name)
	require.Equal(t, 1, doc.Suites[1].Failures)
	require.Equal(t, 1, doc.Suites[1].Skipped)
	require.Equal(t, "rpmbuild failed:\n[31mgcc: <oops>?", doc.Suites[1].Cases[1].Failure.Message)
}
