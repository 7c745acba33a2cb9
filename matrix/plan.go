package matrix

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/repo/publish"
)

// specTimeout bounds one container that reads specs.
const specTimeout = 30 * time.Minute

// candidate is recipe × variant × cell before rpm was asked about it.
type candidate struct {
	job     *plan.Job
	cell    Cell
	variant recipes.Variant
	query   spec.Query
}

// makePlan asks rpm what every recipe would build in every cell and orders the
// jobs. All recipes are asked, not only those that are wanted: what the wanted
// ones need is known only then.
func (m *Matrix) makePlan(ctx context.Context) error {
	generated, err := m.generatedSources()
	if err != nil {
		return err
	}
	m.generated = generated
	m.fetcher = source.New(m.store, source.WithDebianMirror(m.opt.Mirror), source.WithLocal("."))
	var candidates []*candidate
	var skips []recipes.Skip
	for _, cell := range m.cells {
		for _, r := range m.opt.Catalog.Recipes {
			more, skipped, err := m.expand(ctx, cell, r)
			if err != nil {
				return err
			}
			candidates = append(candidates, more...)
			skips = append(skips, skipped...)
		}
	}
	jobs, skipped, err := m.evaluate(ctx, candidates)
	if err != nil {
		return err
	}
	all, err := plan.New(jobs)
	if err != nil {
		return &UsageError{err}
	}
	m.plan = all.Select(m.opt.Recipes)
	for _, s := range append(skips, skipped...) {
		if len(m.opt.Recipes) == 0 || slices.Contains(m.opt.Recipes, s.Recipe) {
			m.report.Jobs = append(m.report.Jobs, report.Job{
				ID: plan.ID(s.Recipe, s.Variant, s.Target, s.Arch), Recipe: s.Recipe, Variant: s.Variant,
				Target: s.Target, Arch: s.Arch, Result: report.Skip, Reason: s.Reason,
			})
		}
	}
	return m.settle()
}

// generatedSources are those that the run itself provides: what clients need to
// know of the repository and of its key.
func (m *Matrix) generatedSources() (map[string]source.Generated, error) {
	byTarget := map[string]source.Generated{}
	for _, c := range m.cells {
		s := m.publishSpec(c.Target)
		// The release package brings the key along as a file.
		section, err := s.Repo("file:///etc/pki/rpm-gpg/" + publish.KeyFile(s.Release))
		if err != nil {
			return nil, &UsageError{err}
		}
		file, err := publish.RepoFile(section)
		if err != nil {
			return nil, &UsageError{err}
		}
		byTarget[c.Target.Name] = source.Generated{"repo-file": file, "public-key": m.key.PublicKey()}
	}
	return byTarget, nil
}

// expand makes the candidates of one recipe in one cell.
func (m *Matrix) expand(ctx context.Context, cell Cell, r *recipes.Recipe) ([]*candidate, []recipes.Skip, error) {
	archs := m.architectures(cell.Target)
	owner, ok := r.Owner(cell.Target, archs)
	if !ok {
		return nil, []recipes.Skip{{
			Recipe: r.Name, Target: cell.Target.Name, Arch: cell.Arch,
			Reason: "is built on " + r.Noarch + " only, which is not part of this run",
		}}, nil
	}
	variants, skips := m.opt.Catalog.Expand(r, cell.Target, cell.Arch)
	if owner != "" && owner != cell.Arch {
		return nil, skips, nil // made in the owner's cell, for this one too
	}
	var candidates []*candidate
	for _, v := range variants {
		if !m.wanted(v) {
			continue
		}
		c, err := m.candidate(ctx, cell, v)
		if err != nil {
			return nil, nil, err
		}
		if owner != "" {
			for _, arch := range archs {
				if _, excluded := r.Excluded(cell.Target.Name, arch); arch != owner && !excluded {
					c.job.Shared = append(c.job.Shared, arch)
				}
			}
		}
		candidates = append(candidates, c)
	}
	return candidates, skips, nil
}

