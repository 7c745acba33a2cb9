package dist_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/dist"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

var created = time.Date(2024, 10, 21, 12, 0, 0, 0, time.UTC)

var ourKey = sync.OnceValues(func() (*sign.Key, error) {
	return sign.Generate(sign.Params{Name: "tests", Email: "tests@example.org", Created: created, Bits: 2048})
})

const spec = `
Name:      carried
Version:   1.0
Release:   1
Summary:   Carried along by tests
License:   MIT
Requires:  carried-common = %{version}
%description
Carried along by tests.
%package common
Summary:   What both architectures share
BuildArch: noarch
%description common
What both architectures share.
%install
mkdir -p %{buildroot}/usr/share/carried
echo %{_target_cpu} > %{buildroot}/usr/share/carried/arch
echo yes > %{buildroot}/usr/share/carried/common
%files
/usr/share/carried/arch
%files common
/usr/share/carried/common
`

// snapshot is a repository of two architectures.
func snapshot(t testing.TB, documents ...rpmmd.Document) (dir string, key *sign.Key) {
	t.Helper()
	key, err := ourKey()
	require.NoError(t, err)
	dir = t.TempDir()
	var entries []rpmmd.Entry
	there := map[string]bool{}
	for _, arch := range []string{"x86_64", "aarch64"} {
		for _, path := range rpmtest.BuildText(t, spec, arch) {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			var signed bytes.Buffer
			require.NoError(t, key.SignPackage(t.Context(), bytes.NewReader(b), int64(len(b)), &signed, created))
			p, err := rpm.Read(bytes.NewReader(signed.Bytes()), int64(signed.Len()))
			require.NoError(t, err)
			place := p.Arch + "/" + p.FileName()
			if there[place] {
				continue
			}
			there[place] = true
			require.NoError(t, os.MkdirAll(filepath.Join(dir, p.Arch), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, place), signed.Bytes(), 0o644))
			sum := sha256.Sum256(signed.Bytes())
			entries = append(entries, rpmmd.Entry{Package: p, Location: place, SHA256: hex.EncodeToString(sum[:])})
		}
	}
	require.Len(t, entries, 4)
	_, err = rpmmd.Write(t.Context(), dir, entries, rpmmd.Options{Time: created, Documents: documents})
	require.NoError(t, err)
	return dir, key
}

func archive(dir string, key *sign.Key, arch string) dist.Archive {
	return dist.Archive{Snapshot: dir, Release: "3.2", Target: "EL_9", Arch: arch, Signer: key}
}

// unpack lays an archive out as tar does, with bounds of its own.
func unpack(t testing.TB, b []byte, dir string) (names []string) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		require.NoError(t, err)
		require.True(t, fs.ValidPath(strings.TrimSuffix(h.Name, "/")), h.Name)
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			require.NoError(t, os.MkdirAll(path, 0o755))
			continue
		}
		names = append(names, h.Name)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, text, h.FileInfo().Mode()))
	}
}

func TestArchiveHoldsWhatItSays(t *testing.T) {
	dir, key := snapshot(t)
	for _, test := range []struct {
		arch    string
		sources bool
		want    []string
	}{
		{"x86_64", false, []string{"noarch/carried-common-1.0-1.noarch.rpm", "x86_64/carried-1.0-1.x86_64.rpm"}},
		{"ppc64le", false, []string{"noarch/carried-common-1.0-1.noarch.rpm"}},
		{"aarch64", true, []string{"aarch64/carried-1.0-1.aarch64.rpm", "noarch/carried-common-1.0-1.noarch.rpm", "src/carried-1.0-1.src.rpm"}},
	} {
		t.Run(test.arch, func(t *testing.T) {
			a := archive(dir, key, test.arch)
			a.Sources = test.sources
			var b, again bytes.Buffer
			summary, err := a.Write(t.Context(), &b)
			require.NoError(t, err)
			require.Equal(t, len(test.want), summary.Packages)
			_, err = a.Write(t.Context(), &again)
			require.NoError(t, err)
			require.Equal(t, b.Bytes(), again.Bytes(), "the same snapshot gives the same bytes")

			top := t.TempDir()
			var packages []string
			for _, name := range unpack(t, b.Bytes(), top) {
				require.True(t, strings.HasPrefix(name, "OpenHPC-3.2.EL_9."+test.arch+"/"), name)
				if strings.HasSuffix(name, ".rpm") {
					packages = append(packages, strings.TrimPrefix(name, "OpenHPC-3.2.EL_9."+test.arch+"/"))
				}
			}
			require.Equal(t, test.want, packages)

			// The metadata tell of exactly these, and are signed.
			repo := filepath.Join(top, "OpenHPC-3.2.EL_9."+test.arch)
			md, err := rpmmd.ReadRepomd(repo)
			require.NoError(t, err)
			primary, ok := md.Find("primary")
			require.True(t, ok)
			r, err := rpmmd.OpenData(repo, primary)
			require.NoError(t, err)
			var told []string
			_, err = rpmmd.ReadPrimary(r, func(p rpmmd.Record) error {
				told = append(told, p.Location)
				return nil
			})
			require.NoError(t, err)
			require.Equal(t, test.want, told)
			doc, err := os.ReadFile(filepath.Join(repo, rpmmd.RepomdFile))
			require.NoError(t, err)
			signature, err := os.ReadFile(filepath.Join(repo, rpmmd.RepomdFile+".asc"))
			require.NoError(t, err)
			require.NoError(t, key.Keyring().VerifyDetached(bytes.NewReader(doc), bytes.NewReader(signature)))
		})
	}
}

