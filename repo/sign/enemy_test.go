package sign_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/binary"
	"math/bits"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// enemy is a key that goes its own ways.
type enemy struct {
	*openpgp.Entity
}

func newEnemy(t *testing.T, bits int, at time.Time, lifetime time.Duration) enemy {
	t.Helper()
	raw, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	primary := packet.NewRSAPrivateKey(at, raw)
	e := &openpgp.Entity{PrimaryKey: &primary.PublicKey, PrivateKey: primary, Identities: map[string]*openpgp.Identity{}}
	cfg := &packet.Config{Time: func() time.Time { return at }, KeyLifetimeSecs: uint32(lifetime.Seconds())}
	require.NoError(t, e.AddUserId("Enemy", "", "enemy@example.org", cfg))
	return enemy{e}
}

func (e enemy) public(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	require.NoError(t, err)
	require.NoError(t, e.Serialize(w))
	require.NoError(t, w.Close())
	return b.Bytes()
}

// packet signs content.
func (e enemy) packet(t *testing.T, content []byte, kind packet.SignatureType, at time.Time, lifetime uint32) []byte {
	t.Helper()
	s := &packet.Signature{
		Version: 4, SigType: kind, PubKeyAlgo: e.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA256, CreationTime: at,
		IssuerKeyId: &e.PrimaryKey.KeyId, SigLifetimeSecs: &lifetime,
	}
	h := crypto.SHA256.New()
	h.Write(content)
	require.NoError(t, s.Sign(h, e.PrivateKey, &packet.Config{DefaultHash: crypto.SHA256}))
	var b bytes.Buffer
	require.NoError(t, s.Serialize(&b))
	return b.Bytes()
}

// sha1Packet is a right signature over a SHA-1, which go-crypto does not make any more.
func (e enemy) sha1Packet(t *testing.T, content []byte) []byte {
	t.Helper()
	hashed := []byte{4, 0, 1, 2, 0, 6, 5, 2}
	hashed = binary.BigEndian.AppendUint32(hashed, uint32(signed.Unix()))
	h := sha1.New()
	h.Write(content)
	h.Write(hashed)
	h.Write([]byte{4, 0xff, 0, 0, 0, byte(len(hashed))})
	digest := h.Sum(nil)
	raw, err := e.PrivateKey.PrivateKey.(*rsa.PrivateKey).Sign(nil, digest, crypto.SHA1)
	require.NoError(t, err)
	raw = bytes.TrimLeft(raw, "\x00")
	body := append(bytes.Clone(hashed), 0, 10, 9, 16)
	body = binary.BigEndian.AppendUint64(body, e.PrimaryKey.KeyId)
	body = append(body, digest[:2]...)
	body = binary.BigEndian.AppendUint16(body, uint16(8*len(raw)-8+bits.Len8(raw[0])))
	body = append(body, raw...)
	return append(binary.BigEndian.AppendUint16([]byte{0x89}, uint16(len(body))), body...)
}

