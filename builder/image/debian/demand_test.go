package debian

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseURIs(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "libssl-dev_1%3a3.0_arm64.deb"), nil, 0o600))
	debs, err := parseURIs("Reading package lists...\n'http://mirror.example/libssl-dev_3.0%7edeb_arm64.deb' libssl-dev_1%3a3.0_arm64.deb 2321828 SHA256:00\n", dir)
	require.NoError(t, err)
	require.Equal(t, []Deb{{
		Name: "libssl-dev", Version: "1:3.0", Arch: "arm64", URL: "http://mirror.example/libssl-dev_3.0%7edeb_arm64.deb",
		Path: filepath.Join(dir, "libssl-dev_1%3a3.0_arm64.deb"),
	}}, debs)
	for text, says := range map[string]string{
		"'http://mirror.example/x' ../../etc/passwd_1_all.deb 1 \n": "not understood",
		"'http://mirror.example/x' passwd 1 \n":                     "not understood",
		"'http://mirror.example/x' other_1_all.deb 1 \n":            "did not leave",
	} {
		_, err := parseURIs(text, dir)
		require.ErrorContains(t, err, says)
	}
}

func TestSourcesOfAnArchive(t *testing.T) {
	lines, _, err := Bootstrap{Suite: "bookworm", Mirrors: []string{"http://mirror.example/debian", "deb http://other.example/ bookworm main"}}.sources(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"deb [signed-by=" + Keyring + "] http://mirror.example/debian bookworm main", "deb http://other.example/ bookworm main"}, lines)
	_, _, err = Bootstrap{Suite: "no-such-suite"}.sources(t.Context())
	require.ErrorContains(t, err, "ohpc-build.yaml")
}

func TestWordsThatAptWouldTakeForSomethingElse(t *testing.T) {
	for _, word := range []string{"--option=x", "a b", "", "~n."} {
		_, err := Bootstrap{Suite: "bookworm"}.Download(t.Context(), "/", "x86_64", []string{word}, t.TempDir())
		require.ErrorContains(t, err, "is not the name of a suite, component or package")
	}
}
