package snapshot_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// written is a tree's snapshot, as far as its manifest.
func written(t *testing.T, root string, change func(*snapshot.Manifest)) string {
	t.Helper()
	m := snapshot.Manifest{
		Version: snapshot.ManifestVersion, Release: "3.2", Target: "EL_9", Architectures: []string{"x86_64", "aarch64"}, URL: "https://example.org", Packages: 7,
	}
	if change != nil {
		change(&m)
	}
	b, id, err := m.Encode()
	require.NoError(t, err)
	put(t, root, m.Target, id, b)
	return id
}

func put(t *testing.T, root, target, id string, b []byte) {
	t.Helper()
	dir := filepath.Join(root, layout.SnapshotDir(target, id))
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, snapshot.ManifestFile), b, 0o600))
}

func TestOpen(t *testing.T) {
	root := t.TempDir()
	id := written(t, root, nil)
	s, err := snapshot.Open(root, "EL_9", id)
	require.NoError(t, err)
	require.Equal(t, snapshot.Snapshot{
		ID: id, Dir: filepath.Join(root, "snapshots", "EL_9", id), Root: root, Release: "3.2", Target: "EL_9",
		Arches: []string{"x86_64", "aarch64"}, URL: "https://example.org", Packages: 7,
	}, s)
	m, is, err := snapshot.ReadManifest(s.Dir)
	require.NoError(t, err)
	require.Equal(t, id, is)
	require.Equal(t, 7, m.Packages)

	b, err := os.ReadFile(filepath.Join(s.Dir, snapshot.ManifestFile))
	require.NoError(t, err)
	other := strings.Repeat("0", 32)
	put(t, root, "EL_9", other, b)
	put(t, root, "EL_8", id, b)
	put(t, root, "EL_9", strings.Repeat("1", 32), []byte("{"))
	old := written(t, root, func(m *snapshot.Manifest) { m.Version = 1 })
	escape := strings.Repeat("2", 32)
	require.NoError(t, os.Symlink("/etc", filepath.Join(root, "snapshots", "EL_9", escape)))
	pipe, folder := strings.Repeat("3", 32), strings.Repeat("4", 32)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "snapshots", "EL_9", pipe), 0o755))
	require.NoError(t, unix.Mkfifo(filepath.Join(root, "snapshots", "EL_9", pipe, snapshot.ManifestFile), 0o644))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "snapshots", "EL_9", folder, snapshot.ManifestFile), 0o755))
	for _, id := range []string{pipe, folder} {
		_, _, err := snapshot.ReadManifest(filepath.Join(root, "snapshots", "EL_9", id))
		require.EqualError(t, err, "snapshot.json is no regular file")
	}
	for _, test := range []struct{ target, id, want string }{
		{"EL_9", pipe, "snapshot.json is no regular file"},
		{"EL_9", folder, "snapshot.json is no regular file"},
		{"EL_9", strings.Repeat("f", 32), "no such file"},
		{"EL_9", "../" + id, "its id is not 32 hexadecimal digits"},
		{"EL_9", strings.ToUpper(id), "its id is not 32 hexadecimal digits"},
		{"../EL_9", id, "cannot be a folder's name"},
		{"EL_9", other, "its digest is not the snapshot's name"},
		{"EL_8", id, `says that it is of target "EL_9"`},
		{"EL_9", strings.Repeat("1", 32), "unexpected end of JSON input"},
		{"EL_9", old, "is version 1, this program reads 2"},
		{"EL_9", escape, "path escapes"},
	} {
		_, err := snapshot.Open(root, test.target, test.id)
		require.ErrorContains(t, err, test.want)
		require.ErrorContains(t, err, "snapshot "+test.id+" of "+test.target)
	}
	_, err = snapshot.Open(root, "EL_9", strings.Repeat("f", 32))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	_, err := snapshot.Find(root, "abcd")
	require.EqualError(t, err, "no snapshot abcd in "+root+", nor any other")
	require.ErrorIs(t, err, fs.ErrNotExist)

	one := written(t, root, nil)
	two := written(t, root, func(m *snapshot.Manifest) { m.Target = "Leap_15" })
	all, err := snapshot.List(root)
	require.NoError(t, err)
	require.Len(t, all, 2)
	for _, name := range []string{one, one[:6], "EL_9/" + one[:4]} {
		s, err := snapshot.Find(root, name)
		require.NoError(t, err)
		require.Equal(t, one, s.ID)
	}
	_, err = snapshot.Find(root, one[:3])
	require.ErrorContains(t, err, "give at least 4 digits")
	_, err = snapshot.Find(root, "Leap_15/"+one)
	require.EqualError(t, err, "no snapshot Leap_15/"+one+" in "+root+"; there are EL_9/"+one[:8]+", Leap_15/"+two[:8])
	_, err = snapshot.Find(root, "../../"+one)
	require.ErrorIs(t, err, fs.ErrNotExist)

	// A damaged one is told, where what was looked for is not found.
	put(t, root, "EL_9", strings.Repeat("0", 32), []byte("{}"))
	_, err = snapshot.Find(root, one[:6])
	require.NoError(t, err)
	_, err = snapshot.Find(root, "ffff")
	require.ErrorContains(t, err, strings.Repeat("0", 32))
}

func TestContents(t *testing.T) {
	digest := func(add ...string) string {
		var c snapshot.Contents
		for i := 0; i < len(add); i += 2 {
			c.Add(add[i], add[i+1])
		}
		require.Equal(t, len(add)/2, c.Packages())
		return c.Digest()
	}
	different := []string{
		digest(), digest("a", "1"), digest("a", "2"), digest("b", "1"), digest("a", "1", "b", "1"), digest("b", "1", "a", "1"),
		digest("a\" sha256:1\n\"b", "1"),
	}
	seen := map[string]bool{}
	for _, d := range different {
		require.Len(t, d, 64)
		require.False(t, seen[d])
		seen[d] = true
	}
}

func FuzzReadManifest(f *testing.F) {
	b, _, err := snapshot.Manifest{Version: snapshot.ManifestVersion, Release: "3", Target: "EL_9"}.Encode()
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, snapshot.ManifestFile), b, 0o600))
		m, id, err := snapshot.ReadManifest(dir)
		if err == nil {
			require.Equal(t, snapshot.ManifestVersion, m.Version)
			require.True(t, layout.IsID(id))
		}
	})
}
