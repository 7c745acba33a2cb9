package matrix

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/closed"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// Distribution is a repository of a target's own packages.
type Distribution struct {
	Target, Arch string // the cells that it is for, if it has packages for them; empty: all
	Repository   closure.Repository
}

// Closure plans, and tells which requirements of the jobs and of what they would
// make nothing provides: neither the jobs of the same cell nor the target, as far as
// its image or the repositories of its distribution are at hand.
func (m *Matrix) Closure(ctx context.Context, distributions []Distribution) (*closed.Report, error) {
	m.planOnly = true
	var report *closed.Report
	err := m.steps(ctx, []step{
		{"host", m.prepare},
		{"images", m.provideImages},
		{"plan", m.makePlan},
		{"closure", func(ctx context.Context) error {
			var err error
			report, err = m.checkClosure(ctx, distributions)
			return err
		}},
	})
	return report, err
}

func (m *Matrix) checkClosure(ctx context.Context, distributions []Distribution) (*closed.Report, error) {
	base := m.jobs.Base()
	in := closed.Input{
		Plan: m.jobs.Plan, Evaluated: m.jobs.Evaluated, Own: base.Own,
		Defines: func(j *plan.Job) []recipes.Define { return m.jobs.Variant(j).Defines },
		Text:    func(path string) ([]byte, error) { return recipes.ReadFile(m.opt.Catalog.FS, path) },
	}
	loaded := make([]*closure.Loaded, len(distributions))
	var err error
	for i, d := range distributions {
		if loaded[i], err = closure.Load(ctx, d.Repository); err != nil {
			return nil, &UsageError{err}
		}
	}
	for _, c := range m.cells {
		cell := closed.Cell{Target: c.Target.Name, Arch: c.Arch, Image: base.Image(c), Whole: c.Target.Image.Bootstrap != nil}
		for i, d := range distributions {
			if (d.Target == "" || d.Target == c.Target.Name) && (d.Arch == "" || d.Arch == c.Arch) && loaded[i].For(c.Arch) {
				cell.Repositories = append(cell.Repositories, loaded[i])
			}
		}
		in.Cells = append(in.Cells, cell)
	}
	slices.SortFunc(in.Cells, func(a, b closed.Cell) int { return strings.Compare(a.String(), b.String()) })
	report, err := closed.Check(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("looking for what nothing provides: %w", err)
	}
	return report, nil
}
