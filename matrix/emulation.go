package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/emulate/toolchain"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
)

// How builds for another architecture run: with native programs doing what does
// not depend on the architecture they run on, or with everything emulated.
const (
	EmulationNative = "native"
	EmulationPlain  = "plain"
)

// provideToolchains finds for each emulated cell the native programs that do its
// builds' work. A target that has none is emulated plainly, and that is said.
func (m *Matrix) provideToolchains(ctx context.Context) error {
	var cells []*jobs.Cell
	for _, c := range m.cells {
		if !emulate.Native(c.Arch) && m.opt.Emulation == EmulationNative {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		return nil
	}
	stage := m.opt.Progress.Stage("tools", len(cells))
	defer stage.Close()
	for _, c := range cells {
		stage.Begin(c.String())
		p, err := m.toolchain(ctx, c)
		var unavailable *toolchain.UnavailableError
		switch {
		case errors.As(err, &unavailable):
			stage.End(c.String(), "everything is emulated: "+unavailable.Reason)
			continue
		case err != nil:
			stage.End(c.String(), "failed: "+err.Error())
			return fmt.Errorf("the native tool chain for %s: %w", c, err)
		}
		for _, e := range p.Emulated {
			m.opt.Log.Info("stays emulated", "cell", c.String(), "what", e.What, "reason", e.Reason)
		}
		c.Native = p
		stage.End(c.String(), fmt.Sprintf("%d native programs", len(p.Mounts)))
	}
	return nil
}

// toolchain makes the native root with the target's cross compiler, and finds in
// it what can stand for programs of the cell's image.
func (m *Matrix) toolchain(ctx context.Context, c *jobs.Cell) (*toolchain.Plan, error) {
	from := c.Target.Image.Bootstrap
	if from == nil || len(from.Toolchain[c.Arch]) == 0 {
		return nil, &toolchain.UnavailableError{Reason: "target " + c.Target.Name + " names no cross compiler for " + c.Arch}
	}
	log, err := m.createLog("toolchain_" + c.Target.Name + "_" + c.Arch + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	images := m.imageStore()
	img, err := m.bootstrap(from, from.Toolchain[c.Arch]).Image(ctx, images, emulate.Host(), log)
	if err != nil {
		return nil, err
	}
	root, err := images.Unpack(ctx, img)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(m.scratch, "launchers", c.Target.Name, c.Arch)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	image := c.Image
	return toolchain.New(
		toolchain.Root{Arch: emulate.Host(), Digest: string(root.Digest), Layers: root.Layers},
		toolchain.Root{Arch: c.Arch, Digest: string(image.Digest), Layers: image.Layers},
		dir,
	)
}
