package batscore_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/validate/suite/batscore"
)

// TestAsPublished holds the copy to the bytes that were released: whoever wants another
// version changes all of it, and this digest.
func TestAsPublished(t *testing.T) {
	digest, err := batscore.Digest()
	require.NoError(t, err)
	require.Equal(t, "331cd57c0781de52a14a997bd7a2f6560ee355c6b7945e72b7fb860aff990977", digest)
}

func TestWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bats")
	require.NoError(t, batscore.Write(dir))
	require.NoError(t, batscore.Write(dir), "again")
	out, err := exec.CommandContext(t.Context(), "bash", filepath.Join(dir, "bin", "bats"), "--version").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "Bats "+batscore.Version+"\n", string(out))
}
