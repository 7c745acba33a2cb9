package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report/reporttest"
	"github.com/ohpc-build/ohpc-build/matrix/report/write"
)

func TestReportPrintsAnEarlierRun(t *testing.T) {
	out := t.TempDir()
	dir := filepath.Join(out, "report")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "logs"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "logs/scotch.log"), []byte(reporttest.Log), 0o644))
	r := reporttest.Sample()
	r.Jobs[3].Reason = "rpmbuild failed" // JSON has no bytes that are not UTF-8
	require.NoError(t, write.Folder(dir, r))

	// The files of a run and what is printed of it later are the same.
	for format, file := range map[string]string{"json": "matrix.json", "junit": "junit.xml", "trace": "trace.json", "html": "index.html"} {
		status, printed, message := run(t, "report", "--out", out, "--format", format)
		require.Equal(t, exitOK, status, message)
		want, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		require.Equal(t, string(want), printed, format)
	}
	status, printed, message := run(t, "report", "--out", out)
	require.Equal(t, exitOK, status, message)
	require.Contains(t, printed, "FAILED scotch@gnu12/Debian_12/aarch64")
	require.Contains(t, printed, "RECIPE")
	status, printed, message = run(t, "report", "--out", out, "--quiet")
	require.Equal(t, exitOK, status, message)
	require.NotContains(t, printed, "RECIPE")
	require.Contains(t, printed, "2 built, 1 reused, 1 failed")
	status, printed, message = run(t, "report", "--out", out, "--format", "markdown")
	require.Equal(t, exitOK, status, message)
	require.Contains(t, printed, "order.c:3:1: error: unknown type <SCOTCH_Num>")
}

func TestReportTellsWhatItCannotRead(t *testing.T) {
	out := t.TempDir()
	status, _, message := run(t, "report", "--out", out)
	require.Equal(t, exitUsage, status)
	require.Contains(t, message, "there is no report in "+out)
	status, _, message = run(t, "report", "--format", "pdf")
	require.Equal(t, exitUsage, status)
	require.Contains(t, message, `--format is text, markdown, json, junit, trace, html, not "pdf"`)
	require.NoError(t, os.Mkdir(filepath.Join(out, "report"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(out, "report/matrix.json"), []byte(`{"version": 7}`), 0o644))
	status, _, message = run(t, "report", "--out", out)
	require.Equal(t, exitUsage, status)
	require.Contains(t, message, "has version 7 of the report's format, and this program knows up to 1")
}
