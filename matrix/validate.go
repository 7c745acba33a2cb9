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
	"github.com/ohpc-build/ohpc-build/validate/suite"
)

const defaultTestTime = 10 * time.Minute

// validate tries each target's snapshot in each of its cells.
func (m *Matrix) validate(ctx context.Context) error {
	dir, err := m.store.Temp("validate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var trials []*trial.Trial
	total := 0
	for _, c := range m.cells {
		cell, err := m.trialCell(ctx, c)
		if err != nil {
			return err
		}
		trials = append(trials, trial.New(cell, m.store, m.sandbox, filepath.Join(dir, cell.Target, cell.Arch), m.createLog))
		total += cell.Count()
	}
	if err := m.notOlder(ctx, trials); err != nil {
		return err
	}
	stage := m.opt.Progress.Stage("validate", total)
	defer stage.Close()
	rows, err := runTrials(ctx, trials, m.opt.Jobs, stage)
	m.report.Checks = append(m.report.Checks, rows...)
	if err != nil {
		return err
	}
	return failedChecks(m.report.Checks, "; nothing was published")
}

// runTrials runs all checks of all cells, so many at a time.
func runTrials(ctx context.Context, trials []*trial.Trial, at int, stage Stage) ([]report.Check, error) {
	var (
		mu   sync.Mutex
		rows []report.Check
	)
	slots := trial.NewSlots(at)
	g, ctx := errgroup.WithContext(ctx)
	for _, t := range trials {
		g.Go(func() error {
			more, err := t.Run(ctx, slots, stage.Begin, stage.End)
			mu.Lock()
			defer mu.Unlock()
			rows = append(rows, more...)
			return err
		})
	}
	err := g.Wait()
	return rows, err
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
		SuiteTree: m.opt.SuiteTree, Begun: m.begun, Patience: m.patience,
	}
	if cell.Before, cell.NotBefore, err = m.before(cell.Snapshot); err != nil {
		return nil, err
	}
	if cell.Base = m.base; cell.Base != nil && cell.Before != nil && cell.Before.ID == cell.Snapshot.ID {
		cell.Before = nil // what is upgraded is the base alone
	}
	for _, j := range m.jobs.Plan.Jobs {
		if !j.Serves(c.Target.Name, c.Arch) || !m.inSnapshot(j) {
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
		if cell.WantsInstalls() {
			installs, err := m.installs(c, j)
			if err != nil {
				return nil, err
			}
			cell.Installs = append(cell.Installs, installs...)
		}
		for _, t := range variant.Recipe.Tests {
			test, err := m.trialTest(c, variant, t)
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
		if strings.HasSuffix(p.File, ".src.rpm") {
			continue
		}
		header, err := m.jobs.ReadHeader(p.Digest)
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

// trialTest is a test of a recipe in a cell, for its variant's packages.
func (m *Matrix) trialTest(c *jobs.Cell, v recipes.Variant, t recipes.Test) (*trial.Test, error) {
	dir, script := path.Split(t.Script)
	files, err := trial.ReadFiles(m.opt.Catalog.FS, path.Join(v.Recipe.Dir, dir))
	if err != nil {
		return nil, err
	}
	test := &trial.Test{
		Subject: variantSubject(v) + " " + script, Script: script, Files: files, Packages: v.TestPackages(t),
		Limit: time.Duration(t.Time), Env: []string{"OHPC_ARCH=" + c.Arch},
	}
	for _, p := range v.Picks {
		test.Env = append(test.Env, "OHPC_"+strings.ToUpper(p.Family)+"_FAMILY="+p.Member)
	}
	var quarantine []suite.Quarantine
	for _, q := range t.Quarantine {
		quarantine = append(quarantine, suite.Quarantine{Case: q.Case, Until: q.Until.Time, Reason: q.Reason})
	}
	test.Quarantine = suite.InForce(quarantine, m.report.Started)
	if test.Limit == 0 {
		test.Limit = defaultTestTime
	}
	if !emulate.Native(c.Arch) {
		test.Limit *= jobs.EmulatedTimes
	}
	return test, nil
}

// variantSubject is a recipe's variant as checks name it.
func variantSubject(v recipes.Variant) string {
	if name := v.Name(); name != "" {
		return v.Recipe.Name + "@" + name
	}
	return v.Recipe.Name
}
