package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

const (
	// Bounds on what one build may leave: packages, and bytes in all of them. A
	// sparse file claims terabytes and becomes them when it is copied.
	maxPackages     = 4096
	maxPackageBytes = 16 << 30
)

// packageName is what rpm lets names, versions, releases and architectures be made
// of (rpm: build/rpmbuild_internal.h, ALLOWED_CHARS_NAME and ALLOWED_CHARS_VERREL),
// but for macros. File names become words of command lines and lines of lists.
var packageName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+~^-]{0,250}\.rpm$`)

// collect keeps the packages that rpmbuild wrote below top. The folders belong
// to the build, which is not trusted: only regular files with a package's name
// count, and no link is followed.
func (b *Builder) collect(ctx context.Context, top string) ([]buildroot.Package, error) {
	root, err := os.OpenRoot(top)
	if err != nil {
		return nil, fmt.Errorf("collecting packages: %w", err)
	}
	defer root.Close()
	var packages []buildroot.Package
	left := int64(maxPackageBytes)
	for _, sub := range []string{"RPMS", "SRPMS"} {
		err := fs.WalkDir(root.FS(), sub, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || !strings.HasSuffix(path, ".rpm") {
				return err
			}
			if len(packages) == maxPackages {
				return fmt.Errorf("there are more than %d", maxPackages)
			}
			p, size, err := b.keepPackage(ctx, root, path, left)
			left -= size
			packages = append(packages, p)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("collecting packages: %w", err)
		}
	}
	if len(packages) == 0 {
		return nil, errors.New("rpmbuild succeeded but wrote no package")
	}
	slices.SortFunc(packages, func(x, y buildroot.Package) int { return strings.Compare(x.File, y.File) })
	for i := 1; i < len(packages); i++ {
		if packages[i].File == packages[i-1].File {
			return nil, fmt.Errorf("rpmbuild wrote two packages named %s", packages[i].File)
		}
	}
	return packages, nil
}

// keepPackage puts one file of at most limit bytes into the store.
func (b *Builder) keepPackage(ctx context.Context, root *os.Root, path string, limit int64) (p buildroot.Package, size int64, err error) {
	p.File = filepath.Base(path)
	if !packageName.MatchString(p.File) {
		return p, 0, fmt.Errorf("%q is not the name of a package", p.File)
	}
	fi, err := root.Lstat(path)
	if err != nil {
		return p, 0, err
	}
	if fi.Size() > limit {
		return p, 0, fmt.Errorf("%s: packages of one build may have %s together", p.File, sandbox.Bytes(maxPackageBytes))
	}
	f, err := root.Open(path)
	if err != nil {
		return p, 0, err
	}
	defer f.Close()
	p.Digest, size, err = b.store.Put(ctx, io.LimitReader(f, fi.Size()))
	return p, size, err
}