// TestEnemy refuses what is signed by a key that is trusted, and not well.
func TestEnemy(t *testing.T) {
	good := newEnemy(t, 2048, created, 0)
	short := newEnemy(t, 1024, created, 0)
	expired := newEnemy(t, 2048, created, 24*time.Hour)
	revoked := newEnemy(t, 2048, created, 0)
	require.NoError(t, revoked.RevokeKey(packet.KeyCompromised, "stolen", nil))
	ours, stranger := keys(t)

	craft := rpmtest.Simple("enemy", "1", "1", "noarch")
	p, err := rpm.Read(bytes.NewReader(craft.Bytes()), int64(len(craft.Bytes())))
	require.NoError(t, err)
	var header bytes.Buffer
	_, err = p.Header().WriteTo(&header)
	require.NoError(t, err)
	usual := func(e enemy) []byte {
		return e.packet(t, header.Bytes(), packet.SigTypeBinary, signed, 0)
	}
	strangers := func() []byte {
		b := signBytes(t, stranger, craft.Bytes(), signed)
		p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		return p.Signatures()[0].Packet
	}()
	tests := map[string]struct {
		by      enemy
		packets [][]byte // the first under RSA's tag, the second under that of others
		want    error    // nil: accepted
		says    string
	}{
		"good":              {good, [][]byte{usual(good)}, nil, ""},
		"twice":             {good, [][]byte{usual(good), usual(good)}, nil, ""},
		"1024 bits":         {short, [][]byte{usual(short)}, sign.ErrBadSignature, "has 1024 bits"},
		"expired key":       {expired, [][]byte{usual(expired)}, sign.ErrKeyInvalid, "has expired"},
		"revoked key":       {revoked, [][]byte{usual(revoked)}, sign.ErrKeyInvalid, "was revoked"},
		"SHA-1":             {good, [][]byte{good.sha1Packet(t, header.Bytes())}, sign.ErrBadSignature, "SHA-1"},
		"over text":         {good, [][]byte{good.packet(t, header.Bytes(), packet.SigTypeText, signed, 0)}, sign.ErrBadSignature, "not over a file's bytes"},
		"expired signature": {good, [][]byte{good.packet(t, header.Bytes(), packet.SigTypeBinary, signed, 60)}, sign.ErrBadSignature, "has expired"},
		"of the future":     {good, [][]byte{good.packet(t, header.Bytes(), packet.SigTypeBinary, time.Now().Add(24*time.Hour), 0)}, sign.ErrBadSignature, "not yet"},
		"older than key":    {good, [][]byte{good.packet(t, header.Bytes(), packet.SigTypeBinary, created.Add(-time.Hour), 0)}, sign.ErrBadSignature, "older than its key"},
		"of other content":  {good, [][]byte{good.packet(t, []byte("other"), packet.SigTypeBinary, signed, 0)}, sign.ErrBadSignature, ""},
		"and a stranger's":  {good, [][]byte{usual(good), strangers}, sign.ErrUnknownKey, "(" + stranger.Fingerprint()[24:] + ")"},
		"a stranger's":      {good, [][]byte{strangers}, sign.ErrUnknownKey, ""},
		"and a wrong one":   {good, [][]byte{usual(good), []byte("stale")}, sign.ErrBadSignature, "no OpenPGP packet"},
		"two in one":        {good, [][]byte{append(usual(good), strangers...)}, sign.ErrBadSignature, "something stands behind it"},
		"and a rest":        {good, [][]byte{append(usual(good), "rest"...)}, sign.ErrBadSignature, "something stands behind it"},
		"a key":             {good, [][]byte{packetsOf(t, good.public(t))}, sign.ErrBadSignature, "another OpenPGP packet"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var all []rpm.Signature
			for i, b := range tt.packets {
				all = append(all, rpm.Signature{Tag: []rpm.Tag{rpm.SigRSA, rpm.SigDSA}[i], HeaderOnly: true, Packet: b})
			}
			b := append(p.WithSignatures(all...), craft.Bytes()[p.HeaderStart:]...)
			kr, err := sign.ReadKeyring(bytes.NewReader(append(tt.by.public(t), ours.PublicKey()...)))
			require.NoError(t, err)
			_, err = kr.VerifyPackage(t.Context(), bytes.NewReader(b), int64(len(b)))
			if tt.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.says)
			// Signed by us it is good, whoever signed it before.
			again := signBytes(t, ours, b, signed)
			require.Equal(t, signBytes(t, ours, craft.Bytes(), signed), again)
		})
	}
}

// TestLasting tells signatures that end some day from those that do not.
func TestLasting(t *testing.T) {
	ours, _ := keys(t)
	craft := rpmtest.Simple("lasting", "1", "1", "noarch")
	read := func(b []byte) *rpm.Package {
		p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		return p
	}
	require.True(t, sign.Lasting(read(signBytes(t, ours, craft.Bytes(), signed))))
	p := read(craft.Bytes())
	e := newEnemy(t, 2048, created, 0)
	for lifetime, want := range map[uint32]bool{0: true, 60: false} {
		signature := rpm.Signature{Tag: rpm.SigRSA, HeaderOnly: true, Packet: e.packet(t, nil, packet.SigTypeBinary, signed, lifetime)}
		b := append(p.WithSignatures(signature), craft.Bytes()[p.HeaderStart:]...)
		require.Equal(t, want, sign.Lasting(read(b)))
	}
}

