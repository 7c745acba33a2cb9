package matrix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/kept"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/execute"
	"github.com/ohpc-build/ohpc-build/matrix/history"
	"github.com/ohpc-build/ohpc-build/matrix/host"
	"github.com/ohpc-build/ohpc-build/matrix/images"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/matrix/locks"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/write"
	"github.com/ohpc-build/ohpc-build/matrix/retry"
	"github.com/ohpc-build/ohpc-build/matrix/standing"
	"github.com/ohpc-build/ohpc-build/matrix/state"
	"github.com/ohpc-build/ohpc-build/matrix/trial"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source"
	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/sign/keys"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
	"github.com/ohpc-build/ohpc-build/validate/suitetree"
)

// Options say what to do and where. All folders may be relative.
type Options struct {
	Program string // ohpc-build's own version, for the report
	Catalog *recipes.Catalog

	Targets       []string          // default: all of the catalogue
	Architectures []string          // default: all of each target
	Families      map[string]string // kind → the one member to build with; default: all
	Recipes       []string          // default: all

	State   string         // folder of the store, the images and the keys
	Out     string         // folder of the repositories and the report
	Jobs    int            // how many builds at a time; default: one for each core
	URL     string         // where clients find <out>/repos
	Channel layout.Channel // where the repositories are published; default: release
	Allow   diff.Allow     // what may be done to the channel's clients
	Overlay Overlay        // on what the repositories are overlays; default: on nothing
	Runtime string         // OCI runtime, a name or a path
	Mirror  string         // Debian archive; default: the one that the host's apt uses

	// Emulation is how builds for another architecture run: EmulationNative (the
	// default) or EmulationPlain.
	Emulation string

	Key               keys.Source // where the signing key is
	KeyName, KeyEmail string      // of the signing key that is made where there is none

	// Keep says which build roots are kept. Shell, if not nil, wants a shell on the
	// program's terminal in the first root whose build failed; it is told there
	// what to know. A job whose root is kept because it failed is not built again
	// for it unless its inputs have changed.
	Keep  Keep
	Shell io.Writer

	// SuiteTree is a folder with a whole tests/ tree of OpenHPC, which is run as well.
	SuiteTree string

	// FailFast begins no further build once one has failed. Retry is how often a job
	// is tried again after a fault of the infrastructure.
	FailFast bool
	Retry    int

	// Refresh forgets which packages of the distributions builds were found to need.
	// Locked is a lock file, or a folder of them, that says it for the recipes.
	Refresh bool
	Locked  string

	// RpmspecOnly lets rpmspec alone read the specs, without the short cut that
	// gives the same answers in half the time. It is there to be compared with.
	RpmspecOnly bool

	Progress Progress
	Log      *slog.Logger
}

// Matrix is one run, or the beginning of one: [Matrix.Plan] goes as far as the
// plan, [Matrix.Build] as far as the packages, [Matrix.Run] to the end.
type Matrix struct {
	opt   Options
	cells []*jobs.Cell

	whole    bool   // a repository is made, not only packages
	planOnly bool   // nothing is built
	reports  string // folder of logs in the output folder; default: ReportFolder
	scratch  string // a working folder that lasts as long as the run
	store    *store.Store
	sandbox  *sandbox.Runtime
	builder  *builder.Builder
	fetcher  *source.Fetcher
	key      *sign.Key

	kept      *kept.Folder
	jobs      *jobs.Set
	signed    map[store.Digest]store.Digest // of packages, by their unsigned digest
	snapshots map[string]snapshot.Snapshot  // by target
	base      *trial.Tree                   // what the snapshot is an overlay on; nil: nothing
	below     map[packageName]rpm.EVR       // that has, once it is known

	standing map[string]standing.Document // of the cells, by target, when it is not what is published
	told     map[string][]byte            // what packages tell of it, by target
	carried  map[string]standing.Carried  // what they carry beside, and its number, by target

	executor Executor
	patience retry.Patience
	history  *history.History
	took     []state.Took // how long jobs ran before
	begun    time.Time    // with a clock that nobody sets

	report *report.Run
}

// Executor runs single jobs. Each is described in a file in the state folder, and
// leaves its result in the store.
type Executor interface {
	Execute(ctx context.Context, file string, log io.Writer) (*execute.Outcome, error)
}

