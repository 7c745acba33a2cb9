package rpmmdtest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// Repository writes packages and their metadata to a new folder and returns it.
func Repository(t testing.TB, opt rpmmd.Options, packages ...rpmtest.Craft) string {
	t.Helper()
	dir := t.TempDir()
	var entries []rpmmd.Entry
	for _, c := range packages {
		b := c.Bytes()
		tmp := c.Write(t, "package.rpm")
		p, err := rpm.ReadFile(tmp)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p.FileName()), b, 0o644); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		entries = append(entries, rpmmd.Entry{Package: p, Location: p.FileName(), SHA256: hex.EncodeToString(sum[:])})
	}
	if _, err := rpmmd.Write(t.Context(), dir, entries, opt); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Root is a root in which dnf or zypper run and know one repository.
type Root struct {
	t   testing.TB
	dir string
}

// NewRoot returns an empty root that knows the repository in a folder, without
// signatures.
func NewRoot(t testing.TB, repository string) Root {
	t.Helper()
	r := Root{t, t.TempDir()}
	for name, content := range map[string]string{
		"etc/dnf.conf":        "[main]\n",
		"etc/repos/test.repo": "[test]\nname=test\nbaseurl=file://" + repository + "\nenabled=1\ngpgcheck=0\nrepo_gpgcheck=0\nmetadata_expire=0\n",
		"log/.keep":           "",
	} {
		path := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// Dnf runs dnf in the root and returns what it says on both streams.
func (r Root) Dnf(args ...string) (string, error) {
	r.t.Helper()
	at := func(name string) string { return filepath.Join(r.dir, name) }
	return rpmtest.Try(r.t, "dnf", append([]string{
		"--config", at("etc/dnf.conf"), "--installroot", r.dir, "--releasever", "9", "--assumeyes",
		"--setopt=reposdir=" + at("etc/repos"), "--setopt=cachedir=" + at("cache"), "--setopt=logdir=" + at("log"),
		"--setopt=persistdir=" + at("persist"), "--setopt=pluginpath=" + r.dir, "--setopt=varsdir=" + r.dir,
	}, args...)...)
}

// Zypper runs zypper in the root and returns what it says on both streams.
func (r Root) Zypper(args ...string) (string, error) {
	r.t.Helper()
	return rpmtest.Try(r.t, "zypper", append([]string{
		"--non-interactive", "--root", r.dir, "--no-gpg-checks",
		"--reposd-dir", filepath.Join(r.dir, "etc", "repos"), "--cache-dir", filepath.Join(r.dir, "cache"),
	}, args...)...)
}

// Install installs packages in the root with rpm.
func (r Root) Install(packages ...rpmtest.Craft) {
	r.t.Helper()
	args := []string{"--root", r.dir, "--nosignature", "--nodeps", "--justdb", "-i"}
	for _, c := range packages {
		args = append(args, c.Write(r.t, "package.rpm"))
	}
	rpmtest.Run(r.t, "rpm", args...)
}

// Query asks rpm about the packages in the root, in a format of rpm's.
func (r Root) Query(format string) string {
	r.t.Helper()
	return rpmtest.Run(r.t, "rpm", "--root", r.dir, "-qa", "--qf", format)
}
