package matrix

import (
	"context"
	"path/filepath"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/execute"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/state"
)

// What the report tells of earlier runs: how many results of each job and check, and
// of very many jobs fewer, so that it is no longer than they are.
const (
	historyRuns    = 20
	historySamples = 200_000
)

// runsTold is how many earlier results of each of so many are told.
func runsTold(number int) int { return min(historyRuns, max(historySamples/max(number, 1), 1)) }

// closing is how long the end of a run may take to be entered, when the run itself
// was interrupted.
const closing = 5 * time.Second

// openHistory opens the history of runs. Nothing in it stops a run.
func (m *Matrix) openHistory(ctx context.Context) error {
	var err error
	m.history, err = state.Open(ctx, filepath.Join(m.opt.State, "state.db"), execute.Past(m.store))
	if err != nil {
		return err
	}
	if notice := m.history.Notice(); notice != "" {
		m.opt.Log.Warn(notice)
	}
	m.took, err = m.history.Took(ctx)
	m.tellHistory(err)
	return nil
}

// beginRun enters a run that is going to build.
func (m *Matrix) beginRun(ctx context.Context) {
	if m.planOnly {
		return
	}
	var err error
	m.run, err = m.history.Begin(ctx, state.Run{Started: m.report.Started, Program: m.opt.Program, Release: m.opt.Catalog.Release, Slots: m.opt.Jobs})
	m.tellHistory(err)
}

// recordJob enters a job that ran.
func (m *Matrix) recordJob(ctx context.Context, j *plan.Job, row report.Job) {
	if m.run == 0 || row.Result != report.Built && row.Result != report.Fail {
		return
	}
	entry := state.Job{
		Name: m.jobs.History(j), ID: j.ID, Key: string(j.Key), Recipe: j.Recipe, Variant: j.Variant, Target: j.Target, Arch: j.Arch,
		Ended: time.Now(), Seconds: row.Seconds, Result: string(row.Result), Reason: row.Reason,
		CPUSeconds: row.CPUSeconds, PeakMemory: row.PeakMemory, Attempts: row.Attempts,
	}
	for _, p := range row.Packages {
		entry.Packages = append(entry.Packages, p.File)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	m.tellHistory(m.history.AddJobs(ctx, m.run, []state.Job{entry}))
}

// endRun enters how the run ended, and tells in the report what went before.
func (m *Matrix) endRun() {
	m.report.Slots = m.opt.Jobs
	m.compare()
	if m.history == nil || m.run == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	var checks []state.Check
	for _, c := range m.report.Checks {
		if !c.Reused && c.Result != report.Skip {
			checks = append(checks, state.Check{ID: c.ID(), Key: c.Key, Ended: time.Now(), Seconds: c.Seconds, Result: string(c.Result), Reason: c.Reason})
		}
	}
	if len(checks) > 0 {
		m.tellHistory(m.history.AddChecks(ctx, m.run, checks))
	}
	end := state.End{Seconds: m.report.Seconds, Result: string(m.report.Result), Error: m.report.Error}
	for _, j := range m.report.Jobs {
		switch j.Result {
		case report.Built:
			end.Built++
		case report.Reused, report.Shared:
			end.Reused++
		case report.Fail:
			end.Failed++
		case report.Skip:
			end.Skipped++
		}
	}
	m.tellHistory(m.history.Finish(ctx, m.run, end))
	m.tellSamples(ctx)
	m.tellHistory(m.history.Close())
}

// tellSamples tells in the report how its jobs and checks went before.
func (m *Matrix) tellSamples(ctx context.Context) {
	now := make(map[string]sampled, len(m.report.Jobs))
	for i := range m.report.Jobs {
		now[m.report.Jobs[i].ID] = sampled{m.report.Jobs[i].ID, m.report.Jobs[i].Key}
	}
	jobs, err := m.history.Jobs(ctx, runsTold(len(now)))
	m.tellHistory(err)
	m.report.History = samples(jobs, now)
	now = make(map[string]sampled, len(m.report.Checks))
	for _, c := range m.report.Checks {
		id := c.ID()
		now[id] = sampled{id, c.Key}
	}
	checks, err := m.history.Checks(ctx, runsTold(len(now)))
	m.tellHistory(err)
	m.report.CheckHistory = samples(checks, now)
}

// sampled is what samples are of: their words are those of the report, so that they
// are held once.
type sampled struct{ id, key string }

// samples are by what they are of, and only of what is in this run.
func samples(all []state.Sample, of map[string]sampled) map[string][]report.Sample {
	by := make(map[string][]report.Sample, min(len(all), len(of)))
	for _, s := range all {
		now, there := of[s.ID]
		if !there {
			continue
		}
		if s.Key == now.key {
			s.Key = now.key
		}
		by[now.id] = append(by[now.id], report.Sample{Time: s.Ended, Key: s.Key, Result: report.Outcome(s.Result), Seconds: s.Seconds})
	}
	return by
}

// compare tells in the report what changed since the run whose report is in the same
// folder.
func (m *Matrix) compare() {
	// A report that cannot be read is replaced by one that can.
	if previous, err := report.CompareWith(filepath.Join(m.opt.Out, ReportFolder), m.report); err == nil {
		m.report.Previous = previous
	}
}

// tellHistory says that something of the history is lost; the run goes on.
func (m *Matrix) tellHistory(err error) {
	if err != nil {
		m.opt.Log.Warn("the history of runs is not complete", "error", err)
	}
}
