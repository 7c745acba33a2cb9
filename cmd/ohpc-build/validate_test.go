package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// published writes the metadata of packages into a new folder.
func published(t *testing.T, packages ...rpmtest.Craft) string {
	t.Helper()
	dir := t.TempDir()
	var entries []rpmmd.Entry
	for i, c := range packages {
		b := c.Bytes()
		p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		entries = append(entries, rpmmd.Entry{Package: p, Location: p.Arch + "/" + p.FileName(), SHA256: fmt.Sprintf("%064x", i)})
	}
	_, err := rpmmd.Write(t.Context(), dir, entries, rpmmd.Options{})
	require.NoError(t, err)
	return dir
}

func TestValidateClosure(t *testing.T) {
	scotch := rpmtest.Simple("scotch-gnu12-ohpc", "7.0.3", "1", "x86_64",
		rpmtest.Texts(1049, "/bin/sh"), rpmtest.Int32s(1048, 0), rpmtest.Texts(1050, ""))
	libs := rpmtest.Simple("serial-libs", "3", "1", "noarch",
		rpmtest.Texts(1049, "scotch-gnu12-ohpc", "a\u009b2Jb"), rpmtest.Int32s(1048, 12, 0), rpmtest.Texts(1050, "8", ""))
	lists := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(lists, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	shell := write("base.txt", "bash = 5.2\n/bin/sh\n")
	bash := rpmtest.Simple("bash", "5.2", "1", "x86_64", rpmtest.Texts(1047, "/bin/sh"), rpmtest.Int32s(1112, 0), rpmtest.Texts(1113, ""))

	good := published(t, scotch)
	for _, base := range [][]string{
		{"--provided", shell},
		{"--provided", bash.Write(t, "bash.rpm")},
		{"--base", published(t, bash)},
	} {
		status, out, message := run(t, append([]string{"validate", "closure", "--repo", good}, base...)...)
		require.Equal(t, exitOK, status, message)
		require.Equal(t, "closed: 1 requirement of 1 package for x86_64, all met\n", out)
	}

	server := httptest.NewServer(http.FileServer(http.Dir(published(t, scotch, libs))))
	defer server.Close()
	status, out, message := run(t, "validate", "closure", "--repo", server.URL, "--provided", shell)
	require.Equal(t, exitFailed, status)
	require.Equal(t, "2 requirements not met", message)
	require.Equal(t, "x86_64: serial-libs-3-1.noarch requires a\uFFFD2Jb\n"+
		"x86_64: serial-libs-3-1.noarch requires scotch-gnu12-ohpc >= 8: scotch-gnu12-ohpc is there in 7.0.3-1, not >= 8\n"+
		"2 not met, of 3 requirements of 2 packages for x86_64\n", out)

	status, out, _ = run(t, "validate", "closure", "--repo", server.URL, "--format", "json", "--arch", "x86_64")
	require.Equal(t, exitFailed, status)
	var report struct {
		Version, Packages int
		Cells             []string
		Missing           []struct{ Cell, Package, Requirement, Nearest string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, 1, report.Version)
	require.Equal(t, 2, report.Packages)
	require.Len(t, report.Missing, 3)
	require.Equal(t, "/bin/sh", report.Missing[0].Requirement)

	status, out, _ = run(t, "validate", "closure", "--repo", good)
	require.Equal(t, exitFailed, status)
	require.Contains(t, out, "name it with --base or --provided")

	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"two subjects":     {[]string{"--repo", good, "--tree", lists}, "give one"},
		"left of a repo":   {[]string{"--repo", good, "--explain"}, "--explain is for recipes"},
		"an argument":      {[]string{good}, "takes no argument"},
		"unknown format":   {[]string{"--repo", good, "--format", "xml"}, "--format is text or json"},
		"no repository":    {[]string{"--repo", lists}, "name the folder that holds repodata"},
		"no base":          {[]string{"--repo", good, "--base", lists}, "name the folder that holds repodata"},
		"unknown scheme":   {[]string{"--repo", "ftp://example.org/el9"}, "a folder, or a file:, http: or https: URL"},
		"gone":             {[]string{"--repo", server.URL + "/gone"}, "404 Not Found"},
		"nothing to check": {[]string{"--repo", good, "--arch", "aarch64"}, "no binary package to check for aarch64"},
		"malformed list":   {[]string{"--repo", good, "--provided", write("wrong.txt", "a\nb c\n")}, "wrong.txt:2:"},
		"malformed rpm":    {[]string{"--repo", good, "--provided", write("wrong.rpm", leadMagic)}, "wrong.rpm"},
		"list is absent":   {[]string{"--repo", good, "--provided", "absent"}, "absent"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, message := run(t, append([]string{"validate", "closure"}, tc.args...)...)
			require.Equal(t, exitUsage, status, message)
			require.Contains(t, message, tc.want)
		})
	}
}
