package jobs

import (
	"slices"
	"strings"
	"sync"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
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
	path, err := h.store.Path(d)
	if err != nil {
		return nil, err
	}
	p, err := rpm.ReadFile(path)
	if err != nil {
		return nil, err
	}
	h.read[d] = p
	return p, nil
}

// available is one package of the run and the recipe that made it.
type available struct {
	recipe string
	file   buildroot.Package
	header *rpm.Package
}

// pick chooses of the available packages those that satisfy requirements, and
// what those require in turn, by file name. What none of them provides is the
// target's affair: rpm refuses the build root when the target lacks it too.
func pick(requirements []rpm.Dependency, from []available) []available {
	providers := map[string][]int{}
	for i, a := range from {
		for p := range a.header.Provides() {
			providers[p.Name] = append(providers[p.Name], i)
		}
	}
	picked := map[int]bool{}
	queue := slices.Clone(requirements)
	for len(queue) > 0 {
		req := queue[0]
		queue = queue[1:]
		i := slices.IndexFunc(providers[req.Name], func(i int) bool { return provides(from[i].header, req) })
		if i < 0 {
			continue
		}
		provider := providers[req.Name][i]
		if picked[provider] {
			continue
		}
		picked[provider] = true
		queue = slices.AppendSeq(queue, from[provider].header.Requires())
	}
	var result []available
	for i := range picked {
		result = append(result, from[i])
	}
	slices.SortFunc(result, func(a, b available) int { return strings.Compare(a.file.File, b.file.File) })
	return result
}

func provides(p *rpm.Package, req rpm.Dependency) bool {
	for provided := range p.Provides() {
		if req.SatisfiedBy(provided) {
			return true
		}
	}
	return false
}
