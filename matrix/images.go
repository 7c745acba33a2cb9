package matrix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/bridge"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/matrix/host"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// provideImages gets each cell's image and unpacks it, and for emulated cells the
// native programs that do their builds' work: all side by side, because an
// emulated bootstrap keeps one core busy and waits for the network besides.
func (m *Matrix) provideImages(ctx context.Context) error {
	images := image.New(m.store, filepath.Join(m.opt.State, "layers", "images"))
	cells, borrowed, err := m.atHand(images)
	if err != nil {
		return err
	}
	stage := m.opt.Progress.Stage("images", len(cells)+len(borrowed))
	defer stage.Close()
	g, gctx := errgroup.WithContext(ctx)
	for _, c := range cells {
		g.Go(func() error {
			stage.Begin(c.String())
			how, err := m.provideCell(gctx, images, c)
			if err != nil {
				stage.End(c.String(), "failed: "+err.Error())
				return err
			}
			stage.End(c.String(), how)
			return nil
		})
	}
	readers := map[string]jobs.Reader{}
	var mu sync.Mutex
	for _, name := range slices.Sorted(maps.Keys(borrowed)) {
		lender := borrowed[name]
		g.Go(func() error {
			stage.Begin(lender.String())
			root, err := m.provideImage(gctx, images, lender)
			if err != nil {
				stage.End(lender.String(), "failed: "+err.Error())
				return err
			}
			stage.End(lender.String(), "image "+root.Digest.Short()+", to read specs with")
			mu.Lock()
			defer mu.Unlock()
			readers[name] = jobs.Reader{Image: buildroot.Image{Digest: root.Digest, Layers: root.Layers}, Arch: lender.Arch, Target: name}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, c := range m.cells {
		if reader, ok := readers[c.Target.Evaluate]; ok && c.Image.Digest == "" {
			c.Reader = reader
		} else {
			c.Reader = m.ownReader(c)
		}
	}
	return nil
}

// ownReader is the image of a cell's own target that reads its specs: rpmspec takes
// the architecture as an option, so that it need not be emulated where the host's
// own is part of the run.
func (m *Matrix) ownReader(cell *jobs.Cell) jobs.Reader {
	reader := cell
	for _, c := range m.cells {
		if c.Target == cell.Target && emulate.Native(c.Arch) && c.Image.Digest != "" {
			reader = c
		}
	}
	return jobs.Reader{Image: reader.Image, Arch: reader.Arch, Target: reader.Target.Name}
}

// atHand divides the run's cells: those that get their own image, and those that
// are only planned and whose target has none here, whose specs are read in an image
// of another target. These are returned by name.
func (m *Matrix) atHand(images *image.Images) (cells []*jobs.Cell, borrowed map[string]*jobs.Cell, err error) {
	borrowed = map[string]*jobs.Cell{}
	for _, c := range m.cells {
		if !m.planOnly || c.Target.Evaluate == "" || c.Target.Image.Reference == "" {
			cells = append(cells, c)
			continue
		}
		if _, err := images.Pulled(c.Target.Image.Reference, c.Arch); err == nil {
			cells = append(cells, c)
			continue
		}
		lender, err := m.opt.Catalog.Target(c.Target.Evaluate)
		if err != nil {
			return nil, nil, &UsageError{fmt.Errorf("target %s has no image here, and is to be read in that of another: %w", c.Target.Name, err)}
		}
		borrowed[lender.Name] = &jobs.Cell{Target: lender, Arch: readerArch(lender)}
	}
	return cells, borrowed, nil
}

// readerArch is the architecture whose image reads specs for others: the host's own
// where the target has it.
func readerArch(t *recipes.Target) string {
	if slices.Contains(t.Architectures, emulate.Host()) {
		return emulate.Host()
	}
	return t.Architectures[0]
}

func (m *Matrix) provideCell(ctx context.Context, images *image.Images, c *jobs.Cell) (string, error) {
	var root, native *image.Root
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		root, err = m.provideImage(ctx, images, c)
		return err
	})
	if m.wantsToolchain(c) {
		g.Go(func() (err error) {
			native, err = m.toolchainRoot(ctx, images, c)
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
	tools, err := m.planToolchain(c, native)
	return how + ", " + tools, err
}

func (m *Matrix) provideImage(ctx context.Context, images *image.Images, c *jobs.Cell) (*image.Root, error) {
	var img *image.Image
	_, err := m.patience.Try(ctx, "the image of "+c.String(), io.Discard, func() (err error) {
		img, err = m.image(ctx, images, c)
		return err
	})
	if err != nil {
		var missing *debian.MissingError
		if errors.As(err, &missing) {
			return nil, &host.Error{Problems: []error{missing}}
		}
		if c.Target.Image.Reference != "" {
			return nil, fmt.Errorf("the image of %s: %w; another image is given to a target under targets: in ohpc-build.yaml", c, err)
		}
		return nil, fmt.Errorf("the image of %s: %w", c, err)
	}
	return images.Unpack(ctx, img)
}

func (m *Matrix) image(ctx context.Context, images *image.Images, c *jobs.Cell) (*image.Image, error) {
	from := c.Target.Image
	if from.Bootstrap == nil {
		if m.planOnly {
			if img, err := images.Pulled(from.Reference, c.Arch); err == nil {
				return img, nil
			}
		}
		return images.Pull(ctx, from.Reference, c.Arch)
	}
	log, err := m.createLog("image_" + c.Target.Name + "_" + c.Arch + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	base, err := m.bootstrap(from.Bootstrap, from.Bootstrap.Packages).Image(ctx, images, c.Arch, log)
	if err != nil || len(c.Target.Bridge) == 0 {
		return base, err
	}
	return bridge.Names(c.Target.Bridge).Image(ctx, images, m.sandbox, base, log)
}

func (m *Matrix) bootstrap(from *recipes.Bootstrap, packages []string) debian.Bootstrap {
	b := debian.Bootstrap{Suite: from.Suite, Components: from.Components, Packages: packages}
	if m.opt.Mirror != "" {
		b.Mirrors = []string{m.opt.Mirror}
	}
	return b
}
