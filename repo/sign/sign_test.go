package sign_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sassoftware/go-rpmutils"
	"github.com/stretchr/testify/require"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

var (
	created = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)
	signed  = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
)

// Keys are made once for all tests: RSA-4096 takes seconds.
var (
	ourKey = sync.OnceValues(func() (*sign.Key, error) {
		return sign.Generate(sign.Params{Name: "OpenHPC 3", Comment: "built by ohpc-build", Email: "root@localhost", Created: created})
	})
	otherKey = sync.OnceValues(func() (*sign.Key, error) {
		return sign.Generate(sign.Params{Name: "Somebody else", Email: "else@example.org", Created: created, Bits: 2048})
	})
)

var ed25519Key = sync.OnceValues(func() (*sign.Key, error) {
	return sign.Generate(sign.Params{
		Name: "OpenHPC 3", Comment: "built by ohpc-build", Email: "root@localhost", Algorithm: sign.Ed25519, Created: created,
	})
})

func keys(t testing.TB) (ours, other *sign.Key) {
	t.Helper()
	ours, err := ourKey()
	require.NoError(t, err)
	other, err = otherKey()
	require.NoError(t, err)
	return ours, other
}

// rpmkeys is rpm's own verification with a database of its own that trusts k.
func rpmkeys(t testing.TB, k *sign.Key) (check func(path string) (string, error)) {
	t.Helper()
	dir := t.TempDir()
	db := []string{"--define", "_dbpath " + filepath.Join(dir, "db")}
	if k != nil {
		key := filepath.Join(dir, "key.asc")
		require.NoError(t, os.WriteFile(key, k.PublicKey(), 0o644))
		rpmtest.Run(t, "rpmkeys", append(db, "--import", key)...)
		require.Contains(t, rpmtest.Run(t, "rpm", append(db, "-qa", "gpg-pubkey", "--qf", "%{PACKAGER}")...), "OpenHPC 3 (built by ohpc-build) <root@localhost>")
	}
	return func(path string) (string, error) {
		return rpmtest.Try(t, "rpmkeys", append(db, "--define", "_pkgverify_level all", "--checksig", "-v", path)...)
	}
}

// TestSignPackage signs what rpmbuild built and asks rpm, go-rpmutils and
// ourselves.
func TestSignPackage(t *testing.T) {
	ours, _ := keys(t)
	small, err := ed25519Key()
	require.NoError(t, err)
	for name, key := range map[string]*sign.Key{"RSA": ours, "EdDSA": small} {
		check := rpmkeys(t, key)
		for _, path := range rpmtest.Varied(t) {
			t.Run(name+"/"+filepath.Base(path), func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "signed.rpm")
				require.NoError(t, key.SignPackageFile(t.Context(), path, out, signed))

				said, err := check(out)
				require.NoError(t, err, said)
				id := strings.ToLower(key.Fingerprint()[32:])
				require.Contains(t, said, "Header V4 "+name+"/SHA256 Signature, key ID "+id+": OK")
				require.NotContains(t, said, "NOTFOUND")

				f, err := os.Open(out)
				require.NoError(t, err)
				defer f.Close()
				entities, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(key.PublicKey()))
				require.NoError(t, err)
				_, sigs, err := rpmutils.Verify(f, entities)
				require.NoError(t, err)
				require.Len(t, sigs, 1)

				p, err := key.Keyring().VerifyPackageFile(t.Context(), out)
				require.NoError(t, err)
				require.True(t, p.Signed)
				require.Equal(t, []bool{name == "RSA", name == "EdDSA"}, []bool{p.SignatureHeader().Has(rpm.SigRSA), p.SignatureHeader().Has(rpm.SigDSA)})
				require.Equal(t, content(t, path), content(t, out))
				fi, err := os.Stat(out)
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o644), fi.Mode())

				// The same again, and over itself, changes nothing.
				first, err := os.ReadFile(out)
				require.NoError(t, err)
				require.NoError(t, key.SignPackageFile(t.Context(), out, out, signed))
				second, err := os.ReadFile(out)
				require.NoError(t, err)
				require.True(t, bytes.Equal(first, second))
			})
		}
	}
}

