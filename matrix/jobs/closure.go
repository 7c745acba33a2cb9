package jobs

import (
	"slices"
	"strings"
	"sync"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/plan/provide"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// headerCache reads packages' headers out of the store, each once.
type headerCache struct {
	store *store.Store
	mu    sync.Mutex
	read  map[store.Digest]*rpm.Package
}

func newHeaderCache(st *store.Store) *headerCache {
	return &headerCache{store: st, read: map[store.Digest]*rpm.Package{}}
}

func (h *headerCache) of(d store.Digest) (*rpm.Package, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, ok := h.read[d]; ok {
		return p, nil
	}
	p, err := h.fresh(d)
	if err != nil {
		return nil, err
	}
	h.read[d] = p
	return p, nil
}

// fresh reads a header and does not keep it.
func (h *headerCache) fresh(d store.Digest) (*rpm.Package, error) {
	path, err := h.store.Path(d)
	if err != nil {
		return nil, err
	}
	return rpm.ReadFile(path)
}

// available is one package of the run and the job that made it.
type available struct {
	job    *plan.Job
	file   buildroot.Package
	header *rpm.Package
}

// rootOf is what a job's build root must hold of the available packages, and the
// world of these that it is chosen from: what satisfies its requirements, and what
// those require in turn, by the rules that the plan went by. What none of them
// provides is the target's affair: rpm refuses the build root when the target lacks
// it too.
func rootOf(j *plan.Job, from []available, base provide.Base) (*provide.World, *provide.Root) {
	owners := map[*plan.Job]int{j: 0}
	packages := make([]provide.Package, len(from))
	for i, a := range from {
		if _, ok := owners[a.job]; !ok {
			owners[a.job] = len(owners)
		}
		packages[i] = provide.Package{
			Name: a.header.Name, Provides: slices.Collect(a.header.Provides()), Requires: slices.Collect(a.header.Requires()),
			Consumer: provide.Consumer{Owner: owners[a.job], Picks: a.job.Defines},
		}
		for f := range a.header.Files() {
			packages[i].Files = append(packages[i].Files, f.Path())
		}
	}
	world := provide.NewWorld(packages, base)
	return world, world.Root(provide.Consumer{Owner: owners[j], Picks: j.Defines}, j.BuildRequires)
}

// picked are the available packages of a root, by file name.
func picked(root *provide.Root, from []available) []available {
	var all []available
	for _, step := range root.Steps() {
		all = append(all, from[step.Package])
	}
	slices.SortFunc(all, func(a, b available) int { return strings.Compare(a.file.File, b.file.File) })
	return all
}
