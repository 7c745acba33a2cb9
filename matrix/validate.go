package matrix

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/trial"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/content"
)

const defaultTestTime = 10 * time.Minute

// validate tries each target's snapshot in each of its cells.
func (m *Matrix) validate(ctx context.Context) error {
	var cells []*trial.Cell
	total := 0
	for _, c := range m.cells {
		cell, err := m.trialCell(ctx, c)
		if err != nil {
			return err
		}
		cells = append(cells, cell)
		total += cell.Count()
	}
	stage := m.opt.Progress.Stage("validate", total)
	defer stage.Close()
	dir, err := m.store.Temp("validate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var mu sync.Mutex
	slots := trial.NewSlots(m.opt.Jobs)
	g, ctx := errgroup.WithContext(ctx)
	for _, cell := range cells {
		g.Go(func() error {
			t := trial.New(cell, m.store, m.sandbox, filepath.Join(dir, cell.Target, cell.Arch), m.createLog)
			rows, err := t.Run(ctx, slots, stage.Begin, stage.End)
			mu.Lock()
			defer mu.Unlock()
			m.report.Checks = append(m.report.Checks, rows...)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	failed := 0
	for _, c := range m.report.Checks {
		if c.Result == report.Fail {
			failed++
		}
	}
	if failed > 0 {
		return &FailedError{What: fmt.Sprintf("%d of %d checks failed; nothing was published", failed, len(m.report.Checks))}
	}
	return nil
}

// trialCell gathers what a cell's trial needs.
func (m *Matrix) trialCell(ctx context.Context, c *jobs.Cell) (*trial.Cell, error) {
	image, err := m.jobs.Installed(ctx, c)
	if err != nil {
		return nil, err
	}
	cell := &trial.Cell{
		Target: c.Target.Name, Arch: c.Arch, Image: image,
		Required: c.Target.RequiredChecks(c.Arch), Managers: c.Target.Managers,
		Snapshot: m.snapshots[c.Target.Name], PublicKey: m.key.PublicKey(),
	}
	if cell.Before, cell.NotBefore, err = m.before(cell.Snapshot); err != nil {
		return nil, err
	}
	for _, j := range m.jobs.Plan.Jobs {
		if !j.Serves(c.Target.Name, c.Arch) {
			continue
		}
		variant := m.jobs.Variant(j)
		for _, a := range variant.Recipe.Allow {
			for _, p := range j.Produces {
				cell.Exceptions = append(cell.Exceptions, content.Exception{Package: p.Name, Rule: content.Rule(a.Rule), Paths: a.Paths, Reason: a.Reason})
			}
		}
		var names []string
		for _, p := range j.Produces {
			names = append(names, p.Name)
		}
		installs, err := m.installs(c, j)
		if err != nil {
			return nil, err
		}
		cell.Installs = append(cell.Installs, installs...)
		for _, t := range variant.Recipe.Tests {
			test, err := m.trialTest(c, j, variant, t)
			if err != nil {
				return nil, err
			}
			test.Packages = append(test.Packages, names...)
			cell.Tests = append(cell.Tests, *test)
		}
	}
	return cell, nil
}

// installs are the installations of what a job made for a cell.
func (m *Matrix) installs(c *jobs.Cell, j *plan.Job) ([]trial.Install, error) {
	result := m.jobs.Result(j.ID)
	if result == nil {
		return nil, fmt.Errorf("%s has no packages to install", j.ID)
	}
	var packages []*rpm.Package
	for _, p := range result.Packages {
		header, err := m.jobs.Header(p.Digest)
		if err != nil {
			return nil, err
		}
		if header.Arch == c.Arch || header.Arch == noarch {
			packages = append(packages, header)
		}
	}
	if len(packages) == 0 {
		return nil, nil
	}
	return trial.Divide(j.Name(), packages), nil
}

func (m *Matrix) trialTest(c *jobs.Cell, j *plan.Job, v recipes.Variant, t recipes.Test) (*trial.Test, error) {
	dir, script := path.Split(t.Script)
	files, err := trial.ReadFiles(m.opt.Catalog.FS, path.Join(v.Recipe.Dir, dir))
	if err != nil {
		return nil, err
	}
	subject := j.Recipe
	if j.Variant != "" {
		subject += "@" + j.Variant
	}
	test := &trial.Test{
		Subject: subject + " " + script, Script: script, Files: files, Packages: v.TestPackages(t),
		Limit: time.Duration(t.Time), Env: []string{"OHPC_ARCH=" + c.Arch},
	}
	for _, p := range v.Picks {
		test.Env = append(test.Env, "OHPC_"+strings.ToUpper(p.Family)+"_FAMILY="+p.Member)
	}
	if test.Limit == 0 {
		test.Limit = defaultTestTime
	}
	if !emulate.Native(c.Arch) {
		test.Limit *= jobs.EmulatedTimes
	}
	return test, nil
}
