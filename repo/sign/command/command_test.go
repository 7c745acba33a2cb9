package command

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// signer makes a key and a script that signs with openssl; the rest of the script
// is given.
func signer(t *testing.T, algorithm sign.Algorithm, body string) (script, publicKey string) {
	t.Helper()
	rpmtest.Tool(t, "openssl")
	dir := t.TempDir()
	key, err := sign.Generate(sign.Params{Name: "Module", Algorithm: algorithm, Bits: 2048})
	require.NoError(t, err)
	secret := filepath.Join(dir, "secret.asc")
	require.NoError(t, key.Save(secret))
	f, err := os.Open(secret)
	require.NoError(t, err)
	defer f.Close()
	entities, err := openpgp.ReadArmoredKeyRing(f)
	require.NoError(t, err)
	private := entities[0].PrivateKey.PrivateKey
	if k, ok := private.(*eddsa.PrivateKey); ok {
		private = ed25519.NewKeyFromSeed(k.MarshalByteSecret())
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	publicKey = filepath.Join(dir, "public.asc")
	require.NoError(t, os.WriteFile(publicKey, key.PublicKey(), 0o644))
	script = filepath.Join(dir, "sign.sh")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh -e\ncd '"+dir+"'\nread -r algorithm hash digest fingerprint\n"+body), 0o755))
	return script, publicKey
}

// withOpenSSL is how guide.md shows it.
const withOpenSSL = `
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
i=0
while [ $i -lt 64 ]; do
	i=$((i+2))
	printf "\\$(printf %o 0x$(printf %s "$digest" | cut -c$((i-1))-$i))"
done >"$work/digest"
case $algorithm-$hash in
rsa-sha256) openssl pkeyutl -sign -inkey key.pem -pkeyopt digest:sha256 -in "$work/digest" ;;
ed25519-sha256) openssl pkeyutl -sign -inkey key.pem -rawin -in "$work/digest" ;;
esac
`

func TestCommand(t *testing.T) {
	plain := rpmtest.Simple("command", "1", "1", "noarch").Bytes()
	for _, algorithm := range []sign.Algorithm{sign.RSA, sign.Ed25519} {
		script, public := signer(t, algorithm, withOpenSSL)
		key, err := Open([]string{script}, public)
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, key.SignPackage(t.Context(), bytes.NewReader(plain), int64(len(plain)), &out, time.Now()))
		_, err = key.Keyring().VerifyPackage(t.Context(), bytes.NewReader(out.Bytes()), int64(out.Len()))
		require.NoError(t, err)
	}
}

func TestProblems(t *testing.T) {
	for body, says := range map[string]string{
		"echo 'the module is locked' >&2; exit 1": `sign.sh: exit status 1: "the module is locked"`,
		"sleep 60":             "sign.sh: it did not answer within 500ms",
		"sleep 60 & sleep 60":  "sign.sh: it did not answer within 500ms",
		"exit 0":               "sign.sh: it answered nothing",
		"echo no signature":    "not a signature by this key (13 bytes)",
		"head -c 64 /dev/zero": "not a signature by this key (64 bytes)",
		"trap '' PIPE; while :; do cat /dev/zero; done 2>/dev/null": "its answer is longer than 8192 bytes",
		"cat /dev/zero >&2":                   "sign.sh: it did not answer within 500ms",
		"exec <&-; exec >&-; exit 0":          "sign.sh: it answered nothing",
		"head -c 9000 /dev/zero":              "its answer is longer than 8192 bytes",
		"kill -9 $$":                          "signal: killed",
		"head -c 20000 /dev/zero >&2; exit 3": "exit status 3",
	} {
		script, public := signer(t, sign.Ed25519, body)
		patience := defaultPatience
		if strings.Contains(says, "did not answer") {
			patience = 500 * time.Millisecond
		}
		key, err := open(&command{argv: []string{script}, patience: patience, maxAnswer: defaultMaxAnswer}, public)
		require.NoError(t, err)
		begin := time.Now()
		require.ErrorContains(t, key.SignDetached(&bytes.Buffer{}, bytes.NewReader(nil), time.Now()), says)
		require.Less(t, time.Since(begin), 10*time.Second)
	}
	script, public := signer(t, sign.Ed25519, "cat /dev/zero")
	endless, err := Open([]string{script}, public) // with all its patience
	require.NoError(t, err)
	begin := time.Now()
	require.ErrorContains(t, endless.SignDetached(&bytes.Buffer{}, bytes.NewReader(nil), time.Now()), "longer than 8192 bytes")
	require.Less(t, time.Since(begin), defaultPatience/4)

	script, public = signer(t, sign.Ed25519, "sleep 60")
	key, err := Open([]string{script}, public)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	plain := rpmtest.Simple("command", "1", "1", "noarch").Bytes()
	require.ErrorIs(t, key.SignPackage(ctx, bytes.NewReader(plain), int64(len(plain)), &bytes.Buffer{}, time.Now()), context.Canceled)

	_, err = Open(nil, public)
	require.ErrorContains(t, err, "is empty")
	_, err = Open([]string{"no-such-signer"}, public)
	require.ErrorContains(t, err, "executable file not found")
	_, err = Open([]string{script}, public+".none")
	require.ErrorContains(t, err, "no such file")
	_, err = Open([]string{script}, script)
	require.ErrorContains(t, err, "sign.sh: it is no armored OpenPGP key")
	require.ErrorIs(t, func() error {
		wrong, _ := signer(t, sign.Ed25519, withOpenSSL) // of another key
		k, err := Open([]string{wrong}, public)
		require.NoError(t, err)
		return k.SignDetached(&bytes.Buffer{}, bytes.NewReader(nil), time.Now())
	}(), sign.ErrWrongSignature)
}
