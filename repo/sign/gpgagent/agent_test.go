package gpgagent_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/sign/gpgagent"
)

var at = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) // SigningTime does not go back before the key

// home is a home of gpg whose agent ends with the test. The agent asks the
// pinentry for passphrases: a script.
func home(t *testing.T, pinentry string) {
	t.Helper()
	rpmtest.Tool(t, "gpg")
	rpmtest.Tool(t, "gpgconf")
	dir := t.TempDir()
	t.Setenv("GNUPGHOME", dir)
	t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", dir, "--kill", "all").Run() })
	conf := "s2k-count 65536\n" // otherwise it first measures for how long to hash passphrases
	if pinentry != "" {
		script := filepath.Join(dir, "pinentry")
		require.NoError(t, os.WriteFile(script, []byte(pinentry), 0o755))
		conf += "pinentry-program " + script + "\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gpg-agent.conf"), []byte(conf), 0o600))
}

// generate makes a key and returns its fingerprint.
func generate(t *testing.T, algorithm, usage, passphrase string) string {
	t.Helper()
	rpmtest.Run(t, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase, "--quick-gen-key", "Agent "+algorithm, algorithm, usage, "never")
	return fingerprint(t, "fpr")
}

func fingerprint(t *testing.T, record string) string {
	t.Helper()
	for line := range strings.Lines(rpmtest.Run(t, "gpg", "--batch", "--with-colons", "--list-keys")) {
		if fields := strings.Split(line, ":"); fields[0] == record {
			return fields[9]
		}
	}
	t.Fatal("gpg lists no key")
	return ""
}

// TestAgent signs with keys of the agent and lets rpm verify it.
func TestAgent(t *testing.T) {
	for algorithm, rpmName := range map[string]string{"rsa2048": "RSA", "ed25519": "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			home(t, "")
			fpr := generate(t, algorithm, "sign", "")
			key, err := gpgagent.Open(t.Context(), strings.ToLower(fpr))
			require.NoError(t, err)
			require.Equal(t, fpr, key.Fingerprint())
			require.Equal(t, "Agent "+algorithm, key.UserID())

			plain := rpmtest.Simple("agent", "1", "1", "noarch").Bytes()
			path := filepath.Join(t.TempDir(), "signed.rpm")
			for i := range 20 { // numbers are sometimes shorter
				var out bytes.Buffer
				signed := at.Add(time.Duration(i) * time.Second)
				require.NoError(t, key.SignPackage(t.Context(), bytes.NewReader(plain), int64(len(plain)), &out, signed))
				require.NoError(t, os.WriteFile(path, out.Bytes(), 0o644))
			}
			require.Contains(t, checksig(t, key, path), "Header V4 "+rpmName+"/SHA256 Signature, key ID "+strings.ToLower(fpr[32:])+": OK")
			require.ErrorContains(t, key.Save(filepath.Join(t.TempDir(), "key")), "elsewhere")
		})
	}
}

// checksig is what rpm says of a package that is signed by a key.
func checksig(t *testing.T, key *sign.Key, path string) string {
	t.Helper()
	db := []string{"--define", "_dbpath " + filepath.Join(t.TempDir(), "db")}
	public := filepath.Join(t.TempDir(), "key.asc")
	require.NoError(t, os.WriteFile(public, key.PublicKey(), 0o644))
	rpmtest.Run(t, "rpmkeys", append(db, "--import", public)...)
	return rpmtest.Run(t, "rpmkeys", append(db, "--checksig", "-v", path)...)
}

