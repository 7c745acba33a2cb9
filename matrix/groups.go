package matrix

import (
	"context"
	"maps"
	"slices"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/group"
)

// metaGroup is the group in the header of a meta-package: ours, and those that
// OpenHPC's own spec makes (meta-packages.spec: Group: %{PROJ_NAME}/meta-package).
const metaGroup = "ohpc/meta-package"

// groups makes of each meta-package a group of those packages of the repository
// that it requires, on any architecture: "dnf group install ohpc-base". What the
// target brings itself comes as a dependency.
func groups(ctx context.Context, st *store.Store, packages []publish.Package) ([]group.Group, error) {
	names := map[string]bool{}
	metas := map[string]group.Group{}
	for _, p := range packages {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		path, err := st.Path(p.Digest)
		if err != nil {
			return nil, err
		}
		header, err := rpm.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if header.Source() {
			continue
		}
		names[header.Name] = true
		if header.Group != metaGroup {
			continue
		}
		g := metas[header.Name]
		g.ID, g.Name, g.Description = header.Name, header.Name, header.Summary
		for d := range header.Requires() {
			g.Mandatory = append(g.Mandatory, d.Name)
		}
		metas[header.Name] = g
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
