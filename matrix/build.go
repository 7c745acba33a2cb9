package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/schedule"
)

// build runs the plan's jobs, or takes their results from the store.
func (m *Matrix) build(ctx context.Context) error {
	stage := m.opt.Progress.Stage("build", len(m.jobs.Plan.Jobs))
	defer stage.Close()
	var mu sync.Mutex // guards the report
	tasks := m.jobs.Plan.Tasks()
	for i, j := range m.jobs.Plan.Jobs {
		tasks[i].Run = func(ctx context.Context, _ int) error {
			stage.Begin(j.ID)
			row, err := m.runJob(ctx, j)
			mu.Lock()
			defer mu.Unlock()
			m.addJob(j, row)
			stage.End(j.ID, describe(row))
			return err
		}
	}
	failed, err := schedule.Run(ctx, tasks, schedule.Room{Slots: m.opt.Jobs})
	if err != nil {
		return err
	}
	for _, j := range m.jobs.Plan.Jobs {
		var need *schedule.NeedError
		if errors.As(failed[j.ID], &need) {
			m.addJob(j, report.Job{Result: report.Skip, Reason: "needs " + need.Need + ", which was not built"})
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return m.buildErrors(failed)
}

// buildErrors counts the jobs that failed by themselves, and names one of them. A
// spec that could not be read is such a failure too: what it makes would be missing.
func (m *Matrix) buildErrors(failed map[string]error) error {
	count := 0
	for _, err := range failed {
		if !errors.As(err, new(*schedule.NeedError)) {
			count++
		}
	}
	unread := m.jobs.Plan.Failures
	if count == 0 && len(unread) > 0 {
		return &FailedError{What: fmt.Sprintf("%d of %d jobs have a spec that cannot be read; the first: %s: %v",
			len(unread), len(m.jobs.Plan.Jobs)+len(unread), unread[0].ID, unread[0])}
	}
	if count == 0 {
		return nil
	}
	first := schedule.FirstCause(failed)
	m.opt.Log.Error("builds failed", "count", count, "first", first)
	return &FailedError{What: fmt.Sprintf("%d of %d jobs failed; the first: %v", count, len(m.jobs.Plan.Jobs), first)}
}

// describe says in a few words how a job ended.
func describe(row report.Job) string {
	switch row.Result {
	case report.Built:
		return fmt.Sprintf("built in %s (%s)", time.Duration(row.Seconds*float64(time.Second)).Round(100*time.Millisecond), row.Reason)
	case report.Fail:
		return "failed: " + row.Reason
	}
	if row.Reason == "" {
		return string(row.Result)
	}
	return string(row.Result) + " (" + row.Reason + ")"
}

// addJob enters a job in the report, once for each cell that it serves.
func (m *Matrix) addJob(j *plan.Job, row report.Job) {
	row.ID, row.Recipe, row.Variant, row.Target, row.Arch = j.ID, j.Recipe, j.Variant, j.Target, j.Arch
	row.Key = string(j.Key)
	if row.Result == report.Fail {
		m.opt.Log.Error("build failed", "job", j.ID, "cell", j.Target+"/"+j.Arch, "log", row.Log)
	}
	m.report.Jobs = append(m.report.Jobs, row)
	for _, arch := range j.Shared {
		shared := report.Job{ID: plan.ID(j.Recipe, j.Variant, j.Target, arch), Recipe: j.Recipe, Variant: j.Variant, Target: j.Target, Arch: arch, Key: row.Key}
		shared.Result, shared.Reason = report.Shared, "made on "+j.Arch
		if row.Result == report.Fail || row.Result == report.Skip {
			shared.Result, shared.Reason = report.Skip, "made on "+j.Arch+", which did not succeed"
		}
		m.report.Jobs = append(m.report.Jobs, shared)
	}
}

// runJob builds one job, whose needs have all succeeded, or finds its result.
func (m *Matrix) runJob(ctx context.Context, j *plan.Job) (report.Job, error) {
	failed := func(err error) (report.Job, error) {
		if ctx.Err() != nil {
			return report.Job{Result: report.Skip, Reason: "interrupted"}, err
		}
		return report.Job{Result: report.Fail, Reason: err.Error()}, err
	}
	if err := m.jobs.Prepare(ctx, j); err != nil {
		return failed(err)
	}
	result, job, parts, err := m.jobs.Find(j)
	if err != nil {
		return failed(err)
	}
	if err := m.writeLock(j); err != nil {
		return failed(err)
	}
	if result != nil {
		return report.Job{Result: report.Reused, Packages: packageRows(result), Hints: result.Hints}, nil
	}
	if err := m.jobs.Fetch(ctx, j); err != nil {
		return failed(err)
	}
	if err := m.jobs.Extend(ctx, j, &job.Image); err != nil {
		return failed(err)
	}
	m.jobs.Explain(j, &job)
	if err := m.failedBefore(job); err != nil {
		row, err := failed(err)
		m.tellKept(j, &row)
		return row, err
	}
	logName := strings.ReplaceAll(j.ID, "/", "_") + ".log"
	log, err := m.createLog(logName)
	if err != nil {
		return failed(err)
	}
	defer log.Close()
	begin := time.Now()
	result, isMeta, err := m.jobs.Meta(ctx, j)
	if isMeta {
		fmt.Fprintln(log, "a meta-package is written from its list of requirements; rpmbuild did not run")
	} else {
		result, err = m.builder.Build(ctx, job, log)
	}
	if err == nil {
		err = m.jobs.Keep(j, parts, result, time.Since(begin))
	}
	row := report.Job{Result: report.Built, Reason: j.Reason}
	if err != nil {
		row, err = failed(err)
	} else {
		row.Packages, row.Hints = packageRows(result), result.Hints
	}
	m.tellKept(j, &row)
	row.Seconds, row.Log = report.Seconds(time.Since(begin)), "logs/"+logName
	return row, err
}

func (m *Matrix) createLog(name string) (*os.File, error) {
	dir := filepath.Join(m.opt.Out, "report", "logs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating a log: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("creating a log: %w", err)
	}
	return f, nil
}

func packageRows(r *builder.Result) []report.Package {
	rows := make([]report.Package, len(r.Packages))
	for i, p := range r.Packages {
		rows[i] = report.Package{File: p.File, Digest: string(p.Digest)}
	}
	return rows
}
