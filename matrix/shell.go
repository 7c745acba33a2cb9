package matrix

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// buildAndLook builds and puts the packages where people find them. Where a build
// failed it opens a shell in the root of the first that did, if that is wanted.
func (m *Matrix) buildAndLook(ctx context.Context) error {
	if err := m.nothingToDo(); err != nil {
		return err
	}
	err := errors.Join(m.build(ctx), m.layOutPackages())
	var failed *FailedError
	if m.opt.Shell == nil || !errors.As(err, &failed) {
		return err
	}
	return errors.Join(err, m.shell(ctx))
}

// nothingToDo says why there is no job at all, when there is none.
func (m *Matrix) nothingToDo() error {
	if len(m.jobs.Plan.Jobs)+len(m.jobs.Plan.Failures) > 0 {
		return nil
	}
	text := "there is nothing to build"
	if len(m.opt.Recipes) > 0 {
		text += " of " + strings.Join(m.opt.Recipes, ", ")
	}
	if len(m.opt.Families) > 0 {
		text += " with these families"
	}
	for _, s := range m.jobs.Plan.Skips {
		text += fmt.Sprintf("\n  %s: %s", plan.ID(s.Recipe, s.Variant, s.Target, s.Arch), s.Reason)
	}
	return &UsageError{errors.New(text)}
}

// shell opens it. Roots that were kept for it only are removed afterwards.
func (m *Matrix) shell(ctx context.Context) error {
	var rows []*report.Job
	for i := range m.report.Jobs {
		if row := &m.report.Jobs[i]; row.Kept != "" && row.Result == report.Fail {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return errors.New("there is no root to open a shell in: no job failed in its build")
	}
	slices.SortFunc(rows, func(a, b *report.Job) int { return strings.Compare(a.ID, b.ID) })
	err := m.openShell(ctx, rows[0])
	for _, row := range rows {
		if m.opt.Keep != KeepNone {
			break
		}
		root, ferr := m.kept.Find(row.ID)
		if ferr == nil && root.Kept.Before(m.report.Started) {
			continue // by an earlier run, which was told to keep it
		}
		if ferr == nil {
			ferr = root.Remove()
		}
		err = errors.Join(err, ferr)
		row.Kept = ""
	}
	return err
}

func (m *Matrix) openShell(ctx context.Context, row *report.Job) error {
	root, err := m.kept.Find(row.ID)
	if err != nil {
		return err
	}
	var (
		native []sandbox.Mount
		env    []string
	)
	for _, c := range m.cells {
		if c.Target.Name == row.Target && c.Arch == row.Arch && c.Native != nil {
			native, env = c.Native.Mounts, c.Native.Env
		}
	}
	fmt.Fprintf(m.opt.Shell, "\n%s\n\n", row.Reason)
	return root.Shell(ctx, m.sandbox, native, env, m.opt.Shell)
}
