package matrix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

// packagesDir is where a build without a repository leaves its packages.
const packagesDir = "packages"

// layOutPackages puts the packages of all jobs, and not only those that were built
// now, where people find them: <out>/packages/<target>/<arch>. They are links into
// the store. They are not signed.
func (m *Matrix) layOutPackages() error {
	return sideBySide(len(m.report.Jobs), func(i int) error {
		row := &m.report.Jobs[i]
		dir := filepath.Join(packagesDir, row.Target, row.Arch)
		for k := range row.Packages {
			p := &row.Packages[k]
			if filepath.Base(p.File) != p.File {
				return fmt.Errorf("%s: %q is not a file name", row.ID, p.File)
			}
			p.Path = filepath.Join(dir, p.File)
			if err := m.placePackage(store.Digest(p.Digest), filepath.Join(m.opt.Out, p.Path)); err != nil {
				return fmt.Errorf("placing the packages of %s: %w", row.ID, err)
			}
		}
		return nil
	})
}

func (m *Matrix) placePackage(d store.Digest, path string) error {
	object, err := m.store.Path(d)
	if err != nil {
		return err
	}
	if a, err := os.Stat(object); err == nil {
		if b, err := os.Lstat(path); err == nil && os.SameFile(a, b) {
			return nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return m.store.Link(d, path)
}
