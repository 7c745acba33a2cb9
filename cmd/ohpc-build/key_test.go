package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// key runs ohpc-build key with a state folder.
func key(t *testing.T, state string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append(append([]string{"key"}, args...), "--state", state))
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

var fingerprintLine = regexp.MustCompile(`fingerprint  ([0-9A-F]{40})\n`)

// TestKeyLife takes a key from its making to the end of its publication.
func TestKeyLife(t *testing.T) {
	t.Chdir(t.TempDir())
	state := t.TempDir()
	_, err := key(t, state, "show")
	require.ErrorContains(t, err, "there is no signing key yet")
	_, err = key(t, state, "rotate")
	require.ErrorContains(t, err, "no key to replace yet: ohpc-build key generate makes one")

	out, err := key(t, state, "generate", "--algorithm", "ed25519", "--expires", "2y")
	require.NoError(t, err)
	require.Contains(t, out, "source       file "+filepath.Join(state, "keys", "signing.asc"))
	require.Contains(t, out, "algorithm    Ed25519\nuser id      OpenHPC 3 (built by ohpc-build) <root@localhost>\n")
	require.Contains(t, out, "expires      "+time.Now().AddDate(2, 0, 0).UTC().Format("2006-01-"))
	require.NotContains(t, out, "retired")
	first := fingerprintLine.FindStringSubmatch(out)[1]
	_, err = key(t, state, "generate")
	require.ErrorContains(t, err, "is there already; ohpc-build key rotate replaces it")

	out, err = key(t, state, "rotate", "--algorithm", "ed25519")
	require.NoError(t, err)
	second := fingerprintLine.FindStringSubmatch(out)[1]
	require.NotEqual(t, first, second)
	require.Contains(t, out, "retired      "+first+"  Ed25519, created ")
	old := filepath.Join(state, "keys", "signing.asc."+first)
	require.Contains(t, out, "The old private key is in "+old)
	fi, err := os.Stat(old)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), fi.Mode())

	exported, err := key(t, state, "export")
	require.NoError(t, err)
	kr, err := sign.ReadKeyring(strings.NewReader(exported))
	require.NoError(t, err)
	require.Equal(t, []string{second, first}, kr.Fingerprints())

	_, err = key(t, state, "retire", second)
	require.ErrorContains(t, err, "is the one that signs")
	_, err = key(t, state, "retire", "../signing")
	require.ErrorContains(t, err, "no old key ../SIGNING is published")
	_, err = key(t, state, "retire")
	require.ErrorContains(t, err, "takes one fingerprint")
	_, err = key(t, state, "retire", strings.ToLower(first))
	require.NoError(t, err)
	exported, err = key(t, state, "export")
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(exported, "BEGIN PGP PUBLIC KEY BLOCK"))

	for _, args := range [][]string{{"--algorithm", "dsa"}, {"--expires", "soon"}, {"--expires", "2001-01-01"}, {"--expires", "0d"}, {"--expires", "500y"}} {
		_, err := key(t, t.TempDir(), append([]string{"generate"}, args...)...)
		var status *statusError
		require.ErrorAs(t, err, &status, args)
		require.Equal(t, exitUsage, status.status)
	}
}

func TestLifetime(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"never": now, "1d": now.AddDate(0, 0, 1), "2w": now.AddDate(0, 0, 14), "6m": now.AddDate(0, 6, 0), "2y": now.AddDate(2, 0, 0),
		"2026-02-01": time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
	} {
		d, err := lifetime(in, now)
		require.NoError(t, err, in)
		require.Equal(t, want, now.Add(d), in)
	}
}
