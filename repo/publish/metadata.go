package publish

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// errOldMetadata says that the metadata cannot be read of which parts are known.
var errOldMetadata = errors.New("reading the metadata of an earlier snapshot")

// metadata writes the snapshot's metadata. Blocks of packages that are as they were in
// an earlier snapshot are copied from there, and verified; all others are rendered.
func (p *production) metadata(ctx context.Context, old written) error {
	if old.Compression != p.Compression {
		old = written{}
	}
	var sources rpmmd.Sources
	if len(old.Blocks) > 0 {
		md, err := rpmmd.ReadRepomd(old.Dir)
		if err != nil {
			return fmt.Errorf("%w: %w", errOldMetadata, err)
		}
		opened, closeSources, err := rpmmd.OpenSources(old.Dir, md)
		if err != nil {
			return fmt.Errorf("%w: %w", errOldMetadata, err)
		}
		defer closeSources()
		sources = opened
	}
	w, err := rpmmd.NewWriter(p.dir, len(p.items), rpmmd.Options{Time: p.at, Compression: p.Compression, Documents: p.documents, Unsynced: true})
	if err != nil {
		return err
	}
	defer w.Discard()
	runs := old.runs()
	var fresh []item
	for i, atStart := 0, true; i < len(p.items); {
		if r, ok := runs[p.items[i].place]; atStart && ok && r.same(p.items[i:]) {
			if err := p.render(ctx, w, fresh); err != nil {
				return err
			}
			if err := w.AddBlock(r.Block, sources); err != nil {
				return err
			}
			fresh = nil
			i += len(r.packages)
			continue
		}
		fresh = append(fresh, p.items[i])
		atStart = rpmmd.EndsBlock(p.items[i].place)
		i++
	}
	if err := p.render(ctx, w, fresh); err != nil {
		return err
	}
	if _, err := w.Close(); err != nil {
		return err
	}
	p.blocks = w.Blocks()
	return nil
}

// run is a block and what is in it.
type run struct {
	rpmmd.Block
	packages []entry
}

// runs are the blocks by the places that they begin at.
func (old written) runs() map[string]run {
	runs := map[string]run{}
	rest := old.Packages
	for _, b := range old.Blocks {
		if b.Packages < 1 || b.Packages > len(rest) {
			return nil
		}
		var r run
		r.packages, rest = rest[:b.Packages], rest[b.Packages:]
		r.Block = rpmmd.Block{
			First: r.packages[0].Place, Last: r.packages[b.Packages-1].Place,
			Packages: b.Packages, Built: time.Unix(b.Built, 0).UTC(), Complete: b.Complete,
		}.WithParts(b.Parts)
		runs[r.First] = r
	}
	return runs
}

// same tells whether the items begin with the block's packages, and it ends there.
func (r run) same(items []item) bool {
	if len(r.packages) > len(items) || !r.Complete && len(r.packages) != len(items) {
		return false
	}
	for i, e := range r.packages {
		if e.Place != items[i].place || e.Digest != items[i].Digest {
			return false
		}
	}
	return true
}

// wrote remembers where packages lie in metadata.
func (m *memory) wrote(dir string, compression rpmmd.Compression, items []item, made []rpmmd.Block) {
	m.last, m.learnt = written{Dir: dir, Compression: compression}, true
	for _, it := range items {
		m.last.Packages = append(m.last.Packages, entry{it.place, it.Digest})
	}
	for _, b := range made {
		m.last.Blocks = append(m.last.Blocks, block{b.Packages, b.Complete, b.Built.Unix(), b.Parts()})
	}
}

// rendering is a few packages on their way into the metadata.
type rendering struct {
	fragments []rpmmd.Fragments
	err       error
}

// render renders packages several at a time and writes them in their order.
func (p *production) render(ctx context.Context, w *rpmmd.Writer, items []item) error {
	const together = 16
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	order := make(chan chan rendering, runtime.GOMAXPROCS(0))
	go func() {
		defer close(order)
		for some := range slices.Chunk(items, together) {
			done := make(chan rendering, 1)
			select {
			case order <- done:
			case <-ctx.Done():
				return
			}
			go func() {
				var r rendering
				r.fragments, r.err = p.fragments(ctx, some)
				done <- r
			}()
		}
	}()
	next := 0
	for done := range order {
		r := <-done
		if r.err != nil {
			return r.err
		}
		for _, f := range r.fragments {
			it := items[next]
			if err := w.AddFragments(it.place, it.known.built(), f); err != nil {
				return err
			}
			next++
		}
	}
	return ctx.Err()
}

func (p *production) fragments(ctx context.Context, items []item) ([]rpmmd.Fragments, error) {
	all := make([]rpmmd.Fragments, len(items))
	for i, it := range items {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		path, err := p.store.Path(it.Digest)
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", it.place, err)
		}
		header, err := rpm.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := all[i].Append(rpmmd.Entry{Package: header, Location: it.place, SHA256: it.Digest.Hex()}, 0); err != nil {
			return nil, err
		}
	}
	return all, nil
}
