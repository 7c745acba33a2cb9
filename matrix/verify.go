package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/verify"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// Verify goes as far as the packages, and then builds each job of the wanted recipes
// again under other conditions. A package that is not the same fails the check
// [report.Reproducible]; what differs is in the report's folder verify. Jobs whose
// results are in the store are built once, those that are not, twice.
func (m *Matrix) Verify(ctx context.Context) (*report.Run, error) {
	err := m.steps(ctx, []step{
		{"host", m.prepare},
		{"images", m.provideImages},
		{"plan", m.makePlan},
		{"build", m.buildAndLook},
		{"verify", m.verify},
	})
	return m.finish(err)
}

// differencesTold is how many differences of one job are in the report; all that
// were found are in its file.
const differencesTold = 20

func (m *Matrix) verify(ctx context.Context) error {
	var wanted []*plan.Job
	for _, j := range m.jobs.Plan.Jobs {
		if len(m.opt.Recipes) == 0 || slices.Contains(m.opt.Recipes, j.Recipe) {
			wanted = append(wanted, j)
		}
	}
	stage := m.opt.Progress.Stage("verify", len(wanted))
	defer stage.Close()
	verifier := verify.New(m.store, m.builder)
	var (
		mu     sync.Mutex // guards the report and the names
		failed []string
		g      errgroup.Group
	)
	g.SetLimit(m.opt.Jobs)
	for _, j := range wanted {
		g.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			stage.Begin(j.ID)
			row, err := m.verifyJob(ctx, verifier, j)
			if err != nil {
				stage.End(j.ID, "failed: "+err.Error())
				return err
			}
			stage.End(j.ID, string(row.Result)+": "+firstLine(row.Reason))
			mu.Lock()
			defer mu.Unlock()
			m.report.Checks = append(m.report.Checks, row)
			if row.Result == report.Fail {
				failed = append(failed, j.ID)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if len(failed) > 0 {
		slices.Sort(failed)
		return &FailedError{What: fmt.Sprintf("%d of %d jobs do not make the same packages when they are built again: %s", len(failed), len(wanted), strings.Join(failed, ", "))}
	}
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// verifyJob builds one job again. An error is the machine's fault.
func (m *Matrix) verifyJob(ctx context.Context, v *verify.Verifier, j *plan.Job) (report.Check, error) {
	row := report.Check{Name: report.Reproducible, Subject: j.Name(), Target: j.Target, Arch: j.Arch}
	begin := time.Now()
	row.Begin = report.Seconds(begin.Sub(m.begun))
	outcome, err := m.buildAgain(ctx, v, j, &row)
	row.Seconds = report.Seconds(time.Since(begin))
	var (
		build *builder.BuildError
		limit *builder.TimeLimitError
	)
	switch {
	case errors.As(err, &build), errors.As(err, &limit):
		row.Result, row.Reason = report.Fail, err.Error()
		return row, nil
	case err != nil:
		return row, fmt.Errorf("verifying %s: %w", j.ID, err)
	}
	name := "verify/" + strings.ReplaceAll(j.ID, "/", "_")
	if err := m.tellOutcome(ctx, v, outcome, filepath.Join(m.opt.Out, ReportFolder, name)); err != nil {
		return row, fmt.Errorf("verifying %s: %w", j.ID, err)
	}
	row.Result, row.Reason = report.Pass, outcome.Summary()
	if different := outcome.Different(); len(different) > 0 {
		row.Result, row.Log = report.Fail, name+".txt"
		row.Reason = fmt.Sprintf("%d of %d packages differ; the first build | the second\n%s", len(different), len(outcome.Packages), outcome.Table(differencesTold))
	}
	return row, nil
}

// buildAgain builds a job once more, and compares.
func (m *Matrix) buildAgain(ctx context.Context, v *verify.Verifier, j *plan.Job, row *report.Check) (*verify.Outcome, error) {
	first := m.jobs.Result(j.ID)
	if first == nil {
		return nil, errors.New("it has no result")
	}
	if err := m.jobs.Fetch(ctx, j); err != nil {
		return nil, err
	}
	second, isMeta, err := m.jobs.Meta(ctx, j)
	if isMeta {
		if err != nil {
			return nil, err
		}
		return v.Compare(ctx, first.Packages, second.Packages)
	}
	job, err := m.jobs.Again(j)
	if err != nil {
		return nil, err
	}
	if err := m.jobs.Extend(ctx, j, &job.Image); err != nil {
		return nil, err
	}
	name := strings.ReplaceAll(j.ID, "/", "_") + ".verify.log"
	log, err := m.createLog(name)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	row.Log = "logs/" + name
	return v.Verify(ctx, job, first, log)
}

// tellOutcome writes all that is known into files beside the report.
func (m *Matrix) tellOutcome(ctx context.Context, v *verify.Verifier, o *verify.Outcome, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path + ".txt")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := o.WriteTo(f); err != nil {
		return err
	}
	if o.Same() {
		return nil
	}
	// What diffoscope cannot do says nothing of the packages.
	if err := v.Diffoscope(ctx, o, f); err != nil {
		m.opt.Log.Warn("diffoscope failed", "file", path+".txt", "error", err)
	}
	return nil
}
