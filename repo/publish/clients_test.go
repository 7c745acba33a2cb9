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

const installable = `
Name:      client-test
Version:   1.0~rc1
Release:   1
Summary:   Installed by tests
License:   MIT
BuildArch: noarch
%description
Installed by tests.
%install
mkdir -p %{buildroot}/usr/share/client-test
echo yes > %{buildroot}/usr/share/client-test/installed
%files
/usr/share/client-test
`

// client is a package manager with a root, caches and configuration of its own,
// which knows only the published repository.
type client struct {
	name string
	run  func(t testing.TB, root string, command ...string) (string, error)
	// What makes it read the repository again, and install.
	refresh, install []string
}

var clients = []client{
	{
		name: "dnf",
		run: func(t testing.TB, root string, command ...string) (string, error) {
			return rpmtest.Try(t, "dnf", append([]string{
				"--config", filepath.Join(root, "etc", "dnf.conf"), "--installroot", root, "--releasever", "9", "--assumeyes",
				"--setopt=reposdir=" + filepath.Join(root, "etc", "repos"), "--setopt=cachedir=" + filepath.Join(root, "cache"),
				"--setopt=logdir=" + filepath.Join(root, "log"), "--setopt=persistdir=" + filepath.Join(root, "persist"),
				"--setopt=pluginpath=" + root, "--setopt=varsdir=" + root,
			}, command...)...)
		},
		refresh: []string{"makecache", "--refresh"},
		install: []string{"install", "client-test"},
	},
	{
		name: "zypper",
		run: func(t testing.TB, root string, command ...string) (string, error) {
			return rpmtest.Try(t, "zypper", append([]string{
				"--non-interactive", "--gpg-auto-import-keys", "--root", root,
				"--reposd-dir", filepath.Join(root, "etc", "repos"), "--cache-dir", filepath.Join(root, "cache"),
			}, command...)...)
		},
		refresh: []string{"refresh", "--force"},
		install: []string{"install", "client-test"},
	},
}

func (c client) root(t testing.TB, snap snapshot.Snapshot) string {
	t.Helper()
	rpmtest.Tool(t, c.name)
	root := t.TempDir()
	for _, dir := range []string{"etc/repos", "log"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	repo, err := os.ReadFile(filepath.Join(snap.Dir, layout.RepoFileName))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc", "repos", layout.RepoFileName), repo, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc", "dnf.conf"), []byte("[main]\n"), 0o644))
	return root
}

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
	for _, path := range rpmtest.BuildText(t, installable, "noarch") {
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
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			snap := publishOne(t)
			root := c.root(t, snap)
			out, err := c.run(t, root, c.refresh...)
			require.NoError(t, err, out)
			require.NotContains(t, out, "Unknown configuration option")
			out, err = c.run(t, root, c.install...)
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
			t.Run(c.name+" refuses "+test.name, func(t *testing.T) {
				snap := publishOne(t)
				test.damage(t, snap)
				root := c.root(t, snap)
				out, err := c.run(t, root, c.refresh...)
				if test.metadata {
					require.Error(t, err, out)
					require.Contains(t, out, test.reason[c.name])
				} else {
					require.NoError(t, err, out)
				}
				out, err = c.run(t, root, c.install...)
				require.Error(t, err, out)
				if !test.metadata {
					require.Contains(t, out, test.reason[c.name])
				}
				require.NoFileExists(t, filepath.Join(root, installed))
			})
		}
	}
}
