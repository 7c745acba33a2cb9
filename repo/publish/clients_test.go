package publish_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// TestClients lets dnf and zypper install from a published repository with all
// checks on, and sees them refuse it after a byte was changed.
func TestClients(t *testing.T) {
	f := publishtest.SetUp(t)
	const (
		file      = "noarch/client-test-1.0~rc1-1.noarch.rpm"
		installed = "usr/share/client-test/installed"
	)
	var packages []publish.Package
	var unsigned []byte
	for _, path := range rpmtest.BuildText(t, publishtest.Installable("1.0~rc1"), "noarch") {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		if filepath.Base(path) == filepath.Base(file) {
			unsigned = b
		}
		var out bytes.Buffer
		require.NoError(t, f.Spec.Key.SignPackage(t.Context(), bytes.NewReader(b), int64(len(b)), &out, publishtest.Created))
		packages = append(packages, f.Raw(out.Bytes(), path))
	}
	publishOne := func(t *testing.T) snapshot.Snapshot {
		g := *f
		g.TB = t
		g.Spec.Root = filepath.Join(t.TempDir(), "repos")
		g.Spec.BaseURL = "file://" + g.Spec.Root
		snap := g.MustMake(packages...)
		require.NoError(t, g.Publish(snap))
		return snap
	}
	for _, c := range publishtest.Clients {
		t.Run(c.Name, func(t *testing.T) {
			snap := publishOne(t)
			root := c.Root(t, filepath.Join(snap.Dir, layout.RepoFileName))
			out, err := c.Run(t, root, c.Refresh...)
			require.NoError(t, err, out)
			require.NotContains(t, out, "Unknown configuration option")
			out, err = c.Run(t, root, c.Install...)
			require.NoError(t, err, out)
			require.FileExists(t, filepath.Join(root, installed), out)
		})
		for _, test := range []struct {
			name     string
			damage   func(testing.TB, snapshot.Snapshot)
			metadata bool // refused when it is refreshed, not only when it is installed from
			reason   map[string]string
		}{
			{
				"repomd.xml", func(t testing.TB, s snapshot.Snapshot) { publishtest.Flip(t, filepath.Join(s.Dir, rpmmd.RepomdFile)) }, true,
				map[string]string{"dnf": "repomd.xml GPG signature verification error", "zypper": "Signature verification failed for file 'repomd.xml'"},
			},
			{
				"package", func(t testing.TB, s snapshot.Snapshot) { publishtest.Flip(t, filepath.Join(s.Dir, file)) }, false,
				map[string]string{"dnf": "checksum doesn't match", "zypper": "verification failed"},
			},
			{"unsigned package", func(t testing.TB, s snapshot.Snapshot) {
				publishtest.Replace(t, filepath.Join(s.Dir, file), unsigned)
				publishtest.Rewrite(t, f, s.Dir, func(*rpmmd.Entry) {})
			}, false, map[string]string{"dnf": "is not signed", "zypper": "is not signed"}},
		} {
			t.Run(c.Name+" refuses "+test.name, func(t *testing.T) {
				snap := publishOne(t)
				test.damage(t, snap)
				root := c.Root(t, filepath.Join(snap.Dir, layout.RepoFileName))
				out, err := c.Run(t, root, c.Refresh...)
				if test.metadata {
					require.Error(t, err, out)
					require.Contains(t, out, test.reason[c.Name])
				} else {
					require.NoError(t, err, out)
				}
				out, err = c.Run(t, root, c.Install...)
				require.Error(t, err, out)
				if !test.metadata {
					require.Contains(t, out, test.reason[c.Name])
				}
				require.NoFileExists(t, filepath.Join(root, installed))
			})
		}
	}
}
