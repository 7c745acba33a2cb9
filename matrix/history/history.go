package history

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/execute"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/state"
)

// History is the history of runs, open for one of them. A nil one keeps nothing.
type History struct {
	db  *state.DB
	run int64 // in the database; 0: it is not entered
	log *slog.Logger
}

// What is told of earlier runs: how many results of each job and check, and of very many
// jobs fewer, so that the report is no longer than they are.
const (
	runs    = 20
	samples = 200_000
)

// runsTold is how many earlier results of each of so many are told.
func runsTold(number int) int { return min(runs, max(samples/max(number, 1), 1)) }

// closing is how long the end of a run may take to be entered, when the run itself
// was interrupted.
const closing = 5 * time.Second

// Open opens the history in a state folder, and says how long jobs ran before. A history
// that is of no use is begun anew with what the store knows; the error is that of ctx.
func Open(ctx context.Context, dir string, st *store.Store, log *slog.Logger) (*History, []state.Took, error) {
	db, err := state.Open(ctx, filepath.Join(dir, "state.db"), execute.Past(st))
	if err != nil {
		return nil, nil, err
	}
	h := &History{db: db, log: log}
	if notice := db.Notice(); notice != "" {
		log.Warn(notice)
	}
	took, err := db.Took(ctx)
	h.tell(err)
	return h, took, nil
}

// Begin enters a run that is going to build.
func (h *History) Begin(ctx context.Context, r state.Run) {
	var err error
	h.run, err = h.db.Begin(ctx, r)
	h.tell(err)
}

// Record enters a job that ran, under the name that its estimates are made by. One that
// did not run is left out.
func (h *History) Record(ctx context.Context, name string, j *plan.Job, row report.Job) {
	if h == nil || h.run == 0 || row.Result != report.Built && row.Result != report.Fail {
		return
	}
	entry := state.Job{
		Name: name, ID: j.ID, Key: string(j.Key), Recipe: j.Recipe, Variant: j.Variant, Target: j.Target, Arch: j.Arch,
		Ended: time.Now(), Seconds: row.Seconds, Result: string(row.Result), Reason: row.Reason,
		CPUSeconds: row.CPUSeconds, PeakMemory: row.PeakMemory, Attempts: row.Attempts,
	}
	for _, p := range row.Packages {
		entry.Packages = append(entry.Packages, p.File)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	h.tell(h.db.AddJobs(ctx, h.run, []state.Job{entry}))
}

// End enters how the run ended and closes the history. It returns what the jobs and the
// checks of the report did in this run and before, by their ids; nothing when the run
// was not entered.
func (h *History) End(r *report.Run) (jobs, checks map[string][]report.Sample) {
	if h == nil {
		return nil, nil
	}
	defer h.Close()
	if h.run == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	if entries := checksOf(r); len(entries) > 0 {
		h.tell(h.db.AddChecks(ctx, h.run, entries))
	}
	h.tell(h.db.Finish(ctx, h.run, endOf(r)))
	return h.jobs(ctx, r.Jobs), h.checks(ctx, r.Checks)
}

// Close closes the history of a run that did not build.
func (h *History) Close() {
	if h != nil {
		h.tell(h.db.Close())
	}
}

// checksOf are the checks of a run that were made in it.
func checksOf(r *report.Run) []state.Check {
	var checks []state.Check
	for _, c := range r.Checks {
		if !c.Reused && c.Result != report.Skip {
			checks = append(checks, state.Check{ID: c.ID(), Key: c.Key, Ended: time.Now(), Seconds: c.Seconds, Result: string(c.Result), Reason: c.Reason})
		}
	}
	return checks
}

// endOf is how a run ended, in numbers.
func endOf(r *report.Run) state.End {
	end := state.End{Seconds: r.Seconds, Result: string(r.Result), Error: r.Error}
	for _, j := range r.Jobs {
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
	return end
}

func (h *History) jobs(ctx context.Context, rows []report.Job) map[string][]report.Sample {
	now := make(map[string]sampled, len(rows))
	for i := range rows {
		now[rows[i].ID] = sampled{rows[i].ID, rows[i].Key}
	}
	all, err := h.db.Jobs(ctx, runsTold(len(now)))
	h.tell(err)
	return byID(all, now)
}

func (h *History) checks(ctx context.Context, rows []report.Check) map[string][]report.Sample {
	now := make(map[string]sampled, len(rows))
	for _, c := range rows {
		id := c.ID()
		now[id] = sampled{id, c.Key}
	}
	all, err := h.db.Checks(ctx, runsTold(len(now)))
	h.tell(err)
	return byID(all, now)
}

// sampled is what samples are of: their words are those of the report, so that they
// are held once.
type sampled struct{ id, key string }

// byID has samples by what they are of, and only of what is in this run.
func byID(all []state.Sample, of map[string]sampled) map[string][]report.Sample {
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

// tell says that something of the history is lost; the run goes on.
func (h *History) tell(err error) {
	if err != nil {
		h.log.Warn("the history of runs is not complete", "error", err)
	}
}
