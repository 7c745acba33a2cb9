package matrix

import (
	"context"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// indexer writes the metadata of the folder in which package managers find what is
// our own.
type indexer struct{}

// Index implements [resolve.Indexer].
func (indexer) Index(ctx context.Context, dir string, files []string) error {
	entries := make([]rpmmd.Entry, len(files))
	for i, file := range files {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		p, err := rpm.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		entries[i] = rpmmd.Entry{Package: p, Location: file, SHA256: store.Of(text).Hex()}
	}
	_, err := rpmmd.Write(ctx, dir, entries, rpmmd.Options{})
	return err
}
