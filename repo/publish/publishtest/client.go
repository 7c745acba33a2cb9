package publishtest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// Installable is the spec of a package that has one file.
func Installable(version string) string {
	return fmt.Sprintf(installable, version)
}

const installable = `
Name:      client-test
Version:   %s
Release:   1
Summary:   Installed by tests
License:   MIT
BuildArch: noarch
%%description
Installed by tests.
%%install
mkdir -p %%{buildroot}/usr/share/client-test
echo yes > %%{buildroot}/usr/share/client-test/installed
%%files
/usr/share/client-test
%%package -n client-anchor
Summary: Stays installed
Version: 1
%%description -n client-anchor
A package manager may not like a system without any package.
%%files -n client-anchor
`

// Client is a package manager with a root, caches and configuration of its own,
// which knows only the published repository.
type Client struct {
	Name string
	Run  func(t testing.TB, root string, command ...string) (string, error)
	// What makes it read the repository again, install, and remove what it installed.
	Refresh, Install, Remove []string
}

// Clients are dnf and zypper.
var Clients = []Client{
	{
		Name: "dnf",
		Run: func(t testing.TB, root string, command ...string) (string, error) {
			return rpmtest.Try(t, "dnf", append([]string{
				"--config", filepath.Join(root, "etc", "dnf.conf"), "--installroot", root, "--releasever", "9", "--assumeyes",
				"--setopt=reposdir=" + filepath.Join(root, "etc", "repos"), "--setopt=cachedir=" + filepath.Join(root, "cache"),
				"--setopt=logdir=" + filepath.Join(root, "log"), "--setopt=persistdir=" + filepath.Join(root, "persist"),
				"--setopt=pluginpath=" + root, "--setopt=varsdir=" + root,
			}, command...)...)
		},
		Refresh: []string{"makecache", "--refresh"},
		Install: []string{"install", "client-test"},
		Remove:  []string{"remove", "client-test"},
	},
	{
		Name: "zypper",
		Run: func(t testing.TB, root string, command ...string) (string, error) {
			return rpmtest.Try(t, "zypper", append([]string{
				"--non-interactive", "--gpg-auto-import-keys", "--root", root,
				"--reposd-dir", filepath.Join(root, "etc", "repos"), "--cache-dir", filepath.Join(root, "cache"),
			}, command...)...)
		},
		Refresh: []string{"refresh", "--force"},
		Install: []string{"install", "client-test"},
		Remove:  []string{"remove", "client-test"},
	},
}

// Root makes a root for the client that knows only the repositories of a .repo
// file.
func (c Client) Root(t testing.TB, repoFile string) string {
	t.Helper()
	rpmtest.Tool(t, c.Name)
	root := t.TempDir()
	for _, dir := range []string{"etc/repos", "log"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	repo, err := os.ReadFile(repoFile)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc", "repos", "test.repo"), repo, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc", "dnf.conf"), []byte("[main]\n"), 0o644))
	return root
}