// forgeable is a package as rpm made them before 4.14: only an MD5 covers its payload.
func forgeable(name string) rpmtest.Craft {
	c := rpmtest.Simple(name, "1", "1", "noarch")
	c.Format = 3
	return c
}

// TestSignBoth signs header and payload where the header's signature does not
// cover the payload.
func TestSignBoth(t *testing.T) {
	ours, _ := keys(t)
	small, err := ed25519Key()
	require.NoError(t, err)
	for name, key := range map[string]*sign.Key{"RSA": ours, "EdDSA": small} {
		path := filepath.Join(t.TempDir(), "both.rpm")
		require.NoError(t, os.WriteFile(path, signBytes(t, key, forgeable("both").Bytes(), signed), 0o644))
		said, err := rpmkeys(t, key)(path)
		require.NoError(t, err, said)
		require.Contains(t, said, "    Header V4 "+name+"/SHA256 Signature")
		require.Contains(t, said, "    V4 "+name+"/SHA256 Signature")
		p, err := key.Keyring().VerifyPackageFile(t.Context(), path)
		require.NoError(t, err)
		require.Len(t, p.Signatures(), 2)
		require.Equal(t, name == "EdDSA", p.SignatureHeader().Has(rpm.SigGPG))
		require.Equal(t, name == "RSA", p.SignatureHeader().Has(rpm.SigPGP))
	}
}

func content(t testing.TB, path string) string {
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

// TestReplaceSignatures signs packages that others have signed.
func TestReplaceSignatures(t *testing.T) {
	key, other := keys(t)
	craft := rpmtest.Simple("resigned", "1", "1", "noarch")
	plain := craft.Bytes()
	craft.Signature = []rpmtest.Entry{rpmtest.Binary(267, []byte("stale")), rpmtest.Texts(278, "c3RhbGU="), rpmtest.Binary(1005, []byte("stale")), rpmtest.Binary(1008, make([]byte, 4128))}
	stale := craft.Bytes()

	want := signBytes(t, key, plain, signed)
	require.Equal(t, want, signBytes(t, key, stale, signed))
	require.Equal(t, want, signBytes(t, key, signBytes(t, other, plain, signed), signed))
	require.NotEqual(t, want, signBytes(t, key, plain, signed.Add(time.Second)))
	require.Equal(t, signBytes(t, key, plain, created), signBytes(t, key, plain, created.Add(-time.Hour)), "never before the key was made")

	_, err := key.Keyring().VerifyPackage(t.Context(), bytes.NewReader(stale), int64(len(stale)))
	require.ErrorIs(t, err, sign.ErrBadSignature)
	_, err = key.Keyring().VerifyPackage(t.Context(), bytes.NewReader(plain), int64(len(plain)))
	require.ErrorIs(t, err, sign.ErrUnsigned)
	_, err = other.Keyring().VerifyPackage(t.Context(), bytes.NewReader(want), int64(len(want)))
	require.ErrorIs(t, err, sign.ErrUnknownKey)
}

func signBytes(t testing.TB, k *sign.Key, b []byte, at time.Time) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, k.SignPackage(t.Context(), bytes.NewReader(b), int64(len(b)), &out, at))
	return out.Bytes()
}