func packetsOf(t *testing.T, text []byte) []byte {
	t.Helper()
	block, err := armor.Decode(bytes.NewReader(text))
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = b.ReadFrom(block.Body)
	require.NoError(t, err)
	return b.Bytes()
}

// TestEnemyKeys refuses to sign with keys that clients would refuse.
func TestEnemyKeys(t *testing.T) {
	for says, e := range map[string]enemy{
		"has 1024 bits":         newEnemy(t, 1024, created, 0),
		"expired on 2024-03-02": newEnemy(t, 2048, created, 24*time.Hour),
	} {
		_, err := sign.NewKey(bytes.NewReader(e.public(t)), nil)
		require.ErrorContains(t, err, says)
	}
}

// TestMixedKeys refuses private keys that belong to another public one: what they
// sign would be wrong, and of RSA it can tell the primes.
func TestMixedKeys(t *testing.T) {
	rsaKey, otherRSA := newEnemy(t, 2048, created, 0), newEnemy(t, 2048, created, 0)
	var small [2]enemy
	for i := range small {
		e, err := openpgp.NewEntity("Enemy", "", "enemy@example.org", &packet.Config{
			Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return created },
		})
		require.NoError(t, err)
		small[i] = enemy{e}
	}
	for name, mixed := range map[string][2]enemy{"RSA": {rsaKey, otherRSA}, "Ed25519": small} {
		public, private := mixed[0], mixed[1].PrivateKey.PrivateKey
		var right bytes.Buffer
		write := func(to *bytes.Buffer) *bytes.Buffer {
			w, err := armor.Encode(to, openpgp.PrivateKeyType, nil)
			require.NoError(t, err)
			require.NoError(t, public.SerializePrivateWithoutSigning(w, nil))
			require.NoError(t, w.Close())
			return to
		}
		_, err := sign.ReadKey(write(&right))
		require.NoError(t, err, name)
		public.PrivateKey.PrivateKey = private
		_, err = sign.ReadKey(write(&bytes.Buffer{}))
		require.Error(t, err, name)
	}
}

// TestDamaged leaves alone what is there when a package cannot be signed.
func TestDamaged(t *testing.T) {
	key, _ := keys(t)
	good := rpmtest.Simple("damaged", "1", "1", "noarch").Bytes()
	p, err := rpm.Read(bytes.NewReader(good), int64(len(good)))
	require.NoError(t, err)
	for name, at := range map[string]int64{"header": p.HeaderStart + 500, "payload": p.HeaderEnd + 3, "its end": int64(len(good)) - 1} {
		bad := bytes.Clone(good)
		bad[at] ^= 0x20
		dir := t.TempDir()
		path := filepath.Join(dir, "damaged.rpm")
		require.NoError(t, os.WriteFile(path, bad, 0o640))
		var digest *rpm.DigestError
		err := key.SignPackageFile(t.Context(), path, path, signed)
		require.ErrorAs(t, err, &digest, name)
		require.ErrorContains(t, err, path)
		still, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, bad, still)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1)
	}
}

// TestKeyPlaces reads no key from where none can be.
func TestKeyPlaces(t *testing.T) {
	dir := t.TempDir()
	_, err := sign.LoadKey(dir)
	require.ErrorContains(t, err, dir)
	for _, mode := range []os.FileMode{0o604, 0o620, 0o644, 0o601} {
		path := filepath.Join(dir, mode.String())
		require.NoError(t, os.WriteFile(path, []byte("key"), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		_, err := sign.LoadKey(path)
		require.ErrorContains(t, err, "run: chmod 600 "+path)
		link := path + ".link"
		require.NoError(t, os.Symlink(path, link))
		_, err = sign.LoadKey(link)
		require.ErrorContains(t, err, "chmod 600", "it counts where it leads to")
	}
	endless := filepath.Join(dir, "endless")
	require.NoError(t, os.WriteFile(endless, nil, 0o600))
	require.NoError(t, os.Truncate(endless, 1<<40)) // takes no room
	_, err = sign.LoadKey(endless)
	require.ErrorContains(t, err, "it is larger than 1048576 bytes")
}
