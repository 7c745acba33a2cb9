package matrix

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/trial"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
	"github.com/ohpc-build/ohpc-build/validate/content"
)

// Foreign is a repository that this program need not have made, and what is to be
// checked of it.
type Foreign struct {
	Repository *repodata.Repository
	Checks     []string // names, as targets require them
	PublicKey  []byte   // armored; what signatures are verified with
}

// Check runs checks on a repository in each of the run's cells. Nothing of earlier
// runs is believed. The rows tell what failed; the error is for what kept a check
// from being run, and a *UsageError when there is nothing to check.
func (m *Matrix) Check(ctx context.Context, f Foreign) ([]report.Check, error) {
	exceptions := m.exceptions()
	// No recipe is built: neither a key nor a tool chain is wanted for one.
	catalog := *m.opt.Catalog
	catalog.Recipes = nil
	m.opt.Catalog, m.planOnly = &catalog, true
	var rows []report.Check
	err := m.steps(ctx, []step{
		{"host", m.prepare},
		{"images", m.ownImages},
		{"validate", func(ctx context.Context) (err error) {
			rows, err = m.checkForeign(ctx, f, exceptions)
			return err
		}},
	})
	return rows, err
}

// exceptions are what any recipe of the catalogue declares. Which recipe a package
// of a stranger's repository comes from is not known.
func (m *Matrix) exceptions() []content.Exception {
	var all []content.Exception
	for _, r := range m.opt.Catalog.Recipes {
		for _, a := range r.Allow {
			all = append(all, content.Exception{Rule: content.Rule(a.Rule), Paths: a.Paths, Reason: a.Reason})
		}
	}
	return all
}

// ownImages gets each cell's own image: what is checked must be checked there.
func (m *Matrix) ownImages(ctx context.Context) error {
	images := image.New(m.store, filepath.Join(m.opt.State, "layers", "images"))
	stage := m.opt.Progress.Stage("images", len(m.cells))
	defer stage.Close()
	for _, c := range m.cells {
		stage.Begin(c.String())
		root, err := m.provideImage(ctx, images, c)
		if err != nil {
			stage.End(c.String(), "failed: "+err.Error())
			return err
		}
		c.Image = buildroot.Image{Digest: root.Digest, Layers: root.Layers}
		stage.End(c.String(), "image "+root.Digest.Short())
	}
	return nil
}

func (m *Matrix) checkForeign(ctx context.Context, f Foreign, exceptions []content.Exception) ([]report.Check, error) {
	records, err := f.Repository.Records(ctx)
	if err != nil {
		return nil, &UsageError{err}
	}
	for _, c := range m.cells {
		of := func(rec rpmmd.Record) bool { return rec.Arch == c.Arch || rec.Arch == noarch }
		if !slices.ContainsFunc(records, of) {
			return nil, &UsageError{fmt.Errorf("%s: there is no package to check for %s", f.Repository, c.Arch)}
		}
	}
	dir := filepath.Join(m.scratch, "repository")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	dir, err = f.Repository.Local(ctx, dir, func(rec rpmmd.Record) bool {
		return rec.Arch == noarch || slices.ContainsFunc(m.cells, func(c *jobs.Cell) bool { return c.Arch == rec.Arch })
	})
	if err != nil {
		return nil, &UsageError{err}
	}
	stage := m.opt.Progress.Stage("validate", len(m.cells)*len(f.Checks))
	defer stage.Close()
	var rows []report.Check
	for _, c := range m.cells {
		cell := &trial.Cell{
			Target: c.Target.Name, Arch: c.Arch, Image: c.Image,
			Required: f.Checks, Managers: c.Target.Managers,
			Snapshot:   snapshot.Snapshot{Dir: dir, Release: m.opt.Catalog.Release},
			PublicKey:  f.PublicKey,
			Exceptions: exceptions, Fresh: true,
		}
		work := filepath.Join(m.scratch, "validate", c.Target.Name, c.Arch)
		more, err := trial.New(cell, m.store, m.sandbox, work, m.createLog).Run(ctx, trial.NewSlots(m.opt.Jobs), stage.Begin, stage.End)
		rows = append(rows, more...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

const noarch = "noarch"
