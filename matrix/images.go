package matrix

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/bridge"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// provideImages gets each cell's image and unpacks it, and for emulated cells the
// native programs that do their builds' work: all side by side, because an
// emulated bootstrap keeps one core busy and waits for the network besides.
func (m *Matrix) provideImages(ctx context.Context) error {
	stage := m.opt.Progress.Stage("images", len(m.cells))
	defer stage.Close()
	images := image.New(m.store, filepath.Join(m.opt.State, "layers", "images"))
	g, ctx := errgroup.WithContext(ctx)
	for _, c := range m.cells {
		g.Go(func() error {
			stage.Begin(c.String())
			how, err := m.provideCell(ctx, images, c)
			if err != nil {
				stage.End(c.String(), "failed: "+err.Error())
				return err
			}
			stage.End(c.String(), how)
			return nil
		})
	}
	return g.Wait()
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
	img, err := m.image(ctx, images, c)
	if err != nil {
		var missing *debian.MissingError
		if errors.As(err, &missing) {
			return nil, &HostError{Problems: []error{missing}}
		}
		return nil, fmt.Errorf("the image of %s: %w", c, err)
	}
	return images.Unpack(ctx, img)
}

func (m *Matrix) image(ctx context.Context, images *image.Images, c *jobs.Cell) (*image.Image, error) {
	from := c.Target.Image
	if from.Bootstrap == nil {
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
