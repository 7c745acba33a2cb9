package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/bridge"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/host"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// Options say where images are kept, and how they are made.
type Options struct {
	Layers  string // folder of unpacked layers
	Scratch string // folder of launchers; it lasts as long as the run
	Mirror  string // Debian archive; default: the one that the host's apt uses

	// Native wants native programs for the builds of cells that are emulated.
	Native bool
	// AtHand takes images as they were pulled before, and does without where there are
	// none and another target can read the specs: nothing is built.
	AtHand bool

	Patience Patience
	Logs     func(name string) (*os.File, error) // makes a log
	Log      *slog.Logger
}

// Patience tries again what may be gone the next time.
type Patience interface {
	Try(ctx context.Context, what string, log io.Writer, try func() error) (attempts int, err error)
}

// Sandbox runs a command in a container.
type Sandbox interface {
	Run(ctx context.Context, spec sandbox.Spec) error
}

// Progress is shown which cell's image is being got.
type Progress interface {
	Begin(what string)
	End(what, how string)
}

// TargetError says that a target does not say what is wanted of it.
type TargetError struct{ Err error }

func (e *TargetError) Error() string { return e.Err.Error() }
func (e *TargetError) Unwrap() error { return e.Err }

// Images are those of a run's cells. It is safe for concurrent use.
type Images struct {
	opt     Options
	store   *store.Store
	sandbox Sandbox
	images  *image.Images
}

// New keeps images in a store. The sandbox is where what bootstrapped images lack is made.
func New(st *store.Store, sb Sandbox, opt Options) *Images {
	return &Images{opt: opt, store: st, sandbox: sb, images: image.New(st, opt.Layers)}
}

// Own gets each cell's own image. Specs are read in it, or in that of its target that
// the host need not emulate.
func (s *Images) Own(ctx context.Context, cells []*jobs.Cell, progress Progress) error {
	for _, c := range cells {
		progress.Begin(c.String())
		root, err := s.unpacked(ctx, c)
		if err != nil {
			progress.End(c.String(), "failed: "+err.Error())
			return err
		}
		c.Image = buildroot.Image{Digest: root.Digest, Layers: root.Layers}
		progress.End(c.String(), "image "+root.Digest.Short())
	}
	for _, c := range cells {
		c.Reader = ownReader(c, cells)
	}
	return nil
}

// unpacked gets a cell's image, with patience, and unpacks it.
func (s *Images) unpacked(ctx context.Context, c *jobs.Cell) (*image.Root, error) {
	var img *image.Image
	_, err := s.opt.Patience.Try(ctx, "the image of "+c.String(), io.Discard, func() (err error) {
		img, err = s.image(ctx, c)
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
	return s.images.Unpack(ctx, img)
}

func (s *Images) image(ctx context.Context, c *jobs.Cell) (*image.Image, error) {
	from := c.Target.Image
	if from.Bootstrap == nil {
		if s.opt.AtHand {
			if img, err := s.images.Pulled(from.Reference, c.Arch); err == nil {
				return img, nil
			}
		}
		return s.images.Pull(ctx, from.Reference, c.Arch)
	}
	log, err := s.opt.Logs("image_" + c.Target.Name + "_" + c.Arch + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	base, err := s.bootstrap(from.Bootstrap, from.Bootstrap.Packages).Image(ctx, s.images, c.Arch, log)
	if err != nil || len(c.Target.Bridge) == 0 {
		return base, err
	}
	return bridge.Names(c.Target.Bridge).Image(ctx, s.images, s.sandbox, base, log)
}

func (s *Images) bootstrap(from *recipes.Bootstrap, packages []string) debian.Bootstrap {
	b := debian.Bootstrap{Suite: from.Suite, Components: from.Components, Packages: packages}
	if s.opt.Mirror != "" {
		b.Mirrors = []string{s.opt.Mirror}
	}
	return b
}
