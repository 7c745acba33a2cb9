package store_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

// TestVouch: what was verified elsewhere is not hashed again, unless somebody has
// touched it, even if he put its time and its size back.
func TestVouch(t *testing.T) {
	dir := t.TempDir()
	one, err := store.Open(dir)
	require.NoError(t, err)
	d, err := one.PutBytes(t.Context(), []byte("content"))
	require.NoError(t, err)
	_, err = one.Identity(d)
	require.ErrorContains(t, err, "has not been verified")
	_, err = one.Path(d)
	require.NoError(t, err)
	id, err := one.Identity(d)
	require.NoError(t, err)
	_, err = one.Identity(store.Of(nil))
	require.ErrorIs(t, err, store.ErrNotFound)

	two, err := store.Open(dir)
	require.NoError(t, err)
	require.True(t, two.Vouch(d, id))
	require.False(t, two.Vouch(store.Of(nil), id))
	path, err := two.Path(d)
	require.NoError(t, err)

	// A link of the store's own is nothing new to it, and something new to the next.
	require.NoError(t, two.Link(d, filepath.Join(t.TempDir(), "link")))
	_, err = two.Path(d)
	require.NoError(t, err)
	require.False(t, two.Vouch(d, id))
	id, err = two.Identity(d)
	require.NoError(t, err)

	fi, err := os.Stat(path)
	require.NoError(t, err)
	time.Sleep(20 * time.Millisecond) // the clock of a file system is coarse
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, []byte("forgery"), 0o600))
	require.NoError(t, os.Chtimes(path, fi.ModTime(), fi.ModTime()))
	require.NoError(t, os.Chtimes(path, fi.ModTime(), fi.ModTime().Add(time.Second)))
	_, err = two.Identity(d)
	require.ErrorContains(t, err, "has not been verified")
	require.NoError(t, os.Chtimes(path, fi.ModTime(), fi.ModTime()))
	three, err := store.Open(dir)
	require.NoError(t, err)
	require.False(t, three.Vouch(d, id))
	_, err = three.Path(d)
	var corrupt *store.CorruptError
	require.ErrorAs(t, err, &corrupt)
}
