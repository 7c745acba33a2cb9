package matrix

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

// How builds for another architecture run: with native programs doing what does
// not depend on the architecture they run on, or with everything emulated.
const (
	EmulationNative = "native"
	EmulationPlain  = "plain"
)

// wantsToolchain says whether native programs are to do the work of a cell's
// builds, and its target names where they come from.
func (m *Matrix) wantsToolchain(c *jobs.Cell) bool {
	from := c.Target.Image.Bootstrap
	return m.opt.Emulation == EmulationNative && !emulate.Native(c.Arch) && from != nil && len(from.Toolchain[c.Arch]) > 0
}

// toolchainRoot makes the native root with the target's cross compiler.
func (m *Matrix) toolchainRoot(ctx context.Context, images *image.Images, c *jobs.Cell) (*image.Root, error) {
	log, err := m.createLog("toolchain_" + c.Target.Name + "_" + c.Arch + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	from := c.Target.Image.Bootstrap
	img, err := m.bootstrap(from, from.Toolchain[c.Arch]).Image(ctx, images, emulate.Host(), log)
	if err != nil {
		return nil, fmt.Errorf("the native tool chain for %s: %w", c, err)
	}
	return images.Unpack(ctx, img)
}

// planToolchain finds in a native root what can stand for programs of the cell's
// image. When nothing can, everything is emulated, and that is said.
func (m *Matrix) planToolchain(c *jobs.Cell, native *image.Root) (string, error) {
	dir := filepath.Join(m.scratch, "launchers", c.Target.Name, c.Arch)
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
		m.opt.Log.Info("stays emulated", "cell", c.String(), "what", e.What, "reason", e.Reason)
	}
	c.Native = p
	return fmt.Sprintf("%d native programs for its builds", len(p.Mounts)), nil
}
