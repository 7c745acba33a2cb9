package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/client"
)

const (
	recordKind = "checks"

	// format grows when the same check on the same bytes may come out otherwise.
	format = "4"

	nobody  = 65534
	maxPids = 4096
	maxDisk = 32 << 30 // bytes of a root's changes
)

// Sandbox runs a command in a container.
type Sandbox interface {
	Run(ctx context.Context, spec sandbox.Spec) error
}

// Trial is the trial of one cell.
type Trial struct {
	cell    *Cell
	store   *store.Store
	sandbox Sandbox
	dir     string    // a working folder
	begun   time.Time // the run, or this trial
	logs    func(name string) (*os.File, error)

	repositories map[string]client.Repositories // by what they are for
	publicKey    string                         // file with the snapshot's key
	prepared     map[string]*shared[*prepared]  // by package manager
	patience     Patience
	tested       func(context.Context) ([]held, error)

	suites *suiteRoots // what tests run in
}

// New prepares a trial. It works in the folder dir, and logs makes a log file of
// the report.
func New(cell *Cell, st *store.Store, sb Sandbox, dir string, logs func(name string) (*os.File, error)) *Trial {
	t := &Trial{cell: cell, store: st, sandbox: watched{sb}, dir: dir, logs: logs, prepared: map[string]*shared[*prepared]{}}
	if t.patience = cell.Patience; t.patience == nil {
		t.patience = impatient{}
	}
	if t.begun = cell.Begun; t.begun.IsZero() {
		t.begun = time.Now()
	}
	t.tested = once(t.readHeaders)
	t.suites = t.newSuiteRoots()
	for _, manager := range client.Managers() {
		t.prepared[manager] = &shared[*prepared]{}
	}
	return t
}

// Slots bounds how many checks run at a time, of all cells together.
type Slots chan struct{}

// NewSlots makes slots for n checks.
func NewSlots(n int) Slots { return make(Slots, max(n, 1)) }

func (s Slots) take(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s Slots) free() { <-s }

