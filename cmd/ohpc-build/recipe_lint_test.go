package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes/lint"
)

// TestCommandReferenceOfRules compares docs/lint.md with what the rules say of
// themselves. `make docs` writes it anew.
func TestCommandReferenceOfRules(t *testing.T) {
	const path = "../../docs/lint.md"
	var fresh bytes.Buffer
	require.NoError(t, lint.WriteReference(&fresh))
	if *update {
		require.NoError(t, os.WriteFile(path, fresh.Bytes(), 0o644))
	}
	committed, err := os.ReadFile(path)
	require.NoError(t, err, "run make docs")
	require.Equal(t, fresh.String(), string(committed), "docs/lint.md is not what the rules say of themselves: run make docs")
}

func TestRecipeLint(t *testing.T) {
	status, out, message := run(t, "recipe", "lint", "--texts")
	require.Equal(t, exitOK, status, message+out)
	require.Contains(t, out, "nothing wrong", "the embedded catalogue is what others learn from")

	status, out, message = run(t, "recipe", "lint", "--rules")
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "unknown-requirement    error, warning  nothing provides what a package, or its build, requires\n")

	status, out, message = run(t, "recipe", "lint", "--explain", "repeated-pin")
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "repeated-pin (warning): several specs repeat one commit.\n\nWhen a source tree")

	for flag, want := range map[string]string{
		"--explain=repeated-pins": `there is no rule "repeated-pins" (did you mean "repeated-pin"?)`,
		"--severity=bad":          `a severity is note, warning or error, not "bad"`,
		"--format=xml":            `--format is text or json, not "xml"`,
	} {
		status, _, message = run(t, "recipe", "lint", flag)
		require.Equal(t, exitUsage, status)
		require.Contains(t, message, want)
	}
}

func TestRecipeLintFindings(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	write("catalog.yaml", "release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n")
	write("targets/Here_1.yaml", "name: Here_1\nsummary: A test\narchitectures: [x86_64, aarch64]\nimage: {reference: example.org/here}\nmanagers: [dnf]\n")
	write("components/dev-tools/late/recipe.yaml", "name: late\nkind: component\ngroup: dev-tools\nsummary: A test\n")
	write("components/dev-tools/late/SPECS/late.spec", "Name: late-ohpc\nVersion: 1.%(date +%Y)\nRelease: 1\nSummary: A test\nLicense: MIT\n%description\nA test.\n%files\n")

	const line = "components/dev-tools/late/SPECS/late.spec:2:12: error: while rpm parses the spec, “date” reads the clock:"
	status, out, message := run(t, "recipe", "lint", "--texts", "--catalog", dir)
	require.Equal(t, exitUsage, status)
	require.Equal(t, "1 error in the recipes", message)
	require.Contains(t, out, line)
	require.Contains(t, out, "    where: all\n")
	require.Contains(t, out, "1 recipe, 1 target, 0 family kinds (texts alone, rpm was not asked): 1 error, 0 warnings, 1 note; 1 not shown, see --severity\n")
	require.NotContains(t, out, "release-without-dist")

	status, out, _ = run(t, "recipe", "lint", "--texts", "--catalog", dir, "--severity", "note")
	require.Equal(t, exitUsage, status)
	require.Contains(t, out, "late.spec:3:10: note: the release has no %{?dist}")

	status, out, _ = run(t, "recipe", "lint", "--texts", "--catalog", dir, "--format", "json")
	require.Equal(t, exitUsage, status)
	var report lintReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, 1, report.Version)
	require.Len(t, report.Findings, 1)
	require.Equal(t, lint.Error, report.Findings[0].Severity)
	require.Equal(t, []string{"all"}, report.Findings[0].Where)
}
