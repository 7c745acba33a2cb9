package matrix_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/sign/keys"
)

// TestRotation replaces the key between two runs: nothing is built again, all is
// signed again, and dnf and zypper in the target accept it, by Ed25519 too, with
// both keys in one file. The private half is nowhere but in its file.
func TestRotation(t *testing.T) {
	l := newLine(t)
	l.opt.State = withOwnKeys(t, l.opt.State)
	l.component("rotated", "", "", file("rotated", "rotated"))
	r, err := l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	tree := filepath.Join(l.opt.Out, r.Snapshots[0].Path)
	before := packagesOf(t, tree)
	folder, err := matrix.Keys(l.opt.State, keys.Source{})
	require.NoError(t, err)
	first, err := folder.Key(t.Context())
	require.NoError(t, err)

	params := matrix.KeyParams("Next", "next@example.org")
	params.Algorithm = sign.Ed25519
	rotation, err := folder.Rotate(t.Context(), params)
	require.NoError(t, err)
	again, err := l.new(t).Run(t.Context())
	require.NoError(t, err, again.Failures())
	require.Equal(t, report.Reused, job(t, again, "rotated").Result)
	require.NotEqual(t, r.Snapshots[0].ID, again.Snapshots[0].ID)

	after := packagesOf(t, tree)
	require.Len(t, after, len(before))
	for name, path := range after {
		p, err := rotation.Key.Keyring().VerifyPackageFile(t.Context(), path)
		require.NoError(t, err)
		require.True(t, p.SignatureHeader().Has(rpm.SigDSA))
		require.False(t, p.SignatureHeader().Has(rpm.SigRSA))
		require.Equal(t, contentOf(t, before[name]), contentOf(t, path), "only the signature is another")
	}
	published, err := os.ReadFile(filepath.Join(tree, "RPM-GPG-KEY-OpenHPC-3"))
	require.NoError(t, err)
	kr, err := sign.ReadKeyring(bytes.NewReader(published))
	require.NoError(t, err)
	require.Equal(t, []string{rotation.Key.Fingerprint(), first.Fingerprint()}, kr.Fingerprints())

	third, err := l.new(t).Run(t.Context())
	require.NoError(t, err, third.Failures())
	require.Equal(t, again.Snapshots[0].ID, third.Snapshots[0].ID)

	private, err := os.ReadFile(filepath.Join(l.opt.State, "keys", "signing.asc"))
	require.NoError(t, err)
	secret := bytes.Split(private, []byte("\n"))[3] // a line that is no other key's
	var seen int
	for _, root := range []string{l.opt.Out, filepath.Join(l.opt.State, "jobs"), filepath.Join(l.opt.State, "run"), filepath.Join(l.opt.State, "store", "records")} {
		if root, err = filepath.EvalSymlinks(root); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) { // of another test
				return nil
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			seen++
			require.False(t, bytes.Contains(b, secret), "%s holds the private key", path)
			return err
		}))
	}
	require.Greater(t, seen, 10)
}

// withOwnKeys is a state folder that shares all but the keys with another one.
func withOwnKeys(t *testing.T, shared string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"layers", "store", "jobs"} {
		require.NoError(t, os.MkdirAll(filepath.Join(shared, name), 0o755))
		require.NoError(t, os.Symlink(filepath.Join(shared, name), filepath.Join(dir, name)))
	}
	return dir
}

// packagesOf are the paths of a repository's packages by their names. They are those
// in the snapshot, which stay.
func packagesOf(t *testing.T, tree string) map[string]string {
	t.Helper()
	tree, err := filepath.EvalSymlinks(tree)
	require.NoError(t, err)
	all := map[string]string{}
	files, err := filepath.Glob(filepath.Join(tree, "*", "*.rpm"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		all[filepath.Base(path)] = path
	}
	return all
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	p, err := rpm.ReadFile(path)
	require.NoError(t, err)
	d, err := p.ContentDigest(t.Context(), f)
	require.NoError(t, err)
	return d
}