// Run runs the cell's checks: those of one kind side by side, as far as there are
// slots, then those of the next. Each is announced to begin and end. The error is for
// what kept a check from being run; the rows are those of checks that ended.
func (t *Trial) Run(ctx context.Context, slots Slots, begin func(what string), end func(what, how string)) ([]report.Check, error) {
	if err := t.describeRepositories(); err != nil {
		return nil, fmt.Errorf("preparing the trial of %s: %w", t.cell, err)
	}
	var (
		mu   sync.Mutex
		rows []report.Check
	)
	checks := t.cell.checks()
	for len(checks) > 0 {
		n := 1
		for n < len(checks) && kind(checks[n]) == kind(checks[0]) {
			n++
		}
		g, gctx := errgroup.WithContext(ctx)
		for _, k := range checks[:n] {
			g.Go(func() error {
				if err := slots.take(gctx); err != nil {
					return err
				}
				defer slots.free()
				row, err := t.announced(gctx, k, begin, end)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				rows = append(rows, row)
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return rows, err
		}
		checks = checks[n:]
	}
	return rows, nil
}

// kind is the same for checks that run side by side.
func kind(k check) string {
	if k.install != nil {
		return installCheck
	}
	return k.name
}

func (t *Trial) announced(ctx context.Context, k check, begin func(what string), end func(what, how string)) (report.Check, error) {
	title := t.title(k)
	begin(title)
	begun := report.Seconds(time.Since(t.begun))
	row, err := t.check(ctx, k)
	row.Begin = begun
	if err == nil && row.Result == report.Skip {
		err = context.Cause(ctx) // interrupted
	}
	if err != nil {
		end(title, "failed: "+err.Error())
		return row, fmt.Errorf("%s: %w", title, err)
	}
	end(title, describe(row))
	return row, nil
}

func describe(row report.Check) string {
	switch {
	case row.Reused:
		return "passed before, on the same bytes"
	case row.Result == report.Pass:
		return "passed"
	case row.Result == report.Skip:
		return "skipped: " + row.Reason
	}
	return "failed: " + row.Reason
}

// check runs one check, or finds that it has passed on the same bytes before.
func (t *Trial) check(ctx context.Context, k check) (report.Check, error) {
	row := report.Check{Name: k.name, Subject: k.subject, Target: t.cell.Target, Arch: t.cell.Arch}
	names, err := t.known(ctx, k, &row)
	if err != nil || row.Reused {
		return row, err
	}
	if len(names) > 0 {
		row.Key = string(store.Of([]byte(names[len(names)-1]))) // the closest
	}
	result, err := t.attempt(ctx, k)
	if err != nil {
		return row, err
	}
	row.Result, row.Reason, row.Seconds = report.Outcome(result.Outcome), result.Reason, report.Seconds(result.Duration)
	row.Cases = casesOf(result.Cases)
	row.Void = row.Result == report.Skip && (k.void || k.name == upgradeCheck || k.test != nil && k.test.Void) // nothing to check, nothing new, no test
	if row.Log, err = t.keepLog(k, result.Log); err != nil {
		return row, err
	}
	if result.Outcome != validate.Pass {
		return row, nil
	}
	return row, t.remember(names, row)
}

// known looks for a check that passed on the same bytes before: of the same snapshot,
// or, of an installation, with the same of all packages that have a part in it. It
// returns the names under which this one is to be remembered.
func (t *Trial) known(ctx context.Context, k check, row *report.Check) ([]string, error) {
	if t.cell.Fresh || k.tree || k.void {
		return nil, nil
	}
	passed := func(name string) bool {
		var before past
		row.Reused = t.store.Record(recordKind, name, &before) == nil
		if row.Reused {
			row.Result, row.Seconds, row.Cases = report.Pass, before.Seconds, before.Cases
		}
		return row.Reused
	}
	exact := t.cell.recordName(k)
	if passed(exact) || k.install == nil && k.test == nil {
		return []string{exact}, nil
	}
	name := t.installName
	if k.test != nil {
		name = t.suiteName
	}
	closer, err := name(ctx, k)
	if err != nil {
		return nil, err
	}
	if passed(closer) {
		return nil, t.remember([]string{exact}, *row)
	}
	return []string{exact, closer}, nil
}

// past is what is remembered of a check that passed.
type past struct {
	Seconds float64       `json:"seconds"`
	Cases   []report.Case `json:"cases,omitempty"`
}

func (t *Trial) remember(names []string, row report.Check) error {
	for _, name := range names {
		if err := t.store.PutRecord(recordKind, name, past{row.Seconds, row.Cases}); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trial) keepLog(k check, text []byte) (string, error) {
	name := strings.NewReplacer("/", "_", " ", "_").Replace(t.cell.String()+" "+k.name+" "+k.subject) + ".log"
	f, err := t.logs(name)
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	return "logs/" + name, errors.Join(err, f.Close())
}

func (t *Trial) try(ctx context.Context, k check) (validate.Check, error) {
	switch {
	case k.void:
		return validate.Check{Name: k.name, Subject: k.subject, Outcome: validate.Skip, Reason: "the overlay has nothing to check for this cell"}, nil
	case k.tree:
		return t.trySuiteTree(ctx, k)
	case k.test != nil:
		return t.trySuite(ctx, k)
	case k.name == closureCheck:
		return t.tryClosure(ctx, k)
	case k.name == signaturesCheck:
		return t.trySignatures(ctx, k)
	case k.name == contentCheck:
		return t.tryContent(ctx, k)
	case k.install != nil:
		return t.tryInstall(ctx, k)
	case k.name == upgradeCheck:
		return t.tryUpgrade(ctx, k)
	}
	return validate.Check{Outcome: validate.Skip, Reason: "this version of ohpc-build has no check " + k.name}, nil
}

func (t *Trial) container() validate.Container {
	return &container{t.sandbox, t.cell.Image}
}

// container gives package validate its containers.
type container struct {
	sandbox Sandbox
	image   buildroot.Image
}

// Run implements [validate.Container].
func (c *container) Run(ctx context.Context, cmd validate.Command) error {
	s := sandbox.Spec{
		Name: "validate", Layers: c.image.Layers, Upper: cmd.Changes,
		Args: cmd.Args, Env: cmd.Env, UID: nobody, GID: nobody,
		Limits: sandbox.Limits{Pids: maxPids, Disk: maxDisk}, Timeout: cmd.Timeout,
		Stdout: cmd.Output, Stderr: cmd.Errors,
	}
	if s.Stderr == nil {
		s.Stderr = cmd.Output
	}
	s.Layers = slices.Concat(cmd.Base, s.Layers)
	if cmd.User != 0 {
		s.UID, s.GID = cmd.User, cmd.User
	}
	if cmd.Root {
		s.UID, s.GID, s.Privileges = 0, 0, sandbox.PackageManager
	}
	for _, m := range cmd.Mounts {
		s.Mounts = append(s.Mounts, sandbox.Mount{Source: m.Source, Destination: m.Destination, ReadOnly: true})
	}
	return c.sandbox.Run(ctx, s)
}
