package publish_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// replace puts another file in the place of one that may be a hard link.
func replace(t testing.TB, name string, b []byte) {
	t.Helper()
	require.NoError(t, os.Remove(name))
	require.NoError(t, os.WriteFile(name, b, 0o644))
}

// flip changes one byte in the middle of a file.
func flip(t testing.TB, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	b[len(b)/2] ^= 1
	replace(t, name, b)
}

// TestVerify damages a snapshot in every way that it can think of.
func TestVerify(t *testing.T) {
	other, err := otherKey()
	require.NoError(t, err)
	data := func(t *testing.T, dir, kind string) string {
		md, err := rpmmd.ReadRepomd(dir)
		require.NoError(t, err)
		d, ok := md.Find(kind)
		require.True(t, ok)
		return filepath.Join(dir, d.Location)
	}
	const doc = "noarch/doc-1-1^git.noarch.rpm"
	for name, test := range map[string]struct {
		damage func(t *testing.T, f *fixture, dir string)
		want   string
	}{
		"repomd":    {func(t *testing.T, _ *fixture, dir string) { flip(t, filepath.Join(dir, rpmmd.RepomdFile)) }, "repodata/repomd.xml: its signature is wrong"},
		"signature": {func(t *testing.T, _ *fixture, dir string) { flip(t, filepath.Join(dir, rpmmd.RepomdFile+".asc")) }, "repomd.xml: its signature is wrong"},
		"no signature": {func(t *testing.T, _ *fixture, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, rpmmd.RepomdFile+".asc")))
		}, "no such file"},
		"primary":      {func(t *testing.T, _ *fixture, dir string) { flip(t, data(t, dir, "primary")) }, "primary: "},
		"filelists":    {func(t *testing.T, _ *fixture, dir string) { flip(t, data(t, dir, "filelists")) }, "filelists: "},
		"other gone":   {func(t *testing.T, _ *fixture, dir string) { require.NoError(t, os.Remove(data(t, dir, "other"))) }, "other: "},
		"package":      {func(t *testing.T, _ *fixture, dir string) { flip(t, filepath.Join(dir, doc)) }, doc + ": its digest is"},
		"package gone": {func(t *testing.T, _ *fixture, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, doc))) }, "no such file"},
		"package is a link": {func(t *testing.T, _ *fixture, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, doc), filepath.Join(dir, "src", "x")))
			require.NoError(t, os.Symlink("../src/x", filepath.Join(dir, doc)))
		}, doc + ": it is no regular file"},
		"stranger": {func(t *testing.T, _ *fixture, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "noarch", "evil.rpm"), nil, 0o644))
		}, "noarch/evil.rpm: it does not belong"},
		"other key beside": {func(t *testing.T, _ *fixture, dir string) {
			replace(t, filepath.Join(dir, rpmmd.RepomdFile+".key"), other.PublicKey())
		}, "which is not trusted"},
		"second key beside": {func(t *testing.T, f *fixture, dir string) {
			replace(t, filepath.Join(dir, "RPM-GPG-KEY-OpenHPC-3"), append(f.spec.Key.PublicKey(), other.PublicKey()...))
		}, "RPM-GPG-KEY-OpenHPC-3: it offers key " + other.Fingerprint()},
		"metadata of something else": {func(t *testing.T, f *fixture, dir string) {
			rewrite(t, f, dir, func(e *rpmmd.Entry) { e.Package.Version = "7" })
		}, `its version is "1", the metadata say "7"`},
		"another place": {func(t *testing.T, f *fixture, dir string) {
			rewrite(t, f, dir, func(e *rpmmd.Entry) { e.Location = "noarch/renamed.rpm" })
		}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			snap := f.mustMake(f.some()...)
			test.damage(t, f, snap.Dir)
			err := publish.Verify(t.Context(), snap.Dir, f.spec.Key.Keyring())
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "verifying "+snap.Dir)
		})
	}
	f := setUp(t)
	snap := f.mustMake(f.some()...)
	require.ErrorContains(t, publish.Verify(t.Context(), snap.Dir, other.Keyring()), "signed by a key that is not trusted")
}

// rewrite writes metadata that are right in themselves and signed, but wrong
// about one package.
func rewrite(t testing.TB, f *fixture, dir string, change func(*rpmmd.Entry)) {
	t.Helper()
	require.NoError(t, os.RemoveAll(filepath.Join(dir, rpmmd.Dir)))
	var entries []rpmmd.Entry
	for _, name := range tree(t, dir) {
		if !strings.HasSuffix(name, ".rpm") {
			continue
		}
		p, err := rpm.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		entries = append(entries, rpmmd.Entry{Package: p, Location: name, SHA256: digest(t, filepath.Join(dir, name))})
	}
	for i := range entries {
		if entries[i].Package.Name == "doc" {
			change(&entries[i])
		}
	}
	_, err := rpmmd.Write(t.Context(), dir, entries, rpmmd.Options{})
	require.NoError(t, err)
	repomd, err := os.ReadFile(filepath.Join(dir, rpmmd.RepomdFile))
	require.NoError(t, err)
	var sig bytes.Buffer
	require.NoError(t, f.spec.Key.SignDetached(&sig, bytes.NewReader(repomd), created))
	require.NoError(t, os.WriteFile(filepath.Join(dir, rpmmd.RepomdFile+".asc"), sig.Bytes(), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, rpmmd.RepomdFile+".key"), f.spec.Key.PublicKey(), 0o644))
}

func digest(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return store.Of(b).Hex()
}

// TestVerifyUnsigned finds a package that lost its signature after publishing,
// when the metadata were made to match.
func TestVerifyUnsigned(t *testing.T) {
	f := setUp(t)
	snap := f.mustMake(f.some()...)
	name := filepath.Join(snap.Dir, "noarch", "doc-1-1^git.noarch.rpm")
	replace(t, name, rpmtest.Simple("doc", "1", "1^git", "noarch").Bytes())
	rewrite(t, f, snap.Dir, func(*rpmmd.Entry) {})
	require.ErrorContains(t, publish.Verify(t.Context(), snap.Dir, f.spec.Key.Keyring()), "it is not signed")
}
