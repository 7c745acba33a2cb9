package create

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// written is what was written: all packages in order, and in which blocks.
type written struct {
	packages []known
	blocks   []rpmmd.Block
}

// step is a package to be read, or a block of packages to be copied.
type step struct {
	pkg   *candidate
	block *oldBlock
}

// plan decides which blocks can be copied: those that begin where a new block
// begins, with the same packages up to where it ends.
func (c *creation) plan() []step {
	var steps []step
	atStart := true
	for i := 0; i < len(c.packages); {
		p := c.packages[i]
		if b := c.index.blockAt(p.location); atStart && b != nil && c.sameBlock(b, c.packages[i:]) {
			steps = append(steps, step{block: b})
			i += len(b.packages)
			continue
		}
		steps = append(steps, step{pkg: p})
		atStart = rpmmd.EndsBlock(p.location)
		i++
	}
	return steps
}

func (c *creation) sameBlock(b *oldBlock, packages []*candidate) bool {
	if len(b.packages) > len(packages) || !b.Complete && len(b.packages) != len(packages) {
		return false
	}
	for i := range b.packages {
		old := &b.packages[i]
		if old.location != packages[i].location || c.sameAs(packages[i]) != old || c.RequireSignatures && !old.signed {
			return false
		}
	}
	return true
}

// sameAs is what is known of a package, nil when nothing is or it has changed.
func (c *creation) sameAs(p *candidate) *known {
	old := c.index.find(p.location)
	if old == nil || !c.SkipStat && old.stat != p.stat {
		return nil
	}
	return old
}

// errOldFiles says that the old data files cannot be read.
var errOldFiles = errors.New("reading the old metadata")

// write writes the metadata into dir.
func (c *creation) write(ctx context.Context, dir string) (*written, error) {
	c.result.Read, c.result.Twice = nil, nil
	sources, closeSources, err := c.sources()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOldFiles, err)
	}
	defer closeSources()
	w, err := rpmmd.NewWriter(dir, len(c.packages), c.Metadata)
	if err != nil {
		return nil, err
	}
	defer w.Discard()
	out := &written{packages: make([]known, 0, len(c.packages))}
	var bad badFiles
	err = c.each(ctx, c.plan(), func(s step, r *rendered) error {
		switch {
		case s.block != nil:
			out.packages = append(out.packages, s.block.packages...)
			if len(bad) > 0 {
				return nil
			}
			return w.AddBlock(s.block.Block, sources)
		case r.err != nil:
			bad.add(s.pkg.path, r.err)
			return nil
		}
		c.result.Read = append(c.result.Read, s.pkg.path)
		out.packages = append(out.packages, r.known)
		if len(bad) > 0 {
			return nil
		}
		return w.AddFragments(s.pkg.location, r.known.built, r.fragments)
	})
	if err != nil {
		return nil, err
	}
	if len(bad) == 0 {
		c.distinct(out.packages, &bad)
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	if _, err := w.Close(); err != nil {
		return nil, err
	}
	out.blocks = w.Blocks()
	return out, nil
}

// distinct refuses one name, version and architecture with two contents.
func (c *creation) distinct(packages []known, bad *badFiles) {
	first := make(map[[16]byte]int32, len(packages))
	for i := range packages {
		k := &packages[i]
		j, there := first[k.nevra]
		switch {
		case !there:
			first[k.nevra] = int32(i)
		case packages[j].id == k.id:
			c.result.Twice = append(c.result.Twice, c.packages[i].path)
		default:
			bad.add(c.packages[i].path, fmt.Errorf("it is another package of the same name, version and architecture as %s; clients could get either", plain(c.packages[j].path)))
		}
	}
}

// sources are the old data files, where blocks of them are to be copied.
func (c *creation) sources() (rpmmd.Sources, func(), error) {
	if len(c.index.blocks) == 0 {
		return rpmmd.Sources{}, func() {}, nil
	}
	return rpmmd.OpenSources(c.Output, c.old)
}

// batch are steps that go to a reader together, and what came of them: a hand-over
// for each package would take as long as reading a small one.
type batch struct {
	steps []step
	read  [batchSize]rendered
	done  chan struct{}
}

const batchSize = 8

// rendered is a package that was read.
type rendered struct {
	known     known
	fragments rpmmd.Fragments
	err       error
}

// each renders the packages of the steps, several at a time, and calls fn for
// each step in order.
func (c *creation) each(ctx context.Context, steps []step, fn func(step, *rendered) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	ahead := 4 * c.Metadata.Workers // enough for every worker while one reads a large package
	tasks, order := make(chan *batch), make(chan *batch, ahead)
	idle := make(chan *batch, ahead)
	for range ahead {
		idle <- &batch{done: make(chan struct{}, 1)}
	}
	for range c.Metadata.Workers {
		r, err := c.newReader()
		if err != nil {
			close(tasks)
			return err
		}
		workers.Go(func() {
			for b := range tasks {
				r.readBatch(ctx, b)
				b.done <- struct{}{}
			}
		})
	}
	workers.Go(func() {
		defer close(order)
		defer close(tasks)
		for part := range slices.Chunk(steps, batchSize) {
			select {
			case b := <-idle:
				b.steps = part
				tasks <- b
				order <- b // has room for all of them
			case <-ctx.Done():
				return
			}
		}
	})
	for b := range order {
		<-b.done
		if err := ctx.Err(); err != nil {
			return err
		}
		for i, s := range b.steps {
			if err := fn(s, &b.read[i]); err != nil {
				return err
			}
		}
		idle <- b
	}
	return ctx.Err()
}

func (r *reader) readBatch(ctx context.Context, b *batch) {
	for i, s := range b.steps {
		to := &b.read[i]
		to.fragments.Reset()
		if s.pkg == nil {
			continue
		}
		if to.err = ctx.Err(); to.err == nil {
			to.known, to.err = r.read(ctx, s.pkg, &to.fragments)
		}
	}
}
