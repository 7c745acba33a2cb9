package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/remote/order"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// TestProgram starts the real program as ohpc-build does.
func TestProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), order.Program)
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	start := func(input []byte) (status int, stdout, stderr string) {
		var a, b bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &a, &b
		if err := cmd.Run(); err != nil {
			require.ErrorAs(t, err, new(*exec.ExitError))
		}
		return cmd.ProcessState.ExitCode(), a.String(), b.String()
	}
	send := func(o order.Order) (int, string, string) {
		var b bytes.Buffer
		require.NoError(t, o.Write(&b))
		return start(b.Bytes())
	}

	root, folder := t.TempDir(), filepath.Join(t.TempDir(), "new", "bucket")
	write := func(name, text string) {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	m, id, err := snapshot.Manifest{Version: snapshot.ManifestVersion, Release: "3", Target: "EL_9", Architectures: []string{"x86_64"}}.Encode()
	require.NoError(t, err)
	p := layout.Pointer{Release: "3", Channel: layout.Release, Target: "EL_9"}
	base, err := layout.ParseURL("https://repos.example.org")
	require.NoError(t, err)
	write(layout.SnapshotDir("EL_9", id)+"/"+snapshot.ManifestFile, string(m))
	write(layout.SnapshotDir("EL_9", id)+"/repodata/repomd.xml", "<repomd/>")
	write(p.RepoFile(), "[OpenHPC]\n")
	write(p.Mirrorlist(), string(layout.MirrorlistFile(base, "EL_9", id)))

	o := order.Order{Root: root, Storage: "file://" + folder, Prefix: "hpc", Pointers: []layout.Pointer{p}, Verify: true, Prune: true}
	status, stdout, stderr := send(o)
	require.Zero(t, status, stderr)
	require.Contains(t, stdout, "files: 2 sent (")
	require.Contains(t, stdout, "byte by byte")
	require.FileExists(t, filepath.Join(folder, "hpc", p.Mirrorlist()))
	require.FileExists(t, filepath.Join(folder, "hpc", p.Link(), "repodata", "repomd.xml"))
	_, stdout, _ = send(o)
	require.Contains(t, stdout, "files: 0 sent")

	for _, test := range []struct {
		input  string
		status int
		says   string
	}{
		{"", exitFailed, "this program is started by ohpc-build repo push"},
		{`{"version":99}`, exitFailed, "install the two programs of one release"},
		{`{"version":1,"command":"rm"}`, exitFailed, "unknown field"},
	} {
		status, _, stderr := start([]byte(test.input))
		require.Equal(t, test.status, status)
		require.Contains(t, stderr, test.says)
	}
	o.Storage = "ftp://example.org"
	status, _, stderr = send(o)
	require.Equal(t, exitUsage, status)
	require.Contains(t, stderr, "opening the storage ftp://example.org")
	o.Storage = "file://" + folder
	require.NoError(t, os.WriteFile(filepath.Join(root, layout.SnapshotDir("EL_9", id), "repodata", "repomd.xml"), []byte("<changed/>"), 0o644))
	status, _, stderr = send(o)
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "is not what")
}