// TestTampered changes every byte of a signed package: none may go unnoticed
// but those of the lead and the signature header that say nothing.
func TestTampered(t *testing.T) {
	key, _ := keys(t)
	b := signBytes(t, key, rpmtest.Simple("tampered", "1", "1", "noarch").Bytes(), signed)
	p, err := key.Keyring().VerifyPackage(t.Context(), bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	for i := p.HeaderStart; i < int64(len(b)); i++ {
		bad := bytes.Clone(b)
		bad[i] ^= 0x20
		_, err := key.Keyring().VerifyPackage(t.Context(), bytes.NewReader(bad), int64(len(bad)))
		require.Error(t, err, "byte %d", i)
	}
	check := rpmkeys(t, key)
	for name, at := range map[string]int64{"header": p.HeaderStart + 500, "payload": p.HeaderEnd + 3} {
		bad := bytes.Clone(b)
		bad[at] ^= 0x20
		path := filepath.Join(t.TempDir(), name+".rpm")
		require.NoError(t, os.WriteFile(path, bad, 0o644))
		_, err := check(path)
		require.Error(t, err, "rpm would not notice it either")
		_, err = key.Keyring().VerifyPackageFile(t.Context(), path)
		require.ErrorContains(t, err, name+".rpm")
	}
	for _, cut := range []int64{1, 5, int64(len(b)) - p.HeaderEnd, int64(len(b)) - 10} {
		_, err := key.Keyring().VerifyPackage(t.Context(), bytes.NewReader(b), int64(len(b))-cut)
		require.Error(t, err)
	}
}

// TestWeak refuses packages whose signatures do not cover enough.
func TestWeak(t *testing.T) {
	key, _ := keys(t)
	verify := func(b []byte) error {
		_, err := key.Keyring().VerifyPackage(t.Context(), bytes.NewReader(b), int64(len(b)))
		return err
	}
	only := func(b []byte, headerOnly bool) []byte {
		p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		for _, s := range p.Signatures() {
			if s.HeaderOnly == headerOnly {
				return append(p.WithSignatures(s), b[p.HeaderStart:]...)
			}
		}
		return nil
	}
	require.NoError(t, verify(signBytes(t, key, rpmtest.Simple("weak", "1", "1", "noarch").Bytes(), signed)), "the header's digest covers the payload")
	both := signBytes(t, key, forgeable("weak").Bytes(), signed)
	require.NoError(t, verify(both))
	require.ErrorContains(t, verify(only(both, false)), "its header alone is not signed")
	require.ErrorContains(t, verify(only(both, true)), "nothing strong covers its payload")

	sha1 := "0d2c5b9cf4bd4e8b0d0e5f3a9ad9c4bb6c04d5a6"
	weak := rpmtest.Simple("weak", "1", "1", "noarch", rpmtest.Texts(5092, sha1), rpmtest.Int32s(5093, 2)).Bytes()
	var out bytes.Buffer
	require.ErrorContains(t, key.SignPackage(t.Context(), bytes.NewReader(weak), int64(len(weak)), &out, signed), "the payload digest (SHA-1) is")
}

// TestRpmsign verifies what rpm's own tool signed with our key.
func TestRpmsign(t *testing.T) {
	ours, _ := keys(t)
	small, err := ed25519Key()
	require.NoError(t, err)
	for name, key := range map[string]*sign.Key{"RSA": ours, "Ed25519": small} {
		t.Run(name, func(t *testing.T) { testRpmsign(t, key) })
	}
}

func testRpmsign(t *testing.T, key *sign.Key) {
	rpmtest.Tool(t, "rpmsign")
	home := gpgHome(t)
	secret := filepath.Join(home, "secret.asc")
	require.NoError(t, key.Save(secret))
	rpmtest.Run(t, "gpg", "--homedir", home, "--batch", "--quiet", "--import", secret)
	path := rpmtest.Simple("rpmsigned", "1", "1", "noarch").Write(t, "rpmsigned.rpm")
	before := content(t, path)
	rpmtest.Run(t, "rpmsign", "--define", "_gpg_path "+home, "--define", "_gpg_name "+key.Fingerprint(),
		"--define", "__gpg "+rpmtest.Tool(t, "gpg"), "--rpmv3", "--addsign", path)
	p, err := key.Keyring().VerifyPackageFile(t.Context(), path)
	require.NoError(t, err)
	require.Len(t, p.Signatures(), 2, "rpmsign was asked for both")
	require.Equal(t, before, content(t, path))
}

// gpgHome is a home for gpg whose agent ends with the test.
func gpgHome(t testing.TB) string {
	t.Helper()
	rpmtest.Tool(t, "gpg")
	home := t.TempDir()
	t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	return home
}

func TestSignDetached(t *testing.T) {
	key, other := keys(t)
	message := []byte("<repomd/>\n")
	var sig, again bytes.Buffer
	require.NoError(t, key.SignDetached(&sig, bytes.NewReader(message), signed))
	require.NoError(t, key.SignDetached(&again, bytes.NewReader(message), signed))
	require.Equal(t, sig.String(), again.String())
	require.True(t, strings.HasPrefix(sig.String(), "-----BEGIN PGP SIGNATURE-----\n"))
	verify := func(kr *sign.Keyring, message, sig []byte) error {
		return kr.VerifyDetached(bytes.NewReader(message), bytes.NewReader(sig))
	}
	require.NoError(t, verify(key.Keyring(), message, sig.Bytes()))
	require.ErrorIs(t, verify(other.Keyring(), message, sig.Bytes()), sign.ErrUnknownKey)
	require.ErrorIs(t, verify(key.Keyring(), append(message, ' '), sig.Bytes()), sign.ErrBadSignature)
	require.ErrorIs(t, verify(key.Keyring(), message, []byte("no signature")), sign.ErrBadSignature)
	require.ErrorIs(t, verify(key.Keyring(), message, key.PublicKey()), sign.ErrBadSignature)
	require.ErrorIs(t, verify(key.Keyring(), message, sig.Bytes()[:200]), sign.ErrBadSignature)

	home := gpgHome(t)
	write := func(name string, b []byte) string {
		path := filepath.Join(home, name)
		require.NoError(t, os.WriteFile(path, b, 0o600))
		return path
	}
	gpg := []string{"--homedir", home, "--batch", "--trust-model", "always"}
	rpmtest.Run(t, "gpg", append(gpg, "--import", write("key.asc", key.PublicKey()))...)
	file, ascii := write("repomd.xml", message), write("repomd.xml.asc", sig.Bytes())
	require.Contains(t, rpmtest.Run(t, "gpg", append(gpg, "--verify", ascii, file)...), "Good signature from \"OpenHPC 3 (built by ohpc-build) <root@localhost>\"")
	write("repomd.xml", append(message, ' '))
	_, err := rpmtest.Try(t, "gpg", append(gpg, "--verify", ascii, file)...)
	require.Error(t, err)
}

func TestKeyFiles(t *testing.T) {
	key, other := keys(t)
	require.Equal(t, "OpenHPC 3 (built by ohpc-build) <root@localhost>", key.UserID())
	require.Equal(t, created, key.Created().UTC())
	require.Len(t, key.Fingerprint(), 40)
	require.Equal(t, created, key.SigningTime(created.Add(-time.Hour)))
	require.Equal(t, signed, key.SigningTime(signed.Add(time.Millisecond)))

	path := filepath.Join(t.TempDir(), "keys", "signing.asc")
	require.NoError(t, key.Save(path))
	fi, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), fi.Mode())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing temporary is left")
	require.ErrorContains(t, other.Save(path), "exists; move it away first")
	loaded, err := sign.LoadKey(path)
	require.NoError(t, err)
	require.Equal(t, key.PublicKey(), loaded.PublicKey())
	b := rpmtest.Simple("loaded", "1", "1", "noarch").Bytes()
	require.Equal(t, signBytes(t, key, b, signed), signBytes(t, loaded, b, signed))

	require.NoError(t, os.Chmod(path, 0o640))
	_, err = sign.LoadKey(path)
	require.ErrorContains(t, err, "others may read it (mode 0640); run: chmod 600 "+path)
	_, err = sign.LoadKey(path + ".none")
	require.ErrorIs(t, err, os.ErrNotExist)
	private, err := os.ReadFile(path)
	require.NoError(t, err)

	for want, text := range map[string]string{
		"it is no armored OpenPGP key": "no key",
		"expected a PGP PRIVATE KEY":   string(key.PublicKey()),
		"it holds 2 keys":              string(private) + string(private),
		"it is larger than":            strings.Repeat("x", 2<<20),
	} {
		_, err := sign.ReadKey(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}

	both, err := sign.ReadKeyring(bytes.NewReader(append(key.PublicKey(), other.PublicKey()...)))
	require.NoError(t, err)
	require.Equal(t, []string{key.Fingerprint(), other.Fingerprint()}, both.Fingerprints())
	for _, k := range []*sign.Key{key, other} {
		p := signBytes(t, k, b, signed)
		_, err := both.VerifyPackage(t.Context(), bytes.NewReader(p), int64(len(p)))
		require.NoError(t, err)
	}
	_, err = sign.ReadKeyring(bytes.NewReader(private))
	require.ErrorContains(t, err, "expected a PGP PUBLIC KEY", "a private key does not belong there")
}

