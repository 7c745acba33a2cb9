package trial

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// held is a package of the snapshot.
type held struct {
	header *rpm.Package
	digest string // of its file
}

// readHeaders reads the packages that the cell's users install.
func (t *Trial) readHeaders(ctx context.Context) ([]held, error) {
	records, err := t.cellPackages(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]held, len(records))
	g := errgroup.Group{}
	g.SetLimit(runtime.NumCPU())
	for i, rec := range records {
		g.Go(func() error {
			p, err := rpm.ReadFile(t.path(rec))
			if err != nil {
				return fmt.Errorf("%s: %w", rec.Location, err)
			}
			all[i] = held{p, rec.Checksum.Type + ":" + rec.Checksum.Value}
			return nil
		})
	}
	err = g.Wait()
	return all, err
}

// once calls fn the first time it is called without an error.
func once[T any](fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	var (
		mu    sync.Mutex
		done  bool
		value T
	)
	return func(ctx context.Context) (T, error) {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return value, nil
		}
		v, err := fn(ctx)
		if err == nil {
			value, done = v, true
		}
		return v, err
	}
}

// reach are all packages that may have a part in an installation, in a fixed order:
// every provider of whatever these packages name as required or recommended, whether
// or not a package manager would choose it, and what obsoletes, excludes or supplements
// one of them. Whatever else is in a repository, or comes to it, changes nothing.
func reach(all []held, names []string) []held {
	w := &reached{all: all, in: make([]bool, len(all)), by: map[string][]int{}, naming: map[string][]int{}}
	w.index()
	for _, name := range names {
		w.name(name)
	}
	for len(w.queue) > 0 {
		next := w.queue[0]
		w.queue = w.queue[1:]
		w.follow(all[next].header)
	}
	var found []held
	for i, in := range w.in {
		if in {
			found = append(found, all[i])
		}
	}
	slices.SortFunc(found, func(a, b held) int {
		return cmp.Or(cmp.Compare(a.header.NEVRA(), b.header.NEVRA()), cmp.Compare(a.digest, b.digest))
	})
	return found
}

type reached struct {
	all    []held
	in     []bool
	queue  []int
	by     map[string][]int // who provides a name, or has a file of that path that somebody names
	naming map[string][]int // who has a say about packages with a name
}

func (w *reached) index() {
	paths := map[string]bool{}
	for i, h := range w.all {
		p := h.header
		w.by[p.Name] = append(w.by[p.Name], i)
		for d := range p.Provides() {
			w.by[d.Name] = append(w.by[d.Name], i)
		}
		for _, list := range wanted(p) {
			for name := range leaves(list) {
				if name[0] == '/' {
					paths[name] = true
				}
			}
		}
		for _, list := range []iter.Seq[rpm.Dependency]{p.Obsoletes(), p.Conflicts(), p.Supplements(), p.Enhances()} {
			for name := range leaves(list) {
				w.naming[name] = append(w.naming[name], i)
			}
		}
	}
	for i, h := range w.all {
		if len(paths) == 0 {
			return
		}
		for f := range h.header.Files() {
			if path := f.Path(); paths[path] {
				w.by[path] = append(w.by[path], i)
			}
		}
	}
}

// wanted are the lists of what a package brings along.
func wanted(p *rpm.Package) []iter.Seq[rpm.Dependency] {
	return []iter.Seq[rpm.Dependency]{p.Requires(), p.Recommends(), p.Suggests()}
}

func (w *reached) name(name string) {
	for _, i := range w.by[name] {
		w.add(i)
	}
}

func (w *reached) add(i int) {
	if !w.in[i] {
		w.in[i] = true
		w.queue = append(w.queue, i)
	}
}

func (w *reached) follow(p *rpm.Package) {
	for _, list := range append(wanted(p), p.Conflicts()) {
		for name := range leaves(list) {
			w.name(name)
		}
	}
	for _, i := range w.naming[p.Name] {
		w.add(i)
	}
	for d := range p.Provides() {
		for _, i := range w.naming[d.Name] {
			w.add(i)
		}
	}
}

// leaves are the names in dependencies, those in expressions too. Of an expression that
// cannot be read nothing depends: rpm refuses its package.
func leaves(list iter.Seq[rpm.Dependency]) iter.Seq[string] {
	return func(yield func(string) bool) {
		for d := range list {
			e, err := closure.Parse(d)
			if err == nil && !leavesOf(e, yield) {
				return
			}
		}
	}
}

func leavesOf(e closure.Expression, yield func(string) bool) bool {
	if e.Op == "" {
		return e.Leaf.Name == "" || yield(e.Leaf.Name)
	}
	for _, arg := range e.Args {
		if !leavesOf(arg, yield) {
			return false
		}
	}
	return true
}
