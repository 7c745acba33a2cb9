package images

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// Choice is which images a run's cells are to have.
type Choice struct {
	images   *Images
	all      []*jobs.Cell
	own      []*jobs.Cell          // that get their own image
	borrowed map[string]*jobs.Cell // whose images read the specs of the others, by target
}

// Choose divides cells: those that get their own image, and those that are only planned
// and whose target has none here, whose specs are read in an image of another target.
func (s *Images) Choose(catalog *recipes.Catalog, cells []*jobs.Cell) (*Choice, error) {
	choice := &Choice{images: s, all: cells, borrowed: map[string]*jobs.Cell{}}
	for _, c := range cells {
		if !s.opt.AtHand || c.Target.Evaluate == "" || c.Target.Image.Reference == "" {
			choice.own = append(choice.own, c)
			continue
		}
		if _, err := s.images.Pulled(c.Target.Image.Reference, c.Arch); err == nil {
			choice.own = append(choice.own, c)
			continue
		}
		lender, err := catalog.Target(c.Target.Evaluate)
		if err != nil {
			return nil, &TargetError{fmt.Errorf("target %s has no image here, and is to be read in that of another: %w", c.Target.Name, err)}
		}
		choice.borrowed[lender.Name] = &jobs.Cell{Target: lender, Arch: readerArch(lender)}
	}
	return choice, nil
}

// Number is how many images there are to get.
func (c *Choice) Number() int { return len(c.own) + len(c.borrowed) }

// Provide gets each cell's image and unpacks it, and for emulated cells the
// native programs that do their builds' work: all side by side, because an
// emulated bootstrap keeps one core busy and waits for the network besides.
func (c *Choice) Provide(ctx context.Context, progress Progress) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, cell := range c.own {
		g.Go(func() error {
			progress.Begin(cell.String())
			how, err := c.images.provide(ctx, cell)
			if err != nil {
				progress.End(cell.String(), "failed: "+err.Error())
				return err
			}
			progress.End(cell.String(), how)
			return nil
		})
	}
	readers := map[string]jobs.Reader{}
	var mu sync.Mutex
	for _, name := range slices.Sorted(maps.Keys(c.borrowed)) {
		lender := c.borrowed[name]
		g.Go(func() error {
			progress.Begin(lender.String())
			root, err := c.images.unpacked(ctx, lender)
			if err != nil {
				progress.End(lender.String(), "failed: "+err.Error())
				return err
			}
			progress.End(lender.String(), "image "+root.Digest.Short()+", to read specs with")
			mu.Lock()
			defer mu.Unlock()
			readers[name] = jobs.Reader{Image: buildroot.Image{Digest: root.Digest, Layers: root.Layers}, Arch: lender.Arch, Target: name}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, cell := range c.all {
		if reader, ok := readers[cell.Target.Evaluate]; ok && cell.Image.Digest == "" {
			cell.Reader = reader
		} else {
			cell.Reader = ownReader(cell, c.all)
		}
	}
	return nil
}

// provide gets what a cell's builds are made in, and says in words what that is.
func (s *Images) provide(ctx context.Context, c *jobs.Cell) (string, error) {
	var root, native *image.Root
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		root, err = s.unpacked(ctx, c)
		return err
	})
	if s.wantsToolchain(c) {
		g.Go(func() (err error) {
			native, err = s.toolchainRoot(ctx, c)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	c.Image = buildroot.Image{Digest: root.Digest, Layers: root.Layers}
	how := "image " + root.Digest.Short()
	if native == nil {
		return how, nil
	}
	tools, err := s.planToolchain(c, native)
	return how + ", " + tools, err
}

// ownReader is the image of a cell's own target that reads its specs: rpmspec takes
// the architecture as an option, so that it need not be emulated where the host's
// own is part of the run.
func ownReader(cell *jobs.Cell, cells []*jobs.Cell) jobs.Reader {
	reader := cell
	for _, c := range cells {
		if c.Target == cell.Target && emulate.Native(c.Arch) && c.Image.Digest != "" {
			reader = c
		}
	}
	return jobs.Reader{Image: reader.Image, Arch: reader.Arch, Target: reader.Target.Name}
}

// readerArch is the architecture whose image reads specs for others: the host's own
// where the target has it.
func readerArch(t *recipes.Target) string {
	if slices.Contains(t.Architectures, emulate.Host()) {
		return emulate.Host()
	}
	return t.Architectures[0]
}
