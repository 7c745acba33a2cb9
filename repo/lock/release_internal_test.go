package lock

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestReleasedForAll gives back a lock whose file is open elsewhere too, as in a
// process between fork and exec.
func TestReleasedForAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := Exclusive(t.Context(), path, 0)
	require.NoError(t, err)
	elsewhere, err := unix.Dup(int(l.f.Fd()))
	require.NoError(t, err)
	defer func() { _ = unix.Close(elsewhere) }()
	require.NoError(t, l.Release())
	again, err := Exclusive(t.Context(), path, 0)
	require.NoError(t, err)
	require.NoError(t, again.Release())
}
