package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra/doc"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the generated documents anew")

// TestCommandReference compares docs/commands with what the commands say of
// themselves. `make docs` writes it anew.
func TestCommandReference(t *testing.T) {
	const dir = "../../docs/commands"
	fresh := t.TempDir()
	root := newRoot()
	root.DisableAutoGenTag = true
	require.NoError(t, doc.GenMarkdownTree(root, fresh))
	if *update {
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.CopyFS(dir, os.DirFS(fresh)))
	}
	want, err := filepath.Glob(fresh + "/*.md")
	require.NoError(t, err)
	require.Greater(t, len(want), 10)
	for _, path := range want {
		fresh, err := os.ReadFile(path)
		require.NoError(t, err)
		committed, err := os.ReadFile(filepath.Join(dir, filepath.Base(path)))
		require.NoError(t, err, "run make docs")
		require.True(t, bytes.Equal(fresh, committed), "docs/commands/%s is not what the command says of itself: run make docs", filepath.Base(path))
	}
	committed, err := filepath.Glob(dir + "/*.md")
	require.NoError(t, err)
	require.Len(t, committed, len(want), "docs/commands has pages of commands that are gone: run make docs")
}
