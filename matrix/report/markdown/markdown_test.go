package markdown_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/excerpt"
	"github.com/ohpc-build/ohpc-build/matrix/report/markdown"
	"github.com/ohpc-build/ohpc-build/matrix/report/reporttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func write(t *testing.T, r *report.Run, logs map[string]*excerpt.Excerpt) string {
	t.Helper()
	var sb strings.Builder
	require.NoError(t, markdown.Write(&sb, r, logs))
	require.LessOrEqual(t, sb.Len(), markdown.Limit)
	return sb.String()
}

func TestGolden(t *testing.T) {
	r := reporttest.Sample()
	r.Previous = &report.Previous{
		Failing: []string{"scotch@gnu12/Debian_12/aarch64"}, MendedChecks: []string{"Debian_12/x86_64/install-dnf/ohpc-base"},
		Packages: []report.PackageChange{{Target: "Debian_12", Arch: "x86_64", Name: "hwloc-ohpc", From: "2.9.0-1", To: "2.8.0-1", Down: true}, {Target: "Debian_12", Arch: "aarch64", Name: "hwloc-ohpc", From: "2.9.0-1", To: "2.8.0-1", Down: true}},
	}
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "logs"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "logs/scotch.log"), []byte(reporttest.Log+"```\n# not a heading\n"), 0o644))
	logs, err := excerpt.Failed(r, dir)
	require.NoError(t, err)
	got := write(t, r, logs)
	const golden = "testdata/comment.md"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestSizeIsBoundedAndWordsStayWords(t *testing.T) {
	r := reporttest.Large(1200)
	dir := t.TempDir()
	require.NoError(t, reporttest.WriteLogs(r, dir))
	logs, err := excerpt.Failed(r, dir)
	require.NoError(t, err)
	for i := range r.Jobs {
		r.Jobs[i].Result, r.Jobs[i].Reason = report.Fail, strings.Repeat("``` </details> @everybody ", 200)
	}
	r.Jobs[0].ID = "</code></summary>`@somebody`|x"
	for range 3000 {
		r.Previous.Gone = append(r.Previous.Gone, strings.Repeat("`x|", 300))
	}
	got := write(t, r, logs)
	require.Greater(t, len(got), markdown.Limit/2, "there is room for much of it")
	require.Contains(t, got, "more, which the report has")
	require.Contains(t, got, "#### Since the last run")
	require.Contains(t, got, "<summary><code>&lt;/code&gt;&lt;/summary&gt;`@somebody`|x</code>")
	require.Contains(t, got, "````text\n", "the fence is longer than what is in it")
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "<details>") {
			require.Regexp(t, `^<details><summary>(new: )?(<code>[^<>]*</code> ?)+</summary>$|^<details><summary>\d+ in quarantine</summary>$`, strings.TrimSuffix(line, "\n"))
		}
	}
}

// TestWhatAReviewerSees: what a change broke comes first, with the line that tells it;
// what is in quarantine is told with its end.
func TestWhatAReviewerSees(t *testing.T) {
	cases := []report.Case{{Name: "on a `GPU` @x", Result: report.Skip, Ran: report.Fail, Reason: "in quarantine until 2026-12-24: the driver | <b>; it failed\nmore"}}
	r := &report.Run{
		Cells: []report.Cell{{Target: "T", Arch: "a", Status: "<b>@all | "}},
		Jobs: []report.Job{
			{ID: "old/T/a", Recipe: "old", Target: "T", Arch: "a", Result: report.Fail, Reason: "old/T/a: exit status 1"},
			{ID: "x/T/a", Recipe: "x", Target: "T", Arch: "a", Result: report.Fail, Reason: "exit status 1", Log: "logs/x.log"},
		},
		Checks:   []report.Check{{Name: "suite", Subject: "s", Target: "T", Arch: "a", Result: report.Pass, Cases: cases}},
		Previous: &report.Previous{Failing: []string{"x/T/a"}},
	}
	got := write(t, r, map[string]*excerpt.Excerpt{"logs/x.log": {Text: "gcc\nx.c:1: error: <y>\n", Failure: 2}})
	require.Contains(t, got, "<summary>new: <code>x/T/a</code> <code>x.c:1: error: &lt;y&gt;</code></summary>")
	require.Less(t, strings.Index(got, "x/T/a"), strings.Index(got, "old/T/a"))
	require.Contains(t, got, "<code>old/T/a</code> <code>exit status 1</code>")
	require.Contains(t, got, "| `<b>@all \\|` |")
	require.Contains(t, got, "<summary>1 in quarantine</summary>\n\n- `T/a/suite/s` ``on a `GPU` @x``: `in quarantine until 2026-12-24: the driver | <b>; it failed`\n")
}
