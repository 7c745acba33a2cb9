package jobs

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
)

// candidate is recipe × variant × cell before rpm was asked about it.
type candidate struct {
	job     *plan.Job
	cell    *Cell
	variant recipes.Variant
	query   spec.Query
}

// expand makes the candidates of one recipe in one cell.
func (s *Set) expand(ctx context.Context, cell *Cell, r *recipes.Recipe) ([]*candidate, []recipes.Skip, error) {
	archs := s.architectures(cell.Target)
	owner, ok := r.Owner(cell.Target, archs)
	if !ok {
		return nil, []recipes.Skip{{
			Recipe: r.Name, Target: cell.Target.Name, Arch: cell.Arch,
			Reason: "is built on " + r.Noarch + " only, which is not part of this run",
		}}, nil
	}
	variants, skips := s.in.Catalog.Expand(r, cell.Target, cell.Arch)
	if owner != "" && owner != cell.Arch {
		return nil, skips, nil // made in the owner's cell, for this one too
	}
	var candidates []*candidate
	for _, v := range variants {
		if !s.wanted(v) {
			continue
		}
		c, err := s.candidate(ctx, cell, v)
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

func (s *Set) architectures(t *recipes.Target) []string {
	var archs []string
	for _, c := range s.in.Cells {
		if c.Target == t {
			archs = append(archs, c.Arch)
		}
	}
	return archs
}

// wanted says whether a variant is of the chosen families.
func (s *Set) wanted(v recipes.Variant) bool {
	for _, p := range v.Picks {
		if only, chosen := s.in.Families[p.Family]; chosen && only != p.Member {
			return false
		}
	}
	return true
}

// candidate gathers everything that a job's output depends on, but for the other
// jobs' packages.
func (s *Set) candidate(ctx context.Context, cell *Cell, v recipes.Variant) (*candidate, error) {
	r := v.Recipe
	image := cell.Image
	j := &plan.Job{
		ID: plan.ID(r.Name, v.Name(), cell.Target.Name, cell.Arch), Recipe: r.Name, Variant: v.Name(),
		Target: cell.Target.Name, Arch: cell.Arch,
		Inputs: plan.Parts{plan.PartBuilder: builder.Format, plan.PartImage: string(image.Digest)},
	}
	job := builder.Job{
		ID: j.ID, Arch: cell.Arch, Image: image,
		Limits: limits(emulate.Native(cell.Arch), time.Duration(r.Needs.Time), int64(r.Needs.Memory), r.Needs.Cores),
	}
	if native := cell.Native; native != nil {
		job.Native = &builder.Native{Mounts: native.Mounts, Env: native.Env}
		j.Inputs[plan.PartNative] = native.Digest
	}
	c := &candidate{job: j, cell: cell, variant: v}
	var err error
	if job.Spec, c.query.Path, err = s.specOf(ctx, v); err != nil {
		return nil, err
	}
	j.Inputs[plan.PartSpec] = string(job.Spec.Digest)
	for _, f := range s.in.Catalog.Inputs(r) {
		data, err := s.in.Catalog.Read(f)
		if err != nil {
			return nil, err
		}
		if _, err := s.store.PutBytes(ctx, data); err != nil {
			return nil, err
		}
		job.Sources = append(job.Sources, builder.File{Name: f.Name, Digest: f.Digest})
		c.query.Sources = append(c.query.Sources, spec.File{Name: f.Name, Digest: f.Digest})
	}
	for _, f := range r.Fetched {
		d, err := s.digestOf(ctx, f, cell.Target.Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		job.Sources = append(job.Sources, builder.File{Name: f.File, Digest: d})
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
	s.jobs[j.ID], s.variants[j.ID] = job, v
	return c, nil
}

// specOf puts a recipe's spec into the store, or the one that stands for a
// meta-package's list.
func (s *Set) specOf(ctx context.Context, v recipes.Variant) (builder.File, string, error) {
	r := v.Recipe
	name, path := r.Spec.Name, r.Spec.Path
	var text []byte
	if r.Kind == recipes.MetaPackage {
		name, path = r.Name+".spec", r.Dir
		text = []byte(s.in.Catalog.MetaSpec(v))
	} else {
		var err error
		if text, err = s.in.Catalog.Read(r.Spec); err != nil {
			return builder.File{}, "", err
		}
	}
	d, err := s.store.PutBytes(ctx, text)
	return builder.File{Name: name, Digest: d}, path, err
}

// digestOf is what a source is known by. One whose digest is in the recipe is
// fetched only when a job that wants it runs.
func (s *Set) digestOf(ctx context.Context, f recipes.Source, target string) (store.Digest, error) {
	if f.SHA256 != "" {
		return store.ParseDigest(f.SHA256)
	}
	return s.fetcher.Fetch(ctx, f, s.in.Generated[target])
}

// The limits of a job whose recipe states none.
const (
	defaultTime = 2 * time.Hour
	maxPids     = 4096
)

// EmulatedTimes is how much longer than natively something may take when it is
// emulated, before it is held to hang.
const EmulatedTimes = 20

// limits are what a job may take. Emulated, everything takes longer; a build
// that is merely slow must not be taken for one that hangs.
func limits(native bool, limit time.Duration, memory int64, cores int) builder.Limits {
	if limit == 0 {
		limit = defaultTime
	}
	if !native {
		limit *= EmulatedTimes
	}
	if cores <= 0 || cores > runtime.NumCPU() {
		cores = runtime.NumCPU()
	}
	return builder.Limits{Time: limit, Memory: memory, Cores: cores, Pids: maxPids}
}