// TestSubkey signs with the subkey of a key that only certifies, as people keep
// them on cards.
func TestSubkey(t *testing.T) {
	home(t, "")
	fpr := generate(t, "ed25519", "cert", "")
	_, err := gpgagent.Open(t.Context(), fpr)
	require.ErrorContains(t, err, "none that may sign")
	rpmtest.Run(t, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-add-key", fpr, "rsa2048", "sign", "never")
	key, err := gpgagent.Open(t.Context(), fpr)
	require.NoError(t, err)
	require.NotEqual(t, fpr, key.SigningFingerprint())
	require.Equal(t, sign.RSA, key.Algorithm())
	in, out := rpmtest.Simple("subkey", "1", "1", "noarch").Write(t, "in.rpm"), filepath.Join(t.TempDir(), "out.rpm")
	require.NoError(t, key.SignPackageFile(t.Context(), in, out, at))
	require.Contains(t, checksig(t, key, out), "Header V4 RSA/SHA256 Signature, key ID "+strings.ToLower(key.SigningFingerprint()[32:])+": OK")

	var sig bytes.Buffer
	require.NoError(t, key.SignDetached(&sig, strings.NewReader("message"), at))
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "m"), []byte("message"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "m.asc"), sig.Bytes(), 0o644))
	rpmtest.Run(t, "gpg", "--batch", "--faked-system-time", "20300101T000001!", "--verify", filepath.Join(dir, "m.asc"), filepath.Join(dir, "m"))
}

func TestProblems(t *testing.T) {
	home(t, "")
	_, err := gpgagent.Open(t.Context(), "me@example.org")
	require.ErrorContains(t, err, "it is to be named by its fingerprint")
	_, err = gpgagent.Open(t.Context(), strings.Repeat("0", 40))
	require.ErrorContains(t, err, "it is not in the keyring")
	fpr := generate(t, "ed25519", "sign", "")
	key, err := gpgagent.Open(t.Context(), fpr)
	require.NoError(t, err)

	grip := fingerprintGrip(t)
	require.NoError(t, os.Remove(filepath.Join(os.Getenv("GNUPGHOME"), "private-keys-v1.d", grip+".key")))
	_, err = gpgagent.Open(t.Context(), fpr)
	require.ErrorContains(t, err, "gpg-agent has no private half of it")

	rpmtest.Run(t, "gpgconf", "--kill", "gpg-agent")
	require.Eventually(t, func() bool {
		_, err = gpgagent.Open(t.Context(), fpr)
		return err != nil && strings.Contains(err.Error(), "gpg-agent does not run")
	}, 10*time.Second, 50*time.Millisecond)
	require.ErrorContains(t, err, "start it with: gpgconf --launch gpg-agent")
	require.ErrorContains(t, key.SignDetached(&bytes.Buffer{}, strings.NewReader("m"), at), "gpg-agent does not run")

	t.Setenv("PATH", t.TempDir())
	_, err = gpgagent.Open(t.Context(), fpr)
	require.ErrorContains(t, err, "gpg is not installed")
}

func fingerprintGrip(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(rpmtest.Run(t, "gpg", "--batch", "--with-colons", "--with-keygrip", "--list-keys")) {
		if fields := strings.Split(line, ":"); fields[0] == "grp" {
			return fields[9]
		}
	}
	t.Fatal("no grip")
	return ""
}

// pinentry answers every question for a passphrase with a line.
func pinentry(answer string) string {
	return `#!/bin/sh
echo OK
while read -r command rest; do
	case $command in
	GETPIN) ` + answer + ` ;;
	BYE) echo OK; exit 0 ;;
	*) echo OK ;;
	esac
done
`
}

// TestPassphrase lets people type passphrases.
func TestPassphrase(t *testing.T) {
	for name, tt := range map[string]struct{ answer, says string }{
		"right":    {"echo D secret; echo OK", ""},
		"wrong":    {"echo D guess; echo OK", "the passphrase or PIN was wrong"},
		"canceled": {"echo ERR 83886179 Operation cancelled", "was canceled"},
		"absent":   {"sleep 60", "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			home(t, pinentry(tt.answer))
			key, err := gpgagent.Open(t.Context(), generate(t, "ed25519", "sign", "secret"))
			require.NoError(t, err)
			rpmtest.Run(t, "gpgconf", "--kill", "gpg-agent") // it knew the passphrase still
			require.Eventually(t, func() bool {
				return exec.Command("gpgconf", "--launch", "gpg-agent").Run() == nil
			}, 10*time.Second, 100*time.Millisecond)
			plain := rpmtest.Simple("agent", "1", "1", "noarch").Bytes()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if name == "absent" {
				time.AfterFunc(time.Second, cancel)
			}
			err = key.SignPackage(ctx, bytes.NewReader(plain), int64(len(plain)), &bytes.Buffer{}, at)
			if tt.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.says)
		})
	}
}
