package junit_test

import (
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/excerpt"
	"github.com/ohpc-build/ohpc-build/matrix/report/junit"
	"github.com/ohpc-build/ohpc-build/matrix/report/reporttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func write(t *testing.T, r *report.Run) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "logs"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "logs/scotch.log"), []byte(reporttest.Log), 0o644))
	logs, err := excerpt.Failed(r, dir)
	require.NoError(t, err)
	var sb strings.Builder
	require.NoError(t, junit.Write(&sb, r, logs))
	return sb.String()
}

func TestGolden(t *testing.T) {
	got := write(t, reporttest.Sample())
	const golden = "testdata/junit.xml"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// document is what the common JUnit schema (Jenkins's xunit plug-in) requires.
type document struct {
	counts
	Suites []struct {
		counts
		Name      string `xml:"name,attr"`
		Timestamp string `xml:"timestamp,attr"`
		Cases     []struct {
			Class   string `xml:"classname,attr"`
			Name    string `xml:"name,attr"`
			Time    string `xml:"time,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
				Text    string `xml:",chardata"`
			} `xml:"failure"`
			Skipped *struct {
				Message string `xml:"message,attr"`
			} `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

type counts struct {
	Tests    int    `xml:"tests,attr"`
	Failures int    `xml:"failures,attr"`
	Skipped  int    `xml:"skipped,attr"`
	Time     string `xml:"time,attr"`
}

func TestCountsAndTimesAgreeWhateverTheLogsHold(t *testing.T) {
	r := reporttest.Sample()
	r.Error = "the disk is full ]]> \x00 &amp; <x>"
	var doc document
	require.NoError(t, xml.Unmarshal([]byte(write(t, r)), &doc))
	require.Len(t, doc.Suites, 3)
	require.Equal(t, "Debian_12/aarch64", doc.Suites[1].Name)
	require.Equal(t, "rpmbuild failed:", doc.Suites[1].Cases[1].Failure.Message)
	require.Contains(t, doc.Suites[1].Cases[1].Failure.Text, "gcc: <oops>?")
	require.Contains(t, doc.Suites[1].Cases[1].Failure.Text, "error: unknown type <SCOTCH_Num>")
	require.Equal(t, "the disk is full ]]>  &amp; <x>", doc.Suites[2].Cases[0].Failure.Message)
	var sum counts
	for _, s := range doc.Suites {
		require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`, s.Timestamp)
		got := counts{Tests: len(s.Cases), Time: s.Time}
		var seconds float64
		for _, c := range s.Cases {
			require.Regexp(t, `^[^.]+(\.[^.]+){0,2}$`, c.Class)
			require.NotEmpty(t, c.Name)
			d, err := strconv.ParseFloat(c.Time, 64)
			require.NoError(t, err)
			seconds += d
			if c.Failure != nil {
				got.Failures++
			}
			if c.Skipped != nil {
				require.NotEmpty(t, c.Skipped.Message, "a skip says why")
				got.Skipped++
			}
		}
		require.Equal(t, s.counts, got)
		total, err := strconv.ParseFloat(s.Time, 64)
		require.NoError(t, err)
		require.InDelta(t, seconds, total, 0.01)
		sum.Tests += s.Tests
		sum.Failures += s.Failures
		sum.Skipped += s.Skipped
	}
	sum.Time = doc.Time
	require.Equal(t, doc.counts, sum)
	require.Equal(t, counts{Tests: 9, Failures: 2, Skipped: 2, Time: "90.000"}, sum)
}

// TestTestsStandInTheirChecksPlace: each test is a case; what the check failed for beside
// them is not lost.
func TestTestsStandInTheirChecksPlace(t *testing.T) {
	cases := []report.Case{{Name: "one", Result: report.Pass, Seconds: 1}, {Name: "two", Result: report.Skip, Reason: "no GPU"}}
	r := &report.Run{Cells: []report.Cell{{Target: "T", Arch: "a"}}, Checks: []report.Check{
		{Name: "suite", Subject: "passes 2.9 run.bats", Target: "T", Arch: "a", Result: report.Pass, Cases: cases},
		{Name: "suite", Subject: "ends early", Target: "T", Arch: "a", Result: report.Fail, Reason: "only 2 of 3 tests ended", Cases: cases},
		{Name: "suite", Subject: "fails", Target: "T", Arch: "a", Result: report.Fail, Cases: []report.Case{{Name: "three", Result: report.Fail, Reason: "line 3"}}},
	}}
	var doc document
	require.NoError(t, xml.Unmarshal([]byte(write(t, r)), &doc))
	require.Equal(t, 6, doc.Tests)
	require.Equal(t, 2, doc.Failures)
	require.Equal(t, 2, doc.Skipped)
	names := []string{}
	for _, c := range doc.Suites[0].Cases {
		names = append(names, c.Class+": "+c.Name)
	}
	require.Equal(t, []string{
		"T/a.suite.passes 2_9 run: one", "T/a.suite.passes 2_9 run: two", "T/a.suite.ends early: one", "T/a.suite.ends early: two",
		"T/a.suite: ends early", "T/a.suite.fails: three",
	}, names)
}
