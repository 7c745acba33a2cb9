package sign_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// TestFormat6 signs packages of rpm 6 where it looks for signatures and where
// rpm 4 does, and verifies what is in its tag for them.
func TestFormat6(t *testing.T) {
	key, other := keys(t)
	craft := rpmtest.Format6(t, "six", "/usr/share/six", "content")
	out := signBytes(t, key, craft.Bytes(), signed)
	verify := func(b []byte) error {
		_, err := key.Keyring().VerifyPackage(t.Context(), bytes.NewReader(b), int64(len(b)))
		return err
	}
	require.NoError(t, verify(out))
	require.ErrorIs(t, verify(signBytes(t, other, craft.Bytes(), signed)), sign.ErrUnknownKey)
	require.Equal(t, out, signBytes(t, key, out, signed), "signing again changes nothing")

	p, err := rpm.Read(bytes.NewReader(out), int64(len(out)))
	require.NoError(t, err)
	signatures := p.Signatures()
	require.Len(t, signatures, 2)
	require.Equal(t, rpm.SigRSA, signatures[0].Tag)
	require.Equal(t, rpm.SigOpenPGP, signatures[1].Tag)

	only := func(signatures ...rpm.Signature) []byte {
		return append(p.WithSignatures(signatures...), out[p.HeaderStart:]...)
	}
	require.NoError(t, verify(only(signatures[1])), "rpm 6 writes this one alone")
	theirs := signBytes(t, other, craft.Bytes(), signed)
	q, err := rpm.Read(bytes.NewReader(theirs), int64(len(theirs)))
	require.NoError(t, err)
	require.ErrorIs(t, verify(only(signatures[1], q.Signatures()[1])), sign.ErrUnknownKey)
	require.ErrorIs(t, verify(only(rpm.Signature{Tag: rpm.SigOpenPGP, Packet: []byte("none")})), sign.ErrBadSignature)
	require.ErrorIs(t, verify(only()), sign.ErrUnsigned)
	require.NoError(t, verify(only(slices.Repeat(signatures[1:], 32)...)))
	require.ErrorContains(t, verify(only(slices.Repeat(signatures[1:], 33)...)), "there are 33, at most 32 are verified")
	changed := bytes.Clone(out)
	changed[len(changed)-1] ^= 1
	var digest *rpm.DigestError
	require.ErrorAs(t, verify(changed), &digest)

	path := filepath.Join(t.TempDir(), "six.rpm")
	require.NoError(t, os.WriteFile(path, out, 0o644))
	said, err := rpmkeys(t, key)(path)
	require.NoError(t, err, said)
	require.Contains(t, said, "Header V4 RSA/SHA256 Signature")
	require.Contains(t, said, "Payload SHA256 digest: OK")
}