// New checks options against the catalogue. The error is a *UsageError.
func New(opt Options) (*Matrix, error) {
	if opt.Progress == nil {
		opt.Progress = NoProgress{}
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	opt.Channel = cmp.Or(opt.Channel, layout.Release)
	if opt.Jobs <= 0 {
		opt.Jobs = runtime.NumCPU()
	}
	switch opt.Emulation {
	case "":
		opt.Emulation = EmulationNative
	case EmulationNative, EmulationPlain:
	default:
		return nil, &UsageError{fmt.Errorf("emulation is %s or %s, not %q", EmulationNative, EmulationPlain, opt.Emulation)}
	}
	for _, dir := range []*string{&opt.State, &opt.Out} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return nil, &UsageError{fmt.Errorf("the folder %q: %w", *dir, err)}
		}
		*dir = abs
	}
	if opt.SuiteTree != "" {
		abs, err := filepath.Abs(opt.SuiteTree)
		if err == nil {
			_, err = suitetree.Configure(abs)
		}
		if err != nil {
			return nil, &UsageError{err}
		}
		opt.SuiteTree = abs
	}
	cells, err := cellsOf(opt)
	if err != nil {
		return nil, &UsageError{err}
	}
	if err := checkOverlay(opt, countTargets(cells)); err != nil {
		return nil, &UsageError{err}
	}
	for _, name := range opt.Recipes {
		if _, err := opt.Catalog.Recipe(name); err != nil {
			return nil, &UsageError{err}
		}
	}
	for kind, member := range opt.Families {
		family, err := opt.Catalog.Family(kind)
		if err != nil {
			return nil, &UsageError{err}
		}
		if _, err := family.Member(member); err != nil {
			return nil, &UsageError{err}
		}
	}
	begun := time.Now()
	return &Matrix{
		opt:       opt,
		begun:     begun,
		carried:   map[string]standing.Carried{},
		patience:  retry.Patience{Retries: opt.Retry, Wait: retry.Wait, Log: opt.Log},
		cells:     cells,
		snapshots: map[string]snapshot.Snapshot{},
		report:    &report.Run{Program: opt.Program, Release: opt.Catalog.Release, Recipes: opt.Recipes, Started: begun.UTC()},
	}, nil
}

func cellsOf(opt Options) ([]*jobs.Cell, error) {
	targets := opt.Targets
	if len(targets) == 0 {
		for _, t := range opt.Catalog.Targets {
			targets = append(targets, t.Name)
		}
	}
	var cells []*jobs.Cell
	offered := map[string]bool{}
	for _, name := range targets {
		t, err := opt.Catalog.Target(name)
		if err != nil {
			return nil, err
		}
		for _, arch := range t.Architectures {
			offered[arch] = true
			if len(opt.Architectures) == 0 || slices.Contains(opt.Architectures, arch) {
				cells = append(cells, &jobs.Cell{Target: t, Arch: arch})
			}
		}
	}
	for _, arch := range opt.Architectures {
		if !offered[arch] {
			return nil, fmt.Errorf("no target has the architecture %q; there are %s", arch, strings.Join(slices.Sorted(maps.Keys(offered)), ", "))
		}
	}
	if len(cells) == 0 {
		return nil, errors.New("nothing to build for: the catalogue has no target")
	}
	return cells, nil
}

func countTargets(cells []*jobs.Cell) int {
	names := map[string]bool{}
	for _, c := range cells {
		names[c.Target.Name] = true
	}
	return len(names)
}

// step is one station of the line.
type step struct {
	name string
	run  func(context.Context) error
}

// Run takes the recipes all the way. The report is complete even when an error
// is returned, and is written to <out>/report then too.
func (m *Matrix) Run(ctx context.Context) (*report.Run, error) {
	m.whole = true
	err := m.steps(ctx, []step{
		{"host", m.prepare},
		{"base", m.openBase},
		{"images", m.provideImages},
		{"plan", m.makePlan},
		{"build", m.build},
		{"sign", m.signPackages},
		{"snapshot", m.makeSnapshots},
		{"validate", m.settle},
		{"publish", m.publish},
		{"verdict", m.verdict},
	})
	return m.finish(err)
}

// Build goes as far as the packages.
func (m *Matrix) Build(ctx context.Context) (*report.Run, error) {
	err := m.steps(ctx, []step{
		{"host", m.prepare},
		{"images", m.provideImages},
		{"plan", m.makePlan},
		{"build", m.buildAndLook},
	})
	return m.finish(err)
}