func TestArchiveRefuses(t *testing.T) {
	dir, key := snapshot(t)
	empty := t.TempDir()
	_, err := rpmmd.Write(t.Context(), empty, nil, rpmmd.Options{Time: created})
	require.NoError(t, err)
	_, err = archive(empty, key, "riscv64").Write(t.Context(), io.Discard)
	require.EqualError(t, err, "making OpenHPC-3.2.EL_9.riscv64.tar: the snapshot has no packages for riscv64; it has none at all")
	for _, a := range []dist.Archive{
		{Snapshot: dir, Release: "..", Target: "EL_9", Arch: "x86_64", Signer: key},
		{Snapshot: dir, Release: "3", Target: "EL_9/../..", Arch: "x86_64", Signer: key},
	} {
		_, err := a.Write(t.Context(), io.Discard)
		require.ErrorContains(t, err, "cannot be the name of a")
	}
	path := filepath.Join(dir, "x86_64", "carried-1.0-1.x86_64.rpm")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[len(b)-1] ^= 1
	require.NoError(t, os.WriteFile(path, b, 0o644))
	_, err = archive(dir, key, "x86_64").Write(t.Context(), io.Discard)
	var mismatch *rpmmd.MismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, "x86_64/carried-1.0-1.x86_64.rpm", mismatch.File)

	// What the metadata name is not looked for outside of the snapshot.
	require.NoError(t, os.Rename(path, filepath.Join(t.TempDir(), "elsewhere.rpm")))
	require.NoError(t, os.Symlink("/etc/hostname", path))
	_, err = archive(dir, key, "x86_64").Write(t.Context(), io.Discard)
	require.ErrorContains(t, err, "path escapes")
}

// TestClientsInstall unpacks an archive, lets its script make it known, and lets
// dnf and zypper install from it with all checks on.
func TestClientsInstall(t *testing.T) {
	dir, key := snapshot(t)
	var b bytes.Buffer
	_, err := archive(dir, key, "x86_64").Write(t.Context(), &b)
	require.NoError(t, err)
	for _, client := range []struct {
		name, folder string
		command      func(root string) []string
	}{
		{"dnf", "etc/yum.repos.d", func(root string) []string {
			return []string{
				"--config", filepath.Join(root, "etc", "dnf.conf"), "--installroot", root, "--releasever", "9", "--assumeyes",
				"--forcearch", "x86_64", "--setopt=reposdir=" + filepath.Join(root, "etc", "yum.repos.d"), "--setopt=cachedir=" + filepath.Join(root, "cache"),
				"--setopt=logdir=" + filepath.Join(root, "log"), "--setopt=persistdir=" + filepath.Join(root, "persist"),
				"--setopt=pluginpath=" + root, "--setopt=varsdir=" + root, "install", "carried",
			}
		}},
		{"zypper", "etc/zypp/repos.d", func(root string) []string {
			return []string{
				"--non-interactive", "--root", root, "--reposd-dir", filepath.Join(root, "etc", "zypp", "repos.d"),
				"--cache-dir", filepath.Join(root, "cache"), "install", "carried",
			}
		}},
	} {
		t.Run(client.name, func(t *testing.T) {
			rpmtest.Tool(t, client.name)
			top, root := t.TempDir(), t.TempDir()
			unpack(t, b.Bytes(), top)
			require.NoError(t, os.MkdirAll(filepath.Join(root, "log"), 0o755))
			require.NoError(t, os.MkdirAll(filepath.Join(root, client.folder), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(root, "etc", "dnf.conf"), []byte("[main]\n"), 0o644))
			script := filepath.Join(top, "OpenHPC-3.2.EL_9.x86_64", "make_repo.sh")
			file := filepath.Join(root, client.folder, "OpenHPC.local.repo")
			said := rpmtest.Run(t, script, "--root", root)
			require.Contains(t, said, file+" names the repository in ")
			rpmtest.Run(t, script, "--root", root) // once more does no harm
			out, err := rpmtest.Try(t, client.name, client.command(root)...)
			require.NoError(t, err, out)
			arch, err := os.ReadFile(filepath.Join(root, "usr/share/carried/arch"))
			require.NoError(t, err, out)
			require.Equal(t, "x86_64\n", string(arch))
			require.FileExists(t, filepath.Join(root, "usr/share/carried/common"))
			rpmtest.Run(t, script, "--remove", "--root", root)
			require.NoFileExists(t, file)
		})
	}
}

func TestScriptSpeaksUp(t *testing.T) {
	dir, key := snapshot(t)
	var b bytes.Buffer
	_, err := archive(dir, key, "x86_64").Write(t.Context(), &b)
	require.NoError(t, err)
	top := filepath.Join(t.TempDir(), "with space")
	unpack(t, b.Bytes(), top)
	script := filepath.Join(top, "OpenHPC-3.2.EL_9.x86_64", "make_repo.sh")
	for want, args := range map[string][]string{
		"usage: make_repo.sh":                     {"--help"},
		"--root wants a folder":                   {"--root"},
		"is no folder":                            {"--root", "/nonexistent"},
		"that a repository's address cannot hold": {"--root", t.TempDir()},
	} {
		out, err := rpmtest.Try(t, script, args...)
		require.Contains(t, out, want)
		require.Equal(t, args[0] == "--help", err == nil)
	}
	out, err := rpmtest.Try(t, script, "--nonsense")
	require.Error(t, err)
	require.Contains(t, out, "usage: make_repo.sh")
}
