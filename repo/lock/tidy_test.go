package lock_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/lock"
)

// TestTidy: who is alone removes what others left, and only that.
func TestTidy(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(elsewhere, nil, 0o644))
	leave := func() {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".new-1.tar"), nil, 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a.tar"), nil, 0o644))
		require.NoError(t, os.MkdirAll(filepath.Join(dir, ".new-2.tar"), 0o755))
	}
	names := func() (names []string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	leave()
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(dir, ".new-3.tar")))
	one, err := lock.Tidy(dir, ".new-*.tar")
	require.NoError(t, err)
	require.Equal(t, []string{".new-2.tar", ".new-3.tar", "a.tar"}, names())
	require.FileExists(t, elsewhere)

	leave() // and the one who comes is not alone
	two, err := lock.Tidy(dir, ".new-*.tar")
	require.NoError(t, err)
	require.Contains(t, names(), ".new-1.tar")
	require.NoError(t, one())
	require.NoError(t, two())
	three, err := lock.Tidy(dir, ".new-*.tar")
	require.NoError(t, err)
	require.NotContains(t, names(), ".new-1.tar")
	require.NoError(t, three())

	_, err = lock.Tidy(filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = lock.Tidy(dir, "[")
	require.ErrorIs(t, err, filepath.ErrBadPattern)
}
