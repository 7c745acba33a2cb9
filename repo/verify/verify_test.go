package verify_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/verify"
)

// TestVerify damages a snapshot in every way that it can think of.
func TestVerify(t *testing.T) {
	other, err := publishtest.OtherKey()
	require.NoError(t, err)
	const doc = "noarch/doc-1-1^git.noarch.rpm"
	for name, test := range map[string]struct {
		damage func(t *testing.T, f *publishtest.Fixture, dir string)
		want   string
	}{
		"repomd": {func(t *testing.T, _ *publishtest.Fixture, dir string) {
			publishtest.Flip(t, filepath.Join(dir, rpmmd.RepomdFile))
		}, "repodata/repomd.xml: its signature is wrong"},
		"signature": {func(t *testing.T, _ *publishtest.Fixture, dir string) {
			publishtest.Flip(t, filepath.Join(dir, rpmmd.RepomdFile+".asc"))
		}, "repomd.xml: its signature is wrong"},
		"no signature": {func(t *testing.T, _ *publishtest.Fixture, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, rpmmd.RepomdFile+".asc")))
		}, "no such file"},
		"primary": {func(t *testing.T, _ *publishtest.Fixture, dir string) {
			publishtest.Flip(t, dataFile(t, dir, "primary"))
		}, "primary: "},
		"filelists": {func(t *testing.T, _ *publishtest.Fixture, dir string) {
			publishtest.Flip(t, dataFile(t, dir, "filelists"))
		}, "filelists: "},
		"other gone": {func(t *testing.T, _ *publishtest.Fixture, dir string) {
			require.NoError(t, os.Remove(dataFile(t, dir, "other")))
		}, "other: "},
		"package": {func(t *testing.T, _ *publishtest.Fixture, dir string) { publishtest.Flip(t, filepath.Join(dir, doc)) }, doc + ": its digest is"},
		"package gone": {func(t *testing.T, _ *publishtest.Fixture, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, doc)))
		}, "no such file"},
		"package is a link": {func(t *testing.T, _ *publishtest.Fixture, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, doc), filepath.Join(dir, "src", "x")))
			require.NoError(t, os.Symlink("../src/x", filepath.Join(dir, doc)))
		}, doc + ": it is no regular file"},
		"stranger": {func(t *testing.T, _ *publishtest.Fixture, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "noarch", "evil.rpm"), nil, 0o644))
		}, "noarch/evil.rpm: it does not belong"},
		"other key beside": {func(t *testing.T, _ *publishtest.Fixture, dir string) {
			publishtest.Replace(t, filepath.Join(dir, rpmmd.RepomdFile+".key"), other.PublicKey())
		}, "which is not trusted"},
		"second key beside": {func(t *testing.T, f *publishtest.Fixture, dir string) {
			publishtest.Replace(t, filepath.Join(dir, "RPM-GPG-KEY-OpenHPC-3"), append(f.Spec.Key.PublicKey(), other.PublicKey()...))
		}, "RPM-GPG-KEY-OpenHPC-3: it offers key " + other.Fingerprint()},
		"metadata of something else": {func(t *testing.T, f *publishtest.Fixture, dir string) {
			publishtest.Rewrite(t, f, dir, func(e *rpmmd.Entry) { e.Package.Version = "7" })
		}, `its version is "1", the metadata say "7"`},
		"another place": {func(t *testing.T, f *publishtest.Fixture, dir string) {
			publishtest.Rewrite(t, f, dir, func(e *rpmmd.Entry) { e.Location = "noarch/renamed.rpm" })
		}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			f := publishtest.SetUp(t)
			snap := f.MustMake(f.Some()...)
			test.damage(t, f, snap.Dir)
			err := verify.Repository(t.Context(), snap.Dir, f.Spec.Key.Keyring())
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "verifying "+snap.Dir)
		})
	}
	f := publishtest.SetUp(t)
	snap := f.MustMake(f.Some()...)
	require.ErrorContains(t, verify.Repository(t.Context(), snap.Dir, other.Keyring()), "signed by a key that is not trusted")
}

// TestVerifyUnsigned finds a package that lost its signature after publishing,
// when the metadata were made to match.
func TestVerifyUnsigned(t *testing.T) {
	f := publishtest.SetUp(t)
	snap := f.MustMake(f.Some()...)
	name := filepath.Join(snap.Dir, "noarch", "doc-1-1^git.noarch.rpm")
	publishtest.Replace(t, name, rpmtest.Simple("doc", "1", "1^git", "noarch").Bytes())
	publishtest.Rewrite(t, f, snap.Dir, func(*rpmmd.Entry) {})
	require.ErrorContains(t, verify.Repository(t.Context(), snap.Dir, f.Spec.Key.Keyring()), "it is not signed")
}

// dataFile is where a kind of metadata lies.
func dataFile(t *testing.T, dir, kind string) string {
	md, err := rpmmd.ReadRepomd(dir)
	require.NoError(t, err)
	d, ok := md.Find(kind)
	require.True(t, ok)
	return filepath.Join(dir, d.Location)
}
