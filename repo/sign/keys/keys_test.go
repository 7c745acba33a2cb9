package keys_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/sign/keys"
)

var (
	params = sign.Params{Name: "Test", Email: "test@example.org", Algorithm: sign.Ed25519, Created: time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)}
	built  = time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
)

func open(t *testing.T, dir string, s keys.Source) *keys.Folder {
	t.Helper()
	f, err := keys.Open(dir, s)
	require.NoError(t, err)
	return f
}

func signed(t *testing.T, k *sign.Key, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, k.SignPackage(t.Context(), bytes.NewReader(b), int64(len(b)), &out, built))
	return out.Bytes()
}

// TestRotate signs with the old and the new key what stays the same.
func TestRotate(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, keys.Source{})
	old, err := f.KeyOrNew(t.Context(), params)
	require.NoError(t, err)
	same, err := f.KeyOrNew(t.Context(), params)
	require.NoError(t, err)
	require.Equal(t, old.Fingerprint(), same.Fingerprint())
	r, err := f.Rotate(t.Context(), sign.Params{Name: "Test", Email: "test@example.org", Bits: 2048, Created: params.Created})
	require.NoError(t, err)
	require.Equal(t, old.Fingerprint(), r.Old.Fingerprint)
	require.Equal(t, []string{r.Key.Fingerprint(), old.Fingerprint()}, r.Key.Published().Fingerprints())
	require.Equal(t, []string{r.Key.Fingerprint()}, r.Key.Keyring().Fingerprints(), "only one signs")

	plain := rpmtest.Simple("rotated", "1", "1", "noarch").Bytes()
	once, again := signed(t, r.Key, plain), signed(t, r.Key, signed(t, old, plain))
	require.Equal(t, once, again)
	require.Equal(t, once, signed(t, r.Key, once))

	// The old private key works still, should somebody need it.
	kept, err := sign.LoadKey(r.Private)
	require.NoError(t, err)
	require.Equal(t, signed(t, old, plain), signed(t, kept, plain))

	third, err := f.Rotate(t.Context(), params)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{third.Key.Fingerprint(), r.Key.Fingerprint(), old.Fingerprint()}, third.Key.Published().Fingerprints())

	// rpm imports all of what is published, and verifies what each has signed.
	db := []string{"--define", "_dbpath " + filepath.Join(t.TempDir(), "db")}
	public := filepath.Join(t.TempDir(), "key.asc")
	require.NoError(t, os.WriteFile(public, third.Key.PublicKey(), 0o644))
	rpmtest.Run(t, "rpmkeys", append(db, "--import", public)...)
	for _, k := range []*sign.Key{old, r.Key, third.Key} {
		path := filepath.Join(t.TempDir(), "signed.rpm")
		require.NoError(t, os.WriteFile(path, signed(t, k, plain), 0o644))
		rpmtest.Run(t, "rpmkeys", append(db, "--define", "_pkgverify_level all", "--checksig", path)...)
		_, err := third.Key.Published().VerifyPackageFile(t.Context(), path)
		require.NoError(t, err)
	}

	require.NoError(t, f.Drop(t.Context(), old.Fingerprint()))
	k, err := f.Key(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{third.Key.Fingerprint(), r.Key.Fingerprint()}, k.Published().Fingerprints())

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 4, "the key, two old ones and the folder of public ones; nothing temporary")
}

// TestExpired rotates a key that cannot sign any more.
func TestExpired(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "own.asc")
	p := params
	p.Created, p.Lifetime = time.Now().Add(-48*time.Hour), 24*time.Hour
	k, err := sign.Generate(p)
	require.NoError(t, err)
	require.NoError(t, k.Save(file))
	f := open(t, filepath.Join(dir, "keys"), keys.Source{File: file})
	_, err = f.Key(t.Context())
	require.ErrorIs(t, err, sign.ErrKeyInvalid)
	require.ErrorContains(t, err, "ohpc-build key rotate replaces it")
	r, err := f.Rotate(t.Context(), params)
	require.NoError(t, err)
	require.Equal(t, "file "+file, f.String())
	require.Equal(t, k.Fingerprint(), r.Old.Fingerprint)
	require.False(t, r.Old.Expires.IsZero())
	require.FileExists(t, r.Private)
}

// TestElsewhere marks a key that a command holds as old.
func TestElsewhere(t *testing.T) {
	dir := t.TempDir()
	k, err := sign.Generate(params)
	require.NoError(t, err)
	public := filepath.Join(dir, "public.asc")
	require.NoError(t, os.WriteFile(public, k.PublicKey(), 0o644))
	f := open(t, dir, keys.Source{Command: []string{"true", "--slot"}, PublicKey: public})
	require.Equal(t, "command true --slot", f.String())
	_, err = f.Generate(t.Context(), params)
	require.ErrorContains(t, err, "make it there")
	r, err := f.Rotate(t.Context(), params)
	require.NoError(t, err)
	require.Nil(t, r.Key)
	same, err := f.Key(t.Context())
	require.NoError(t, err)
	require.Equal(t, k.PublicKey(), same.PublicKey(), "it is not published twice")
	next, err := open(t, dir, keys.Source{}).KeyOrNew(t.Context(), params)
	require.NoError(t, err)
	require.Equal(t, []string{next.Fingerprint(), k.Fingerprint()}, next.Published().Fingerprints())
}

func TestProblems(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, keys.Source{File: filepath.Join(dir, "own.asc")})
	_, err := f.KeyOrNew(t.Context(), params)
	require.ErrorIs(t, err, keys.ErrNoKey, "a key that was named is not made")
	_, err = open(t, dir, keys.Source{Agent: "me"}).Key(t.Context())
	require.ErrorContains(t, err, "signing key me of gpg-agent: it is to be named by its fingerprint")

	k, err := f.Generate(t.Context(), params)
	require.NoError(t, err)
	retired := filepath.Join(dir, "retired")
	require.NoError(t, os.Mkdir(retired, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(retired, "README"), nil, 0o644))
	for name, text := range map[string][]byte{
		"stranger.asc":                  k.PublicKey(),
		k.Fingerprint() + ".asc":        []byte("no key"),
		k.Fingerprint() + ".second.asc": append(k.PublicKey(), k.PublicKey()...),
	} {
		path := filepath.Join(retired, name)
		require.NoError(t, os.WriteFile(path, text, 0o644))
		_, err := f.Key(t.Context())
		require.ErrorContains(t, err, "reading the retired key "+path)
		require.NoError(t, os.Remove(path))
	}
	_, err = f.Key(t.Context())
	require.NoError(t, err)
}

// TestTogether lets several processes need a key at once: there is one in the end.
func TestTogether(t *testing.T) {
	f := open(t, t.TempDir(), keys.Source{})
	var group sync.WaitGroup
	got := make([]string, 4)
	for i := range got {
		group.Go(func() {
			if k, err := f.KeyOrNew(t.Context(), params); err == nil {
				got[i] = k.Fingerprint()
			}
		})
	}
	group.Wait()
	for _, fingerprint := range got {
		require.Len(t, fingerprint, 40)
		require.Equal(t, got[0], fingerprint)
	}
}

// TestGenerateTogether: of commands that make the key at once one does, and the others
// are not told to move it away.
func TestGenerateTogether(t *testing.T) {
	f := open(t, t.TempDir(), keys.Source{})
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { _, errs[i] = f.Generate(t.Context(), params) })
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
			continue
		}
		require.ErrorContains(t, err, "signing.asc is there already; ohpc-build key rotate replaces it")
		require.NotContains(t, err.Error(), "move it away")
	}
	require.Equal(t, 1, made)
}
