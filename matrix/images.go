package matrix

import (
	"context"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/matrix/images"
)

// How builds for another architecture run: with native programs doing what does
// not depend on the architecture they run on, or with everything emulated.
const (
	EmulationNative = "native"
	EmulationPlain  = "plain"
)

// images are those of the run's cells.
func (m *Matrix) images() *images.Images {
	return images.New(m.store, m.sandbox, images.Options{
		Layers: filepath.Join(m.opt.State, "layers", "images"), Scratch: m.scratch, Mirror: m.opt.Mirror,
		Native: m.opt.Emulation == EmulationNative, AtHand: m.planOnly,
		Patience: m.patience, Logs: m.createLog, Log: m.opt.Log,
	})
}

// provideImages gets each cell what its specs are read in and its builds made in.
func (m *Matrix) provideImages(ctx context.Context) error {
	choice, err := m.images().Choose(m.opt.Catalog, m.cells)
	if err != nil {
		return err
	}
	stage := m.opt.Progress.Stage("images", choice.Number())
	defer stage.Close()
	return choice.Provide(ctx, stage)
}

// ownImages gets each cell's own image: what is checked must be checked there.
func (m *Matrix) ownImages(ctx context.Context) error {
	stage := m.opt.Progress.Stage("images", len(m.cells))
	defer stage.Close()
	return m.images().Own(ctx, m.cells, stage)
}