func TestGenerateRefuses(t *testing.T) {
	_, err := sign.Generate(sign.Params{Name: "weak", Bits: 1024})
	require.ErrorContains(t, err, "1024 bits are too few")
	_, err = sign.Generate(sign.Params{Name: "line\nfeed", Bits: 2048})
	require.ErrorContains(t, err, "control characters")
	_, err = sign.Generate(sign.Params{Name: "a <b>", Bits: 2048})
	require.ErrorContains(t, err, "invalid characters")
}

func TestSignRefuses(t *testing.T) {
	key, _ := keys(t)
	dir := t.TempDir()
	for want, b := range map[string][]byte{
		"not an RPM package": bytes.Repeat([]byte("no package "), 50),
		"unexpected EOF":     rpmtest.Lead(),
	} {
		path := filepath.Join(dir, "bad.rpm")
		require.NoError(t, os.WriteFile(path, b, 0o644))
		err := key.SignPackageFile(t.Context(), path, filepath.Join(dir, "out.rpm"), signed)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "bad.rpm")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := rpmtest.Simple("cancelled", "1", "1", "noarch").Write(t, "c.rpm")
	require.ErrorIs(t, key.SignPackageFile(ctx, path, filepath.Join(dir, "out.rpm"), signed), context.Canceled)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "a failed attempt leaves nothing")

	b := forgeable("changing").Bytes()
	p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	err = key.SignPackage(t.Context(), &changing{b: b, payload: p.HeaderEnd}, int64(len(b)), io.Discard, signed)
	require.ErrorContains(t, err, "was changed while it was being signed")
}

