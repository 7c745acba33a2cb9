package closure

import (
	"context"
	"fmt"
	"slices"
)

// Loaded is a repository whose packages are kept in memory, for those who check
// several times against it.
type Loaded struct {
	Repository
	of []Package
}

// Load reads the packages of a repository.
func Load(ctx context.Context, r Repository) (*Loaded, error) {
	l := &Loaded{Repository: r}
	size := 0
	err := r.Packages(ctx, func(p Package) error {
		if size += len(p.Provides) + len(p.Requires) + len(p.Files); len(l.of) == maxPackages || size > maxSize {
			return errTooLarge
		}
		l.of = append(l.of, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the packages of %s: %w", r, err)
	}
	return l, nil
}

// Packages calls fn for each package.
func (l *Loaded) Packages(ctx context.Context, fn func(Package) error) error {
	return (&List{Of: l.of}).Packages(ctx, fn)
}

// For says whether the repository is for an architecture: it has packages of that,
// or none but for all.
func (l *Loaded) For(arch string) bool {
	binary := func(p Package) bool { return p.Arch != noarch && p.Arch != "src" && p.Arch != "nosrc" }
	return !slices.ContainsFunc(l.of, binary) ||
		slices.ContainsFunc(l.of, func(p Package) bool { return binary(p) && baseArch(p.Arch) == baseArch(arch) })
}
