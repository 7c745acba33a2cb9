package report_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// TestStanding tells what keeps a cell from being supported.
func TestStanding(t *testing.T) {
	row := func(name, subject string, result report.Outcome) report.Check {
		return report.Check{Name: name, Subject: subject, Target: "T", Arch: "a", Result: result, Reason: "r"}
	}
	void := row("upgrade", "all packages", report.Skip)
	void.Void = true
	for name, test := range map[string]struct {
		checks  []report.Check
		missing []string
	}{
		"nothing was run":      {nil, []string{"checks: not run"}},
		"all green":            {[]report.Check{row("suite", "x", report.Pass), void}, nil},
		"one fails":            {[]report.Check{row("suite", "x", report.Pass), row("suite", "y", report.Fail), void}, []string{"suite of y"}},
		"one is not run":       {[]report.Check{row("suite", "x", report.Pass)}, []string{"upgrade: not run"}},
		"one does not count":   {[]report.Check{row("suite", "x", report.Skip), void}, []string{"suite of x: skipped"}},
		"others do not matter": {[]report.Check{row("suite", "x", report.Pass), void, row("more", "x", report.Skip)}, nil},
		"all fail":             {[]report.Check{row("suite", "x", report.Fail), row("upgrade", "y", report.Fail)}, []string{"suite of x", "upgrade of y"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &report.Run{Cells: []report.Cell{{Target: "T", Arch: "a", Required: []string{"suite", "upgrade"}}}, Checks: test.checks}
			r.Close(time.Time{})
			require.Equal(t, test.missing, r.Cells[0].Missing)
			require.Equal(t, test.missing == nil, r.Cells[0].Brief == "")
			status := report.Supported
			if test.missing != nil {
				status = report.TechPreview
			}
			require.Equal(t, status, r.Cells[0].Status)
		})
	}
}

func TestBrief(t *testing.T) {
	r := &report.Run{Cells: []report.Cell{{Target: "T", Arch: "a", Required: []string{"upgrade"}}}}
	for _, name := range []string{"suite", "install", "install"} {
		r.Checks = append(r.Checks, report.Check{Name: name, Target: "T", Arch: "a", Result: report.Fail})
	}
	r.Close(time.Time{})
	require.Equal(t, "install: 2 failed; suite: 1 failed; upgrade: not run", r.Cells[0].Brief)
}

func TestSummaryCountsTests(t *testing.T) {
	r := &report.Run{Checks: []report.Check{{Result: report.Pass, Cases: []report.Case{
		{Result: report.Pass}, {Result: report.Skip}, {Result: report.Skip, Ran: report.Fail},
	}}, {Result: report.Skip}}}
	require.Contains(t, r.Summary(), "1 checks passed (0 reused), 0 failed, 1 skipped; of 3 tests 1 skipped, 1 in quarantine in ")
}
