package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/schedule"
)

// The kinds of records: a job's result by its key, and the parts with which a
// job ran last by its name.
const (
	recordResult = "results"
	recordParts  = "parts"
)

// build runs the plan's jobs, or takes their results from the store.
func (m *Matrix) build(ctx context.Context) error {
	stage := m.opt.Progress.Stage("build", len(m.plan.Jobs))
	defer stage.Close()
	var mu sync.Mutex // guards the results and the report
	tasks := make([]schedule.Task, len(m.plan.Jobs))
	for i, j := range m.plan.Jobs {
		tasks[i] = schedule.Task{ID: j.ID, Needs: j.Needs, Run: func(ctx context.Context) error {
			stage.Begin(j.Title())
			row, result, err := m.runJob(ctx, j, &mu)
			mu.Lock()
			defer mu.Unlock()
			if result != nil {
				m.results[j.ID] = result
			}
			m.addJob(j, row)
			stage.End(j.Title(), describe(row))
			return err
		}}
	}
	failed, err := schedule.Run(ctx, tasks, m.opt.Jobs)
	if err != nil {
		return err
	}
	for _, j := range m.plan.Jobs {
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

// buildErrors returns what is the machine's fault as it is; packages that did not
// build are counted.
func (m *Matrix) buildErrors(failed map[string]error) error {
	var first error
	count := 0
	for _, j := range m.plan.Jobs {
		err, ok := failed[j.ID]
		if !ok {
			continue
		}
		var need *schedule.NeedError
		if errors.As(err, &need) {
			continue
		}
		count++
		if first == nil {
			first = err
		}
	}
	if count == 0 {
		return nil
	}
	m.opt.Log.Error("builds failed", "count", count, "first", first)
	return &FailedError{What: fmt.Sprintf("%d of %d jobs failed; the first: %v", count, len(m.plan.Jobs), first)}
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
func (m *Matrix) runJob(ctx context.Context, j *plan.Job, mu *sync.Mutex) (report.Job, *builder.Result, error) {
	mu.Lock()
	job, parts, err := m.complete(j)
	mu.Unlock()
	if err != nil {
		return report.Job{Result: report.Fail, Reason: err.Error()}, nil, err
	}
	j.Key = parts.Key()
	if result, ok := m.stored(j.Key); ok {
		j.Reason = plan.ReasonReused
		return report.Job{Result: report.Reused, Packages: packageRows(result)}, result, nil
	}
	j.Reason = m.explain(j, parts)
	if err := m.fetch(ctx, j); err != nil {
		return report.Job{Result: report.Fail, Reason: err.Error()}, nil, err
	}
	logName := strings.ReplaceAll(j.ID, "/", "_") + ".log"
	log, err := m.createLog(logName)
	if err != nil {
		return report.Job{Result: report.Fail, Reason: err.Error()}, nil, err
	}
	defer log.Close()
	begin := time.Now()
	result, err := m.builder.Build(ctx, job, log)
	row := report.Job{Seconds: report.Seconds(time.Since(begin)), Reason: j.Reason, Log: "logs/" + logName}
	if err != nil {
		row.Result, row.Reason = report.Fail, err.Error()
		return row, nil, err
	}
	// The result first: the parts only explain it.
	if err := m.store.PutRecord(recordResult, string(j.Key), result); err != nil {
		return row, nil, err
	}
	if err := m.store.PutRecord(recordParts, j.ID, parts); err != nil {
		return row, nil, err
	}
	row.Result, row.Packages = report.Built, packageRows(result)
	return row, result, nil
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

// complete adds to a job what it depends on: the packages of the jobs that it
// needs which its build root must hold. All of these must have results.
func (m *Matrix) complete(j *plan.Job) (builder.Job, plan.Parts, error) {
	job := m.jobs[j.ID]
	var from []available
	for _, id := range j.Needs {
		need := m.plan.Job(id)
		for _, p := range m.results[id].Packages {
			header, err := m.headers.of(p.Digest)
			if err != nil {
				return job, nil, fmt.Errorf("%s: %w", p.File, err)
			}
			if header.Arch == j.Arch || header.Arch == "noarch" {
				from = append(from, available{need.Recipe, p, header})
			}
		}
	}
	parts := j.Inputs
	job.Dependencies = nil
	for _, a := range closure(j.BuildRequires, from) {
		job.Dependencies = append(job.Dependencies, a.file)
		parts = parts.With(plan.Parts{plan.PartDependency(a.recipe, a.file.File): string(a.file.Digest)})
	}
	return job, parts, nil
}

// stored finds the result of an earlier build, if all of it is still there.
// Its bytes are verified when they are used.
func (m *Matrix) stored(key store.Digest) (*builder.Result, bool) {
	result := &builder.Result{}
	if err := m.store.Record(recordResult, string(key), result); err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			m.opt.Log.Warn("a stored result is of no use and will be made anew", "key", key, "error", err)
		}
		return nil, false
	}
	for _, p := range result.Packages {
		if _, err := m.store.Path(p.Digest); err != nil {
			m.opt.Log.Warn("a stored package is of no use and will be made anew", "package", p.File, "error", err)
			return nil, false
		}
	}
	return result, true
}

// explain says why a job with these parts must run.
func (m *Matrix) explain(j *plan.Job, parts plan.Parts) string {
	var last plan.Parts
	if err := m.store.Record(recordParts, j.ID, &last); err != nil {
		last = nil
	}
	return plan.Explain(last, parts)
}

// settle gives each job of the plan its key and reason, as far as they follow
// from what is in the store already.
func (m *Matrix) settle() error {
	for _, j := range m.plan.Jobs {
		pending := ""
		for _, need := range j.Needs {
			if m.results[need] == nil {
				pending = need
				break
			}
		}
		if pending != "" {
			j.Key, j.Reason = "", "new"
			var last plan.Parts
			if err := m.store.Record(recordParts, j.ID, &last); err == nil {
				j.Reason = "dependency to be built: " + m.plan.Job(pending).Recipe
			}
			continue
		}
		_, parts, err := m.complete(j)
		if err != nil {
			return err
		}
		j.Key = parts.Key()
		if result, ok := m.stored(j.Key); ok {
			m.results[j.ID], j.Reason = result, plan.ReasonReused
		} else {
			j.Reason = m.explain(j, parts)
		}
	}
	return nil
}

// emulatedTimes is how much longer than natively something may take when it is
// emulated, before it is held to hang.
const emulatedTimes = 20

// limits are what a job may take. Emulated, everything takes longer; a build
// that is merely slow must not be taken for one that hangs.
func limits(native bool, time0 time.Duration, memory int64, cores int) builder.Limits {
	const (
		defaultTime = 2 * time.Hour
	)
	if time0 == 0 {
		time0 = defaultTime
	}
	if !native {
		time0 *= emulatedTimes
	}
	if cores <= 0 || cores > runtime.NumCPU() {
		cores = runtime.NumCPU()
	}
	return builder.Limits{Time: time0, Memory: memory, Cores: cores, Pids: 4096}
}
