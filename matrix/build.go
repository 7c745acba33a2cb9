package matrix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/matrix/execute"
	"github.com/ohpc-build/ohpc-build/matrix/host"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/schedule"
)

// build takes the results of the plan's jobs from the store, and runs those that
// have none.
func (m *Matrix) build(ctx context.Context) error {
	if err := m.Fits(); err != nil {
		return err
	}
	stage := m.opt.Progress.Stage("build", len(m.jobs.Plan.Jobs))
	defer stage.Close()
	var reused []*plan.Job
	for _, j := range m.jobs.Plan.Jobs {
		if j.Reason == plan.ReasonReused {
			reused = append(reused, j)
		}
	}
	if err := sideBySide(len(reused), func(i int) error { return m.writeLock(reused[i]) }); err != nil {
		return err
	}
	m.report.Jobs = slices.Grow(m.report.Jobs, len(m.jobs.Plan.Jobs))
	for _, j := range reused {
		result := m.jobs.Result(j.ID)
		row := report.Job{Result: report.Reused, Packages: packageRows(result), Hints: result.Hints}
		stage.Begin(j.ID)
		m.addJob(j, row)
		stage.End(j.ID, describe(row))
	}
	var mu sync.Mutex // guards the report
	run := m.jobs.Plan.ToRun()
	room := host.Room(m.opt.State, m.opt.Jobs)
	tasks := host.Tasks(run, room)
	if e, ok := stage.(Expecter); ok {
		for _, j := range run.Jobs {
			e.Expect(j.ID, j.Takes)
		}
	}
	for i, j := range run.Jobs {
		tasks[i].Run = func(ctx context.Context, place schedule.Place) error {
			stage.Begin(j.ID)
			begin := time.Since(m.begun)
			row, err := m.runJob(ctx, j, host.Cores(j, room, place))
			row.Begin, row.Slot = report.Seconds(begin), place.Slot+1
			mu.Lock()
			defer mu.Unlock()
			m.addJob(j, row)
			m.history.Record(ctx, m.jobs.History(j), j, row)
			stage.End(j.ID, describe(row))
			return err
		}
	}
	var opts []schedule.Option
	if m.opt.FailFast {
		opts = append(opts, schedule.FailFast())
	}
	failed, err := schedule.Run(ctx, tasks, room, opts...)
	if err != nil {
		return err
	}
	for _, j := range run.Jobs {
		var need *schedule.NeedError
		var stopped *schedule.StoppedError
		switch {
		case errors.As(failed[j.ID], &need):
			m.addJob(j, report.Job{Result: report.Skip, Reason: "needs " + need.Need + ", which was not built"})
		case errors.As(failed[j.ID], &stopped):
			m.addJob(j, report.Job{Result: report.Skip, Reason: "not started, as " + stopped.Failed + " had failed (--fail-fast)"})
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return m.buildErrors(failed)
}

// sideBySide does the same with each number below n, on all cores. The error is one of
// those that there are.
func sideBySide(n int, do func(i int) error) error {
	const at = 32 // a time: most of what is done takes microseconds
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < n; first += at {
		g.Go(func() error {
			for i := first; i < min(first+at, n); i++ {
				if err := do(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// buildErrors counts the jobs that failed by themselves, and names one of them. A
// spec that could not be read is such a failure too: what it makes would be missing.
func (m *Matrix) buildErrors(failed map[string]error) error {
	count := 0
	for _, err := range failed {
		if !schedule.Consequence(err) {
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
	m.opt.Log.Debug("builds failed", "count", count, "first", first)
	return &FailedError{What: fmt.Sprintf("%d of %d jobs failed; the first: %s", count, len(m.jobs.Plan.Jobs), firstLine(first.Error()))}
}

// describe says in a few words how a job ended.
func describe(row report.Job) string {
	switch row.Result {
	case report.Built:
		text := fmt.Sprintf("built in %s (%s)", plan.Duration(row.Seconds).Round(100*time.Millisecond), row.Reason)
		if row.Attempts > 1 {
			text += fmt.Sprintf(", after %d attempts", row.Attempts)
		}
		return text
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
	row.Key, row.Needs, row.Group = string(j.Key), j.Needs, groupOf(m.jobs.Variant(j).Recipe)
	if row.Result != report.Reused {
		row.Expected = report.Seconds(j.Takes)
	}
	if row.Result == report.Fail {
		level := slog.LevelDebug // who watches the progress is told there
		if _, silent := m.opt.Progress.(NoProgress); silent {
			level = slog.LevelError
		}
		m.opt.Log.Log(context.Background(), level, "build failed", "job", j.ID, "cell", j.Target+"/"+j.Arch, "log", row.Log)
	}
	m.report.Jobs = append(m.report.Jobs, row)
	for _, arch := range j.Shared {
		shared := report.Job{ID: plan.ID(j.Recipe, j.Variant, j.Target, arch), Group: row.Group, Recipe: j.Recipe, Variant: j.Variant, Target: j.Target, Arch: arch, Key: row.Key}
		shared.Result, shared.Reason = report.Shared, "made on "+j.Arch
		if row.Result == report.Fail || row.Result == report.Skip {
			shared.Result, shared.Reason = report.Skip, "made on "+j.Arch+", which did not succeed"
		}
		m.report.Jobs = append(m.report.Jobs, shared)
	}
}

// runJob builds one job, whose needs have all succeeded, or finds its result. What
// is the infrastructure's fault is tried again, if that is wanted.
func (m *Matrix) runJob(ctx context.Context, j *plan.Job, cores int) (row report.Job, err error) {
	begin := time.Now()
	log := &jobLog{m: m, name: strings.ReplaceAll(j.ID, "/", "_") + ".log"}
	defer log.Close()
	row.Attempts, err = m.patience.Try(ctx, j.ID, log, func() error {
		row, err = m.tryJob(ctx, j, cores, log)
		return err
	})
	if log.file != nil {
		row.Log = "logs/" + log.name
		row.Seconds = report.Seconds(time.Since(begin))
	}
	if err != nil && ctx.Err() == nil {
		row.Reason = m.patience.Blame(err, row.Attempts)
	}
	return row, err
}

// tryJob is one attempt.
func (m *Matrix) tryJob(ctx context.Context, j *plan.Job, cores int, log *jobLog) (report.Job, error) {
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
	job.Limits.Cores = cores // no part of the key
	if err := m.failedBefore(job); err != nil {
		row, err := failed(err)
		m.tellKept(j, &row)
		return row, err
	}
	if err := log.open(); err != nil {
		return failed(err)
	}
	file, err := execute.Write(m.opt.State, m.jobs.Describe(j, job, parts))
	if err != nil {
		return failed(err)
	}
	row := report.Job{Result: report.Built, Reason: j.Reason}
	outcome, err := m.executor.Execute(ctx, file, log)
	if err != nil {
		row, err = failed(err)
		m.tellKept(j, &row)
		return row, err
	}
	result = outcome.Result
	m.jobs.Adopt(j, result)
	if outcome.Reused {
		row.Result, row.Reason = report.Reused, "another run built it meanwhile"
	} else {
		row.PeakMemory, row.CPUSeconds = result.PeakMemory, result.CPUSeconds
	}
	row.Packages, row.Hints = packageRows(result), result.Hints
	m.tellKept(j, &row)
	return row, nil
}

// jobLog is a job's log, which there is when something is built.
type jobLog struct {
	m    *Matrix
	name string
	file *os.File
}

func (l *jobLog) open() (err error) {
	if l.file == nil {
		l.file, err = l.m.createLog(l.name)
	}
	return err
}

// Write implements [io.Writer]. What comes before there is a log is not kept.
func (l *jobLog) Write(b []byte) (int, error) {
	if l.file == nil {
		return len(b), nil
	}
	return l.file.Write(b)
}

func (l *jobLog) Close() {
	if l.file != nil {
		l.file.Close()
	}
}

func (m *Matrix) createLog(name string) (*os.File, error) {
	dir := filepath.Join(m.opt.Out, cmp.Or(m.reports, ReportFolder), "logs")
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