// Plan goes as far as the plan.
func (m *Matrix) Plan(ctx context.Context) (*plan.Plan, error) {
	m.planOnly = true
	err := m.steps(ctx, []step{
		{"host", m.prepare},
		{"images", m.provideImages},
		{"plan", m.makePlan},
	})
	if err != nil {
		return nil, err
	}
	return m.jobs.Plan, nil
}

// Read asks rpm about every variant in every cell, and tells what the targets hold.
func (m *Matrix) Read(ctx context.Context) (readings []jobs.Reading, base plan.Base, err error) {
	m.planOnly = true
	err = m.steps(ctx, []step{
		{"host", m.prepare},
		{"images", m.provideImages},
		{"read", func(ctx context.Context) error {
			stage := m.opt.Progress.Stage("read", len(m.opt.Catalog.Recipes))
			defer stage.Close()
			in := jobs.Input{Catalog: m.opt.Catalog, Cells: m.cells}
			readings, base, err = jobs.Read(ctx, in, m.store, m.sandbox, m.opt.Log, stage)
			return err
		}},
	})
	return readings, base, err
}

// makePlan makes of the catalogue the run's jobs.
func (m *Matrix) makePlan(ctx context.Context) error {
	generated, err := m.generatedSources()
	if err != nil {
		return err
	}
	given, err := locks.Read(m.opt.Locked)
	if err != nil {
		return &UsageError{err}
	}
	stage := m.opt.Progress.Stage("plan", len(m.opt.Catalog.Recipes))
	defer stage.Close()
	in := jobs.Input{
		Catalog: m.opt.Catalog, Cells: m.cells, Recipes: m.asked(), Others: m.whole && m.base == nil, Families: m.opt.Families, Generated: generated, Serials: m.serials(),
		RpmspecOnly: m.opt.RpmspecOnly,
		Resolver:    resolve.New(m.store, m.sandbox, indexer{}), Extender: m.images(), Refresh: m.opt.Refresh, Locked: given,
		Took: m.took,
	}
	m.took = nil // many names, and only the estimates are made of them
	m.jobs, err = jobs.New(ctx, in, m.store, m.sandbox, m.fetcher, m.opt.Log, stage)
	var mistake *jobs.RecipeError
	if errors.As(err, &mistake) {
		return &UsageError{err}
	}
	if err != nil {
		return err
	}
	if err := m.checkLocks(given); err != nil {
		return err
	}
	for _, s := range m.jobs.Plan.Skips {
		m.report.Jobs = append(m.report.Jobs, report.Job{
			ID: plan.ID(s.Recipe, s.Variant, s.Target, s.Arch), Recipe: s.Recipe, Variant: s.Variant, Group: m.groupOf(s.Recipe),
			Target: s.Target, Arch: s.Arch, Result: report.Skip, Reason: s.Reason,
		})
	}
	for _, f := range m.jobs.Plan.Failures {
		m.report.Jobs = append(m.report.Jobs, report.Job{
			ID: f.ID, Recipe: f.Recipe, Variant: f.Variant, Group: m.groupOf(f.Recipe),
			Target: f.Target, Arch: f.Arch, Result: report.Fail, Reason: f.Error(),
		})
	}
	return nil
}

// groupOf is under what the report shows a recipe. Meta-packages have no group of
// their own.
func groupOf(r *recipes.Recipe) string {
	if r.Kind == recipes.MetaPackage {
		return "meta-packages"
	}
	return r.Group
}

func (m *Matrix) groupOf(recipe string) string {
	r, err := m.opt.Catalog.Recipe(recipe)
	if err != nil {
		return "" // the plan is made of the catalogue: there is no such case
	}
	return groupOf(r)
}

// generatedSources are those that the run itself provides: what clients need to
// know of the repository and of its key.
func (m *Matrix) generatedSources() (map[string]source.Generated, error) {
	byTarget := map[string]source.Generated{}
	if !m.wants("") {
		return byTarget, nil
	}
	for _, t := range m.targets() {
		s := m.publishSpec(t)
		// The release package brings the key along as a file.
		file, err := s.ClientFile("file:///etc/pki/rpm-gpg/" + layout.KeyFile(s.Release))
		if err != nil {
			return nil, &UsageError{err}
		}
		status, err := m.status(t)
		if err != nil {
			return nil, err
		}
		byTarget[t.Name] = source.Generated{"repo-file": file, "public-key": m.key.PublicKey(), statusSource: status}
		if m.carried[t.Name], err = m.number(t, byTarget[t.Name]); err != nil {
			return nil, err
		}
	}
	return byTarget, nil
}