// changing gives another payload each time it is read.
type changing struct {
	b       []byte
	payload int64 // where it begins
	reads   int
}

func (c *changing) ReadAt(b []byte, off int64) (int, error) {
	if off >= c.payload {
		if c.reads++; c.reads > 1 {
			c.b = bytes.Clone(c.b)
			c.b[len(c.b)-1] ^= 1
		}
	}
	return bytes.NewReader(c.b).ReadAt(b, off)
}

func FuzzVerifyPackage(f *testing.F) {
	key, err := otherKey()
	require.NoError(f, err)
	f.Add(signBytes(f, key, rpmtest.Simple("fuzz", "1", "1", "noarch").Bytes(), signed))
	f.Add(binary.BigEndian.AppendUint64(rpmtest.Lead(), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = key.Keyring().VerifyPackage(t.Context(), bytes.NewReader(b), int64(len(b)))
		_ = key.SignPackage(t.Context(), bytes.NewReader(b), int64(len(b)), io.Discard, signed)
	})
}

func BenchmarkSignPackage(b *testing.B) {
	key, _ := keys(b)
	craft := rpmtest.Simple("bench", "1", "1", "noarch")
	craft.Payload = bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	file := craft.Bytes()
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if err := key.SignPackage(b.Context(), bytes.NewReader(file), int64(len(file)), io.Discard, signed); err != nil {
			b.Fatal(err)
		}
	}
}