func (m *Matrix) architectures(t *recipes.Target) []string {
	var archs []string
	for _, c := range m.cells {
		if c.Target == t {
			archs = append(archs, c.Arch)
		}
	}
	return archs
}

// wanted says whether a variant is of the chosen families.
func (m *Matrix) wanted(v recipes.Variant) bool {
	for _, p := range v.Picks {
		if only, chosen := m.opt.Families[p.Family]; chosen && only != p.Member {
			return false
		}
	}
	return true
}

// candidate gathers everything that a job's output depends on, but for the other
// jobs' packages.
func (m *Matrix) candidate(ctx context.Context, cell Cell, v recipes.Variant) (*candidate, error) {
	r := v.Recipe
	image := m.images[cell]
	j := &plan.Job{
		ID: plan.ID(r.Name, v.Name(), cell.Target.Name, cell.Arch), Recipe: r.Name, Variant: v.Name(),
		Target: cell.Target.Name, Arch: cell.Arch,
		Inputs: plan.Parts{plan.PartBuilder: builder.Format, plan.PartImage: string(image.Digest)},
	}
	job := builder.Job{
		ID: j.ID, Arch: cell.Arch, Image: image,
		Limits: limits(emulate.Native(cell.Arch), time.Duration(r.Needs.Time), int64(r.Needs.Memory), r.Needs.Cores),
	}
	if native := m.native[cell]; native != nil {
		job.Native = &builder.Native{Mounts: native.Mounts, Env: native.Env}
		j.Inputs[plan.PartNative] = native.Digest
	}
	c := &candidate{job: j, cell: cell, variant: v}
	var err error
	if job.Spec, c.query.Path, err = m.specOf(ctx, v); err != nil {
		return nil, err
	}
	j.Inputs[plan.PartSpec] = string(job.Spec.Digest)
	for _, f := range append(slices.Clone(m.opt.Catalog.Shared), r.Sources...) {
		data, err := m.opt.Catalog.Read(f)
		if err != nil {
			return nil, err
		}
		if _, err := m.store.PutBytes(ctx, data); err != nil {
			return nil, err
		}
		job.Sources = append(job.Sources, builder.File{Name: f.Name, Digest: f.Digest})
		c.query.Sources = append(c.query.Sources, spec.File{Name: f.Name, Digest: f.Digest})
	}
	for _, s := range r.Fetched {
		d, err := m.digestOf(ctx, s, cell.Target.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		job.Sources = append(job.Sources, builder.File{Name: s.File, Digest: d})
	}
	for _, f := range job.Sources {
		j.Inputs[plan.PartSource(f.Name)] = string(f.Digest)
	}
	for _, d := range v.Defines {
		job.Defines = append(job.Defines, builder.Define{Name: d.Name, Value: d.Value})
		c.query.Defines = append(c.query.Defines, spec.Define{Name: d.Name, Value: d.Value})
		j.Inputs[plan.PartDefine(d.Name)] = d.Value
	}
	c.query.Spec = spec.File{Name: job.Spec.Name, Digest: job.Spec.Digest}
	c.query.Arch = cell.Arch
	m.jobs[j.ID], m.variants[j.ID] = job, v
	return c, nil
}

// specOf puts a recipe's spec into the store, or the one that stands for a
// meta-package's list.
func (m *Matrix) specOf(ctx context.Context, v recipes.Variant) (builder.File, string, error) {
	r := v.Recipe
	name, path := r.Spec.Name, r.Spec.Path
	var text []byte
	if r.Kind == recipes.MetaPackage {
		name, path = r.Name+".spec", r.Dir
		text = []byte(m.opt.Catalog.MetaSpec(v))
	} else {
		var err error
		if text, err = m.opt.Catalog.Read(r.Spec); err != nil {
			return builder.File{}, "", err
		}
	}
	d, err := m.store.PutBytes(ctx, text)
	return builder.File{Name: name, Digest: d}, path, err
}

// digestOf is what a source is known by. One whose digest is in the recipe is
// fetched only when a job that wants it runs.
func (m *Matrix) digestOf(ctx context.Context, s recipes.Source, target string) (store.Digest, error) {
	if s.SHA256 != "" {
		return store.ParseDigest(s.SHA256)
	}
	return m.fetcher.Fetch(ctx, s, m.generated[target])
}

// fetch brings the sources of a job into the store.
func (m *Matrix) fetch(ctx context.Context, j *plan.Job) error {
	for _, s := range m.variants[j.ID].Recipe.Fetched {
		if _, err := m.fetcher.Fetch(ctx, s, m.generated[j.Target]); err != nil {
			return err
		}
	}
	return nil
}

// evaluate asks rpm about the candidates: those that it can read become jobs.
func (m *Matrix) evaluate(ctx context.Context, candidates []*candidate) ([]*plan.Job, []recipes.Skip, error) {
	stage := m.opt.Progress.Stage("plan", len(m.cells))
	defer stage.Close()
	var (
		jobs     []*plan.Job
		skips    []recipes.Skip
		problems []error
	)
	for _, cell := range m.cells {
		stage.Begin(cell.String())
		var mine []*candidate
		var queries []spec.Query
		for _, c := range candidates {
			if c.cell == cell {
				mine = append(mine, c)
				queries = append(queries, c.query)
			}
		}
		host := m.evaluatorCell(cell)
		image := m.images[host]
		evaluator := spec.New(m.store, &specRunner{m.sandbox, image.Layers}, spec.Image{Digest: image.Digest, Arch: host.Arch})
		answers, err := evaluator.Evaluate(ctx, queries)
		if err != nil {
			return nil, nil, err
		}
		for i, a := range answers {
			c := mine[i]
			var skip *spec.SkipError
			switch {
			case errors.As(a.Err, &skip):
				skips = append(skips, recipes.Skip{Recipe: c.job.Recipe, Variant: c.job.Variant, Target: c.job.Target, Arch: c.job.Arch, Reason: skip.Reason})
			case a.Err != nil:
				problems = append(problems, fmt.Errorf("%s: %w", c.job.ID, a.Err))
			default:
				c.take(a.Result)
				jobs = append(jobs, c.job)
			}
		}
		stage.End(cell.String(), fmt.Sprintf("%d specs read", len(mine)))
	}
	if len(problems) > 0 {
		return nil, nil, &UsageError{errors.Join(problems...)}
	}
	return jobs, skips, nil
}

// evaluatorCell is the cell whose image reads the specs of another cell of the
// same target: rpmspec takes the architecture as an option, so that it need not
// be emulated where the host's own is part of the run.
func (m *Matrix) evaluatorCell(cell Cell) Cell {
	for _, c := range m.cells {
		if c.Target == cell.Target && emulate.Native(c.Arch) {
			return c
		}
	}
	return cell
}

// take fills a job in with what rpm said.
func (c *candidate) take(r *spec.Result) {
	c.job.BuildRequires = r.Source.Requires
	for _, p := range r.Packages {
		c.job.Produces = append(c.job.Produces, plan.Produced{Name: p.Name, Provides: p.Provides, Requires: p.Requires})
	}
}

// specRunner gives package spec its containers.
type specRunner struct {
	sandbox *sandbox.Runtime
	layers  []string
}

// Run implements [spec.Runner].
func (r *specRunner) Run(ctx context.Context, dir string, args []string) error {
	const inside = "/evaluate"
	var out strings.Builder
	err := r.sandbox.Run(ctx, sandbox.Spec{
		Name: "rpmspec", Layers: r.layers, Args: args, Cwd: inside, UID: nobody, GID: nobody, ReadOnlyRoot: true,
		Mounts:  []sandbox.Mount{{Source: dir, Destination: inside}},
		Limits:  sandbox.Limits{Memory: 2 << 30, Pids: 512},
		Timeout: specTimeout,
		Stdout:  &out, Stderr: &out,
	})
	var exit *sandbox.ExitError
	if errors.As(err, &exit) || errors.Is(err, sandbox.ErrTimeout) {
		return nil // what has no answer will be noticed
	}
	return err
}

// nobody runs what needs no rights.
const nobody = 65534
