package groups

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/group"
)

// metaGroup is the group in the header of a meta-package: ours, and those that
// OpenHPC's own spec makes (meta-packages.spec: Group: %{PROJ_NAME}/meta-package).
const metaGroup = "ohpc/meta-package"

// Of makes of each meta-package a group of those packages of the repository that it
// requires, on any architecture. What the target brings itself comes as a dependency.
// The packages are read from the store.
func Of(ctx context.Context, st *store.Store, packages []publish.Package) ([]group.Group, error) {
	read := make([]group.Group, len(packages))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range packages {
		g.Go(func() (err error) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if read[i], err = packageGroup(st, packages[i]); err != nil {
				return fmt.Errorf("the group of %s: %w", packages[i].File, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	metas := map[string]group.Group{}
	for _, g := range read {
		names[g.Name] = true
		if g.ID != "" {
			g.Mandatory = append(g.Mandatory, metas[g.ID].Mandatory...)
			metas[g.ID] = g
		}
	}
	var all []group.Group
	for _, id := range slices.Sorted(maps.Keys(metas)) {
		g := metas[id]
		slices.Sort(g.Mandatory)
		g.Mandatory = slices.DeleteFunc(slices.Compact(g.Mandatory), func(name string) bool { return !names[name] })
		if len(g.Mandatory) > 0 {
			all = append(all, g)
		}
	}
	return all, nil
}

// packageGroup is the group that a package is, if it is a meta-package. Of others there is
// only the name, and of a source package nothing.
func packageGroup(st *store.Store, p publish.Package) (group.Group, error) {
	if strings.HasSuffix(p.File, ".src.rpm") {
		return group.Group{}, nil
	}
	path, err := st.Path(p.Digest)
	if err != nil {
		return group.Group{}, err
	}
	header, err := rpm.ReadFile(path)
	if err != nil || header.Source() {
		return group.Group{}, err
	}
	g := group.Group{Name: header.Name}
	if header.Group != metaGroup {
		return g, nil
	}
	g.ID, g.Description = header.Name, header.Summary
	for d := range header.Requires() {
		g.Mandatory = append(g.Mandatory, d.Name)
	}
	return g, nil
}
