package matrix

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/write"
	"github.com/ohpc-build/ohpc-build/matrix/trial"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
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

	// From is what is upgraded to the repository, Base what it is an overlay on: a
	// folder or a URL, "" for none. They are signed with the same key.
	From, Base string
}

// Folders in the output folder: of the report of a run, and of that of checks of a
// repository that anybody made.
const (
	ReportFolder   = "report"
	ValidateFolder = "validate"
)

// Check runs checks on a repository in each of the run's cells. Nothing of earlier
// runs is believed. Logs are in [ValidateFolder]: what a run left in [ReportFolder] is
// the run's. The rows tell what failed; the error is for what kept a check
// from being run, and a *UsageError when there is nothing to check.
func (m *Matrix) Check(ctx context.Context, f Foreign) ([]report.Check, error) {
	exceptions, withTests := m.exceptions(), tested(m.opt.Catalog.Recipes)
	// No recipe is built: neither a key nor a tool chain is wanted for one.
	catalog := *m.opt.Catalog
	catalog.Recipes = nil
	m.opt.Catalog, m.planOnly, m.reports = &catalog, true, ValidateFolder
	var rows []report.Check
	err := m.steps(ctx, []step{
		{"host", m.prepare},
		{"images", m.ownImages},
		{"validate", func(ctx context.Context) (err error) {
			rows, err = m.checkForeign(ctx, f, exceptions, withTests)
			return err
		}},
	})
	return rows, err
}

// CheckAndReport is Check, with a report in [ValidateFolder] like that of a run. The error
// is a *FailedError when checks failed.
func (m *Matrix) CheckAndReport(ctx context.Context, f Foreign) (*report.Run, error) {
	var err error
	m.report.Checks, err = m.Check(ctx, f)
	if err != nil {
		m.report.Error = err.Error()
	}
	m.report.Cells = m.reportCells()
	m.report.Slots = m.opt.Jobs
	m.report.Close(m.report.Started.Add(time.Since(m.begun)))
	if werr := write.Folder(filepath.Join(m.opt.Out, ValidateFolder), m.report); werr != nil || err != nil {
		return m.report, errors.Join(err, werr)
	}
	return m.report, failedChecks(m.report.Checks, "")
}

// failedChecks is a *FailedError when there are any. What follows from it is said behind.
func failedChecks(checks []report.Check, then string) error {
	failed := 0
	for _, c := range checks {
		if c.Result == report.Fail {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return &FailedError{What: fmt.Sprintf("%d of %d checks failed%s", failed, len(checks), then)}
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

func (m *Matrix) checkForeign(ctx context.Context, f Foreign, exceptions []content.Exception, withTests []*recipes.Recipe) ([]report.Check, error) {
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
	// What the server has is under test, not what it had before.
	if dir, err = f.Repository.Local(ctx, dir, m.forCells); err != nil {
		return nil, &UsageError{err}
	}
	installs := map[string][]trial.Install{}
	if slices.Contains(f.Checks, "install") {
		for _, c := range m.cells {
			if installs[c.Arch] == nil {
				if installs[c.Arch], err = foreignInstalls(ctx, dir, records, c.Arch); err != nil {
					return nil, &UsageError{fmt.Errorf("%s: %w", f.Repository, err)}
				}
			}
		}
	}
	var from, base *trial.Tree
	if f.From != "" {
		if from, err = m.tree(ctx, f.From, f.PublicKey, "from"); err != nil {
			return nil, err
		}
	}
	if f.Base != "" {
		if base, err = m.tree(ctx, f.Base, f.PublicKey, "base"); err != nil {
			return nil, err
		}
	}
	tests := map[string][]trial.Test{}
	if slices.Contains(f.Checks, "suite") {
		if tests, err = m.foreignTests(ctx, withTests, records, base); err != nil {
			return nil, err
		}
	}
	var trials []*trial.Trial
	total := 0
	for _, c := range m.cells {
		cell := &trial.Cell{
			Target: c.Target.Name, Arch: c.Arch, Image: c.Image,
			Required: f.Checks, Managers: c.Target.Managers,
			Snapshot:   snapshot.Snapshot{Dir: dir, Release: m.opt.Catalog.Release},
			PublicKey:  f.PublicKey,
			Installs:   installs[c.Arch],
			Tests:      tests[c.String()],
			Before:     from,
			Base:       base,
			Exceptions: exceptions, Fresh: true, SuiteTree: m.opt.SuiteTree, Begun: m.begun, Patience: m.patience,
		}
		total += cell.Count()
		work := filepath.Join(m.scratch, "validate", c.Target.Name, c.Arch)
		trials = append(trials, trial.New(cell, m.store, m.sandbox, work, m.createLog))
	}
	stage := m.opt.Progress.Stage("validate", total)
	defer stage.Close()
	return runTrials(ctx, trials, m.opt.Jobs, stage)
}

// foreignInstalls are the installations of a repository of which no recipe is known:
// what was built from one source package is tried together.
func foreignInstalls(ctx context.Context, dir string, records []rpmmd.Record, arch string) ([]trial.Install, error) {
	bySource := map[string][]*rpm.Package{}
	newest := map[string]*rpm.Package{}
	for _, rec := range records {
		if rec.Arch != arch && rec.Arch != noarch {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		p, err := rpm.ReadFile(filepath.Join(dir, filepath.FromSlash(rec.Location)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rec.Location, err)
		}
		if other := newest[p.Name]; other == nil || other.EVR().Compare(p.EVR()) < 0 {
			newest[p.Name] = p
		}
	}
	for _, name := range slices.Sorted(maps.Keys(newest)) {
		source := sourceName(newest[name])
		bySource[source] = append(bySource[source], newest[name])
	}
	var all []trial.Install
	for _, source := range slices.Sorted(maps.Keys(bySource)) {
		all = append(all, trial.Divide(source, bySource[source])...)
	}
	return all, nil
}

// sourceName is the name of the source package: its file is name-version-release.src.rpm.
func sourceName(p *rpm.Package) string {
	parts := strings.Split(p.SourceRPM, "-")
	if len(parts) < 3 {
		return p.Name
	}
	return strings.Join(parts[:len(parts)-2], "-")
}

const noarch = "noarch"
