package matrix

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/validate"
)

const (
	recordCheck = "checks"

	// checkFormat grows when the same check on the same bytes may come out
	// otherwise.
	checkFormat = "1"

	// repositoryInside is where a container under test finds the repository.
	repositoryInside = "/srv/under-test"

	defaultTestTime = 10 * time.Minute
	emulatedTimes   = 20
)

// validate tries each target's snapshot in each of its cells.
func (m *Matrix) validate(ctx context.Context) error {
	total := 0
	for _, c := range m.cells {
		total += len(m.checksOf(c))
	}
	stage := m.opt.Progress.Stage("validate", total)
	defer stage.Close()
	dir, err := m.store.Temp("validate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(m.opt.Jobs)
	for _, c := range m.cells {
		g.Go(func() error {
			v := &cellValidation{m: m, cell: c, stage: stage, dir: filepath.Join(dir, c.Target.Name, c.Arch)}
			rows, err := v.run(ctx)
			mu.Lock()
			defer mu.Unlock()
			m.report.Checks = append(m.report.Checks, rows...)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	failed := 0
	for _, c := range m.report.Checks {
		if c.Result == report.Fail {
			failed++
		}
	}
	if failed > 0 {
		return &FailedError{What: fmt.Sprintf("%d of %d checks failed; nothing was published", failed, len(m.report.Checks))}
	}
	return nil
}

// check is one that a cell requires: an installation, or a recipe's test.
type check struct {
	name    string // install-dnf, install-zypper, test
	subject string
	job     *plan.Job    // of a test
	test    recipes.Test // of a test
}

// checksOf are the checks that a cell requires, in the order in which they run.
func (m *Matrix) checksOf(c Cell) []check {
	var checks []check
	for _, name := range c.Target.RequiredChecks(c.Arch) {
		if name != "test" {
			checks = append(checks, check{name: name, subject: "all packages"})
			if len(m.metaPackages(c)) > 0 {
				checks[len(checks)-1].subject = "meta-packages"
			}
			continue
		}
		for _, j := range m.plan.Jobs {
			if !j.Serves(c.Target.Name, c.Arch) {
				continue
			}
			for _, t := range m.variants[j.ID].Recipe.Tests {
				subject := j.Recipe
				if j.Variant != "" {
					subject += "@" + j.Variant
				}
				checks = append(checks, check{name: name, subject: subject + " " + path.Base(t.Script), job: j, test: t})
			}
		}
	}
	return checks
}

// metaPackages are the names of the meta-packages of the run in a cell.
func (m *Matrix) metaPackages(c Cell) []string {
	var names []string
	for _, j := range m.plan.Jobs {
		if j.Serves(c.Target.Name, c.Arch) && m.variants[j.ID].Recipe.Kind == recipes.MetaPackage {
			names = append(names, j.Recipe)
		}
	}
	return names
}

// packages are the names of the binary packages that jobs make for a cell.
func (m *Matrix) packages(c Cell, of func(*plan.Job) bool) []string {
	var names []string
	for _, j := range m.plan.Jobs {
		if j.Serves(c.Target.Name, c.Arch) && of(j) {
			for _, p := range j.Produces {
				names = append(names, p.Name)
			}
		}
	}
	return names
}

// cellValidation is the validation of one cell.
type cellValidation struct {
	m     *Matrix
	cell  Cell
	stage Stage
	dir   string // a working folder

	repo      validate.Repository
	installed string // what installing everything has changed; made when a test first needs it
	broken    error  // why that failed
}

func (v *cellValidation) run(ctx context.Context) ([]report.Check, error) {
	if err := v.describeRepository(); err != nil {
		return nil, err
	}
	var rows []report.Check
	for _, c := range v.m.checksOf(v.cell) {
		if err := context.Cause(ctx); err != nil {
			return rows, err
		}
		title := v.cell.String() + " " + c.name + " " + c.subject
		v.stage.Begin(title)
		row, err := v.check(ctx, c)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
		how := string(row.Result)
		switch {
		case row.Reused:
			how += " (reused)"
		case row.Reason != "":
			how += "ed: " + row.Reason
		}
		v.stage.End(title, how)
	}
	return rows, nil
}

// describeRepository writes the definition that clients are given, but for the
// address: the snapshot is not published yet.
func (v *cellValidation) describeRepository() error {
	snapshot := v.m.snapshots[v.cell.Target.Name]
	if err := os.MkdirAll(v.dir, 0o755); err != nil {
		return fmt.Errorf("preparing the validation of %s: %w", v.cell, err)
	}
	file, err := publish.RepoFile(publish.Repo{
		ID: "under-test", Name: "The snapshot under test",
		BaseURL: "file://" + repositoryInside,
		GPGKey:  "file://" + path.Join(repositoryInside, publish.KeyFile(snapshot.Release)),
	})
	if err != nil {
		return err
	}
	v.repo = validate.Repository{
		Root:      snapshot.Dir,
		MountedAt: repositoryInside,
		RepoFile:  filepath.Join(v.dir, "under-test.repo"),
		PublicKey: filepath.Join(v.dir, "key.asc"),
	}
	for path, content := range map[string][]byte{v.repo.RepoFile: file, v.repo.PublicKey: v.m.key.PublicKey()} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return fmt.Errorf("preparing the validation of %s: %w", v.cell, err)
		}
	}
	return nil
}

// check runs one check, or finds that it has passed on the same bytes before.
func (v *cellValidation) check(ctx context.Context, c check) (report.Check, error) {
	row := report.Check{Name: c.name, Subject: c.subject, Target: v.cell.Target.Name, Arch: v.cell.Arch}
	name, err := v.recordName(c)
	if err != nil {
		return row, err
	}
	var seconds float64
	if err := v.m.store.Record(recordCheck, name, &seconds); err == nil {
		row.Result, row.Reused, row.Seconds = report.Pass, true, seconds
		return row, nil
	}
	result, err := v.try(ctx, c)
	if err != nil {
		return row, err
	}
	row.Result, row.Reason, row.Seconds = report.Outcome(result.Outcome), result.Reason, report.Seconds(result.Duration)
	logName := strings.NewReplacer("/", "_", " ", "_").Replace(v.cell.String()+" "+c.name+" "+c.subject) + ".log"
	log, err := v.m.createLog(logName)
	if err != nil {
		return row, err
	}
	defer log.Close()
	if _, err := log.Write(result.Log); err != nil {
		return row, fmt.Errorf("writing the log of a check: %w", err)
	}
	row.Log = "logs/" + logName
	if result.Outcome == validate.Pass {
		return row, v.m.store.PutRecord(recordCheck, name, row.Seconds)
	}
	return row, nil
}

// recordName names a check on exact bytes: the snapshot, the image, what is
// installed, and the test.
func (v *cellValidation) recordName(c check) (string, error) {
	parts := []string{
		checkFormat, c.name, c.subject, v.cell.String(), v.m.snapshots[v.cell.Target.Name].ID, string(v.m.images[v.cell].Digest),
		strings.Join(v.m.metaPackages(v.cell), " "),
	}
	if c.job != nil {
		files, err := v.m.testFiles(v.m.variants[c.job.ID].Recipe)
		if err != nil {
			return "", err
		}
		for _, f := range files {
			parts = append(parts, f.Name+" "+string(f.Digest))
		}
		parts = append(parts, v.m.variants[c.job.ID].TestPackages(c.test)...)
	}
	return strings.Join(parts, "\n"), nil
}

func (v *cellValidation) try(ctx context.Context, c check) (validate.Check, error) {
	if manager, ok := strings.CutPrefix(c.name, "install-"); ok {
		return v.tryInstall(ctx, manager, c)
	}
	return v.tryTest(ctx, c)
}

// tryInstall installs the meta-packages, which must bring everything along; in a
// run that has none, all packages.
func (v *cellValidation) tryInstall(ctx context.Context, manager string, c check) (validate.Check, error) {
	packages := v.m.metaPackages(v.cell)
	if len(packages) == 0 {
		packages = v.m.packages(v.cell, func(*plan.Job) bool { return true })
	}
	changes := filepath.Join(v.dir, c.name)
	if err := os.Mkdir(changes, 0o755); err != nil {
		return validate.Check{}, fmt.Errorf("preparing %s: %w", c.name, err)
	}
	return validate.Install(ctx, v.container(), v.repo, manager, c.subject, packages, changes), nil
}

// tryTest runs a recipe's test where all that the run has for the cell is
// installed.
func (v *cellValidation) tryTest(ctx context.Context, c check) (validate.Check, error) {
	if err := v.install(ctx); err != nil {
		return validate.Check{}, err
	}
	r := v.m.variants[c.job.ID].Recipe
	if v.broken != nil {
		return validate.Check{Name: c.name, Subject: c.subject, Outcome: validate.Fail, Reason: "what it needs could not be installed: " + v.broken.Error()}, nil
	}
	dir := filepath.Join(v.dir, "tests", c.job.Recipe)
	if err := v.m.writeTestFiles(r, dir); err != nil {
		return validate.Check{}, err
	}
	limit := time.Duration(c.test.Time)
	if limit == 0 {
		limit = defaultTestTime
	}
	if !emulate.Native(v.cell.Arch) {
		limit *= emulatedTimes
	}
	env := []string{"OHPC_ARCH=" + v.cell.Arch}
	for _, p := range v.m.variants[c.job.ID].Picks {
		env = append(env, "OHPC_"+strings.ToUpper(p.Family)+"_FAMILY="+p.Member)
	}
	return validate.Test(ctx, v.container(), c.subject, dir, strings.TrimPrefix(c.test.Script, "tests/"), env, v.installed, limit), nil
}

// install puts everything that is tested, and what tests want beside it, into
// one root: the one that installed the meta-packages where there is one.
func (v *cellValidation) install(ctx context.Context) error {
	if v.installed != "" || v.broken != nil {
		return nil
	}
	var packages []string
	for _, c := range v.m.checksOf(v.cell) {
		if c.job != nil {
			packages = append(packages, v.m.packages(v.cell, func(j *plan.Job) bool { return j == c.job })...)
			packages = append(packages, v.m.variants[c.job.ID].TestPackages(c.test)...)
		}
	}
	slices.Sort(packages)
	packages = slices.Compact(packages)
	manager := v.cell.Target.Managers[0]
	changes := filepath.Join(v.dir, "install-"+manager)
	if err := os.MkdirAll(changes, 0o755); err != nil {
		return fmt.Errorf("preparing tests: %w", err)
	}
	if validate.Installed(ctx, v.container(), v.repo, packages, changes) {
		v.installed = changes
		return nil
	}
	result := validate.Install(ctx, v.container(), v.repo, manager, "what is tested", packages, changes)
	if result.Outcome != validate.Pass {
		v.broken = fmt.Errorf("%s", result.Reason)
		return context.Cause(ctx)
	}
	v.installed = changes
	return nil
}

func (v *cellValidation) container() validate.Container {
	return &container{v.m.sandbox, v.m.images[v.cell]}
}

// container gives package validate its containers.
type container struct {
	sandbox *sandbox.Runtime
	image   buildroot.Image
}

// Run implements [validate.Container].
func (c *container) Run(ctx context.Context, cmd validate.Command) error {
	s := sandbox.Spec{
		Name: "validate", Layers: c.image.Layers, Upper: cmd.Changes,
		Args: cmd.Args, Env: cmd.Env, UID: nobody, GID: nobody,
		Limits: sandbox.Limits{Pids: 4096}, Timeout: cmd.Timeout,
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

// testFiles are the files in a recipe's folder tests.
func (m *Matrix) testFiles(r *recipes.Recipe) ([]recipes.File, error) {
	dir := r.Dir + "/tests"
	entries, err := fs.ReadDir(m.opt.Catalog.FS, dir)
	if err != nil {
		return nil, fmt.Errorf("reading the tests of %s: %w", r.Name, err)
	}
	var files []recipes.File
	for _, e := range entries {
		name := e.Name()
		data, err := recipes.ReadFile(m.opt.Catalog.FS, path.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("reading the tests of %s: %w", r.Name, err)
		}
		files = append(files, recipes.File{Name: name, Path: path.Join(dir, name), Digest: store.Of(data)})
	}
	return files, nil
}

func (m *Matrix) writeTestFiles(r *recipes.Recipe, dir string) error {
	files, err := m.testFiles(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("laying out the tests of %s: %w", r.Name, err)
	}
	for _, f := range files {
		data, err := m.opt.Catalog.Read(f)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), data, 0o644); err != nil {
			return fmt.Errorf("laying out the tests of %s: %w", r.Name, err)
		}
	}
	return nil
}
