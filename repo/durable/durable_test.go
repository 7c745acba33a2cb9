package durable_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/durable"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	require.NoError(t, durable.Write(path, []byte("content")))
	require.ErrorIs(t, durable.Write(path, nil), fs.ErrExist)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "content", string(b))
	fi, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o644), fi.Mode())
}

func TestSync(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, durable.Write(filepath.Join(dir, "a"), nil))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	var opened []string
	names := []string{"a", ".", "a"}
	require.NoError(t, durable.Sync(func(name string) (*os.File, error) {
		if name == "a" {
			opened = append(opened, name)
		}
		return root.Open(name)
	}, names...))
	require.Equal(t, []string{"a"}, opened, "each once")
	require.Equal(t, []string{"a", ".", "a"}, names, "they are the caller's")
	require.ErrorIs(t, durable.Sync(root.Open, "a", "missing"), fs.ErrNotExist)
	require.NoError(t, durable.Sync(os.Open))
}
