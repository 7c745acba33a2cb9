package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/emulate/toolchain"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
)

// wantsToolchain says whether native programs are to do the work of a cell's
// builds, and its target names where they come from.
func (s *Images) wantsToolchain(c *jobs.Cell) bool {
	from := c.Target.Image.Bootstrap
	return s.opt.Native && !emulate.Native(c.Arch) && from != nil && len(from.Toolchain[c.Arch]) > 0
}

// toolchainRoot makes the native root with the target's cross compiler.
func (s *Images) toolchainRoot(ctx context.Context, c *jobs.Cell) (*image.Root, error) {
	log, err := s.opt.Logs("toolchain_" + c.Target.Name + "_" + c.Arch + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	from := c.Target.Image.Bootstrap
	img, err := s.bootstrap(from, from.Toolchain[c.Arch]).Image(ctx, s.images, emulate.Host(), log)
	if err != nil {
		return nil, fmt.Errorf("the native tool chain for %s: %w", c, err)
	}
	return s.images.Unpack(ctx, img)
}

// planToolchain finds in a native root what can stand for programs of the cell's
// image. When nothing can, everything is emulated, and that is said.
func (s *Images) planToolchain(c *jobs.Cell, native *image.Root) (string, error) {
	dir := filepath.Join(s.opt.Scratch, "launchers", c.Target.Name, c.Arch)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	p, err := toolchain.New(
		toolchain.Root{Arch: emulate.Host(), Digest: string(native.Digest), Layers: native.Layers},
		toolchain.Root{Arch: c.Arch, Digest: string(c.Image.Digest), Layers: c.Image.Layers},
		dir,
	)
	var unavailable *toolchain.UnavailableError
	if errors.As(err, &unavailable) {
		return "everything is emulated: " + unavailable.Reason, nil
	}
	if err != nil {
		return "", fmt.Errorf("the native tool chain for %s: %w", c, err)
	}
	for _, e := range p.Emulated {
		s.opt.Log.Info("stays emulated", "cell", c.String(), "what", e.What, "reason", e.Reason)
	}
	c.Native = p
	return fmt.Sprintf("%d native programs for its builds", len(p.Mounts)), nil
}
