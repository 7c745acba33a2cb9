package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/validate"
)

const (
	recordKind = "checks"

	// format grows when the same check on the same bytes may come out otherwise.
	format = "1"

	// repositoryInside is where a container under test finds the repository.
	repositoryInside = "/srv/under-test"

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
	dir     string // a working folder
	logs    func(name string) (*os.File, error)

	repo      validate.Repository
	installed string // what installing for tests has changed; made when a test first needs it
	broken    error  // why that failed
}

// New prepares a trial. It works in the folder dir, and logs makes a log file of
// the report.
func New(cell *Cell, st *store.Store, sb Sandbox, dir string, logs func(name string) (*os.File, error)) *Trial {
	return &Trial{cell: cell, store: st, sandbox: sb, dir: dir, logs: logs}
}

// Run runs the cell's checks one after the other. Each is announced to begin and
// end. The error is for what kept a check from being run.
func (t *Trial) Run(ctx context.Context, begin func(what string), end func(what, how string)) ([]report.Check, error) {
	if err := t.describeRepository(); err != nil {
		return nil, fmt.Errorf("preparing the trial of %s: %w", t.cell, err)
	}
	var rows []report.Check
	for _, k := range t.cell.checks() {
		if err := context.Cause(ctx); err != nil {
			return rows, err
		}
		title := t.cell.String() + " " + k.name + " " + k.subject
		begin(title)
		row, err := t.check(ctx, k)
		if err != nil {
			end(title, "failed: "+err.Error())
			return rows, fmt.Errorf("%s: %w", title, err)
		}
		rows = append(rows, row)
		end(title, describe(row))
	}
	return rows, nil
}

func describe(row report.Check) string {
	switch {
	case row.Reused:
		return "passed before, on the same bytes"
	case row.Result == report.Pass:
		return "passed"
	}
	return string(row.Result) + "ed: " + row.Reason
}

// describeRepository writes the definition that clients are given, but for the
// address: the snapshot is not published yet.
func (t *Trial) describeRepository() error {
	if err := os.MkdirAll(t.dir, 0o755); err != nil {
		return err
	}
	snapshot := t.cell.Snapshot
	file, err := layout.RepoFile(layout.Repo{
		ID: "under-test", Name: "The snapshot under test",
		BaseURL: "file://" + repositoryInside,
		GPGKey:  "file://" + path.Join(repositoryInside, layout.KeyFile(snapshot.Release)),
	})
	if err != nil {
		return err
	}
	t.repo = validate.Repository{
		Root:      snapshot.Dir,
		MountedAt: repositoryInside,
		RepoFile:  filepath.Join(t.dir, "under-test.repo"),
		PublicKey: filepath.Join(t.dir, "key.asc"),
	}
	if err := os.WriteFile(t.repo.RepoFile, file, 0o644); err != nil {
		return err
	}
	return os.WriteFile(t.repo.PublicKey, t.cell.PublicKey, 0o644)
}

// check runs one check, or finds that it has passed on the same bytes before.
func (t *Trial) check(ctx context.Context, k check) (report.Check, error) {
	row := report.Check{Name: k.name, Subject: k.subject, Target: t.cell.Target, Arch: t.cell.Arch}
	name := t.cell.recordName(k)
	if !t.cell.Fresh {
		if err := t.store.Record(recordKind, name, &row.Seconds); err == nil {
			row.Result, row.Reused = report.Pass, true
			return row, nil
		}
	}
	result, err := t.try(ctx, k)
	if err != nil {
		return row, err
	}
	row.Result, row.Reason, row.Seconds = report.Outcome(result.Outcome), result.Reason, report.Seconds(result.Duration)
	if row.Log, err = t.keepLog(k, result.Log); err != nil {
		return row, err
	}
	if result.Outcome == validate.Pass && !t.cell.Fresh {
		return row, t.store.PutRecord(recordKind, name, row.Seconds)
	}
	return row, nil
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
	case k.test != nil:
		return t.tryTest(ctx, k)
	case k.name == closureCheck:
		return t.tryClosure(ctx, k)
	case k.name == signaturesCheck:
		return t.trySignatures(ctx, k)
	case k.name == contentCheck:
		return t.tryContent(ctx, k)
	}
	manager := strings.TrimPrefix(k.name, "install-")
	changes, err := t.folder(k.name)
	if err != nil {
		return validate.Check{}, err
	}
	return validate.Install(ctx, t.container(), t.repo, manager, k.subject, t.cell.toInstall(), changes), nil
}

func (t *Trial) folder(name string) (string, error) {
	dir := filepath.Join(t.dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}

// tryTest runs a test where everything that is tested is installed.
func (t *Trial) tryTest(ctx context.Context, k check) (validate.Check, error) {
	if err := t.install(ctx); err != nil {
		return validate.Check{}, err
	}
	if t.broken != nil {
		return validate.Check{Name: k.name, Subject: k.subject, Outcome: validate.Fail, Reason: "what it needs could not be installed: " + t.broken.Error()}, nil
	}
	dir, err := os.MkdirTemp(t.dir, "test-")
	if err != nil {
		return validate.Check{}, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return validate.Check{}, err
	}
	for _, f := range k.test.Files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			return validate.Check{}, err
		}
	}
	return validate.Test(ctx, t.container(), k.subject, dir, k.test.Script, k.test.Env, t.installed, k.test.Limit), nil
}

// install makes the root for tests: the one in which the meta-packages were
// installed, where there is one, and what is still missing.
func (t *Trial) install(ctx context.Context) error {
	if t.installed != "" || t.broken != nil {
		return nil
	}
	packages := t.cell.underTest()
	changes, err := t.folder("install-" + t.cell.Manager)
	if err != nil {
		return err
	}
	if !validate.Installed(ctx, t.container(), t.repo, packages, changes) {
		result := validate.Install(ctx, t.container(), t.repo, t.cell.Manager, "what is tested", packages, changes)
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if result.Outcome != validate.Pass {
			t.broken = errors.New(result.Reason)
			return nil
		}
	}
	t.installed = changes
	return nil
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
		Stdout: cmd.Output, Stderr: cmd.Output,
	}
	if cmd.Base != "" {
		s.Layers = append([]string{cmd.Base}, s.Layers...)
	}
	if cmd.Root {
		s.UID, s.GID, s.Privileges = 0, 0, sandbox.PackageManager
	}
	for _, m := range cmd.Mounts {
		s.Mounts = append(s.Mounts, sandbox.Mount{Source: m.Source, Destination: m.Destination, ReadOnly: true})
	}
	return c.sandbox.Run(ctx, s)
}