func (m *Matrix) steps(ctx context.Context, steps []step) error {
	defer m.close()
	for _, s := range steps {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		begin := time.Now()
		m.opt.Log.Debug("step begins", "step", s.name)
		if err := s.run(ctx); err != nil {
			m.opt.Log.Debug("step failed", "step", s.name, "seconds", time.Since(begin).Seconds(), "error", err)
			return m.explain(err)
		}
		m.opt.Log.Debug("step done", "step", s.name, "seconds", time.Since(begin).Seconds())
	}
	return nil
}

// explain says of an error of a station what it is to who called for the run.
func (m *Matrix) explain(err error) error {
	var target *images.TargetError
	if errors.As(err, &target) {
		err = &UsageError{err}
	}
	return host.ExplainFull(err, m.opt.State, m.opt.Out)
}

// close gives back what a run keeps beside the store.
func (m *Matrix) close() {
	if m.planOnly {
		m.history.Close()
	}
	if m.fetcher != nil {
		if err := m.fetcher.Close(); err != nil {
			m.opt.Log.Warn("cleaning up after fetching sources", "error", err)
		}
	}
	if m.scratch != "" {
		os.RemoveAll(m.scratch)
	}
}

// FailedError says that jobs or checks failed. The report tells which.
type FailedError struct{ What string }

func (e *FailedError) Error() string { return e.What }

func (m *Matrix) finish(err error) (*report.Run, error) {
	m.report.Cells = m.reportCells()
	var failed *FailedError
	if err != nil && !errors.As(err, &failed) {
		m.report.Error = err.Error()
	}
	// A clock that was set meanwhile does not count.
	m.report.Close(m.report.Started.Add(time.Since(m.begun)))
	m.report.Slots = m.opt.Jobs
	m.compare()
	m.report.History, m.report.CheckHistory = m.history.End(m.report)
	if werr := write.Folder(filepath.Join(m.opt.Out, ReportFolder), m.report); werr != nil {
		return m.report, errors.Join(err, werr)
	}
	return m.report, err
}

// compare tells in the report what changed since the run whose report is in the same
// folder.
func (m *Matrix) compare() {
	// A report that cannot be read is replaced by one that can.
	if previous, err := report.CompareWith(filepath.Join(m.opt.Out, ReportFolder), m.report); err == nil {
		m.report.Previous = previous
	}
}

// prepare opens the state folder and makes sure that the host can do the work,
// before anything is begun.
func (m *Matrix) prepare(ctx context.Context) error {
	if err := os.MkdirAll(m.opt.State, 0o755); err != nil {
		return &UsageError{fmt.Errorf("the state folder: %w", err)}
	}
	if err := m.CheckHost(ctx); err != nil {
		return err
	}
	var err error
	if m.sandbox, err = sandbox.New(m.opt.Runtime, filepath.Join(m.opt.State, "run")); err != nil {
		return &host.Error{Problems: []error{err}}
	}
	if err := m.sandbox.Clean(); err != nil {
		return err
	}
	// Only now: containers of killed runs may have written to what goes with them.
	if m.store, err = store.Open(filepath.Join(m.opt.State, "store")); err != nil {
		return err
	}
	if err := execute.Clean(m.opt.State); err != nil {
		return err
	}
	for _, gap := range m.sandbox.Gaps() {
		m.opt.Log.Warn("a limit does not hold fully on this host", "limit", gap)
	}
	if m.scratch, err = m.store.Temp("run-"); err != nil {
		return err
	}
	m.builder = newBuilder(m.opt.State, m.store, m.sandbox, m.keeping())
	m.executor = execute.NewLocal(m.opt.State, m.store, m.builder)
	if m.history, m.took, err = history.Open(ctx, m.opt.State, m.store, m.opt.Log); err != nil {
		return err
	}
	if !m.planOnly {
		m.history.Begin(ctx, state.Run{Started: m.report.Started, Program: m.opt.Program, Release: m.opt.Catalog.Release, Slots: m.opt.Jobs})
	}
	m.fetcher = source.New(m.store, source.WithDebianMirror(m.opt.Mirror), source.WithLocal("."))
	// Making a key takes seconds; a plan is made with it only when a recipe packs it.
	if !m.planOnly || m.wants("") {
		m.key, err = m.signingKey(ctx)
	}
	return err
}
