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
}
