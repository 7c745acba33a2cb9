package jobs

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
)

// candidate is recipe × variant × cell before rpm was asked about it, and then
// what rpm said. There may be a hundred thousand: what most of them have alike is held
// once (see [Set.shared]), and what only a component has is behind a pointer.
type candidate struct {
	job        *plan.Job
	cell       *Cell
	variant    recipes.Variant
	result     *spec.Result // of a meta-package until it is taken
	*component              // nil: it is a meta-package, which nobody is asked about
	key        store.Digest // of a meta-package: all that it is made of is in the catalogue
}

// component is what a candidate has that rpmbuild makes.
type component struct {
	build  builder.Job    // without what it depends on
	inputs []recipes.File // of the catalogue
	query  spec.Query

	// missing are the sources that have to be fetched from the spec's addresses
	// before anything can be said of what comes of them.
	missing []string
}

// meta says whether it is a meta-package.
func (c *candidate) meta() bool { return c.component == nil }

// path is how people know what it is made of.
func (c *candidate) path() string {
	if c.meta() {
		return c.variant.Recipe.Dir
	}
	return c.query.Path
}

// expand makes the candidates of one recipe in one cell.
func (s *Set) expand(ctx context.Context, cell *Cell, r *recipes.Recipe) ([]*candidate, []plan.Skip, error) {
	archs := s.architectures(cell.Target)
	owner, ok := r.Owner(cell.Target, archs)
	if !ok {
		return nil, []plan.Skip{{
			Recipe: r.Name, Target: cell.Target.Name, Arch: cell.Arch,
			Reason: "is built on " + r.Noarch + " only, which is not part of this run",
		}}, nil
	}
	variants, skipped := s.in.Catalog.Expand(r, cell.Target, cell.Arch)
	var skips []plan.Skip
	for _, k := range skipped {
		skips = append(skips, plan.Skip(k))
	}
	if owner != "" && owner != cell.Arch {
		return nil, skips, nil // made in the owner's cell, for this one too
	}
	var candidates []*candidate
	for _, v := range variants {
		if !s.wanted(v) {
			continue
		}
		c, err := s.newCandidate(cell, v)
		if err != nil {
			return nil, nil, err
		}
		if !c.meta() {
			if err := s.addInputs(ctx, c); err != nil {
				return nil, nil, err
			}
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

// newCandidate is a variant in a cell with what rpm has to be asked about it.
func (s *Set) newCandidate(cell *Cell, v recipes.Variant) (*candidate, error) {
	r, name := v.Recipe, v.Name()
	variant, own := s.alike(v)
	c := &candidate{cell: cell, variant: variant}
	c.job = &plan.Job{
		ID: plan.ID(r.Name, name, cell.Target.Name, cell.Arch), Recipe: r.Name, Variant: name,
		Target: cell.Target.Name, Arch: cell.Arch, Defines: own,
	}
	if r.Kind == recipes.MetaPackage {
		return c, s.setMeta(c)
	}
	c.component = &component{}
	c.setSpec()
	for _, f := range s.in.Catalog.Inputs(r) {
		c.inputs = append(c.inputs, f)
		c.query.Sources = append(c.query.Sources, spec.File{Name: f.Name, Digest: f.Digest})
		c.job.Files = append(c.job.Files, f.Path)
	}
	if cell.Reader.Target != cell.Target.Name {
		// First, so that what the recipe or the family defines counts.
		c.query.Defines = append(c.query.Defines, s.macros(cell.Target)...)
	}
	for _, d := range s.defines(cell, v) {
		c.query.Defines = append(c.query.Defines, spec.Define{Name: d.Name, Value: d.Value})
	}
	c.query.Arch = cell.Arch
	macros := make(map[string]string, len(c.query.Defines))
	for _, d := range c.query.Defines {
		macros[d.Name] = d.Value
	}
	c.job.Macros = s.shared(macros)
	return c, nil
}

// serialMacro tells a spec that packs generated sources their number.
const serialMacro = "ohpc_serial"

// defines are a variant's, and of one that packs generated sources their number: no
// recipe can know that they have changed, and the release must.
func (s *Set) defines(cell *Cell, v recipes.Variant) []recipes.Define {
	n := s.in.Serials[cell.Target.Name]
	packed := func(f recipes.Source) bool { return f.Generated != "" }
	if n == 0 || !slices.ContainsFunc(v.Recipe.Fetched, packed) {
		return v.Defines
	}
	return append(slices.Clone(v.Defines), recipes.Define{Name: serialMacro, Value: strconv.Itoa(n)})
}

// macros are those of a target whose specs another one's image reads.
func (s *Set) macros(t *recipes.Target) []spec.Define {
	defines, known := s.borrowed[t]
	if !known {
		for _, d := range t.MacroDefines() {
			defines = append(defines, spec.Define{Name: d.Name, Value: d.Value})
		}
		s.borrowed[t] = defines
	}
	return defines
}

// addInputs gathers everything else that a job's output depends on, but for the
// other jobs' packages.
func (s *Set) addInputs(ctx context.Context, c *candidate) error {
	r, j, cell := c.variant.Recipe, c.job, c.cell
	j.Inputs = plan.Parts{
		plan.PartBuilder: builder.Format, plan.PartImage: imagePart(cell), plan.PartSpec: string(c.query.Spec.Digest),
	}
	c.build = builder.Job{
		ID: j.ID, Arch: cell.Arch, Image: cell.Image, Spec: builder.File(c.query.Spec),
		Limits: limits(emulate.Native(cell.Arch), r.Needs),
	}
	if native := cell.Native; native != nil {
		c.build.Native = &builder.Native{Mounts: native.Mounts, Env: native.Env, Install: native.Install}
		j.Inputs[plan.PartNative] = native.Digest
	}
	for _, f := range c.query.Sources {
		c.build.Sources = append(c.build.Sources, builder.File(f))
	}
	for _, f := range r.Fetched {
		d, err := s.digestOf(ctx, f, cell.Target.Name)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		c.build.Sources = append(c.build.Sources, builder.File{Name: f.File, Digest: d})
	}
	for _, f := range c.build.Sources {
		j.Inputs[plan.PartSource(f.Name)] = string(f.Digest)
	}
	for _, d := range s.defines(cell, c.variant) {
		c.build.Defines = append(c.build.Defines, builder.Define{Name: d.Name, Value: d.Value})
		j.Inputs[plan.PartDefine(d.Name)] = d.Value
	}
	return nil
}

// imagePart stands for a cell's image in keys: its digest, or where it is to come
// from as long as it is not at hand.
func imagePart(cell *Cell) string {
	if cell.Image.Digest != "" {
		return string(cell.Image.Digest)
	}
	return "reference " + cell.Target.Image.Reference
}

// setSpec tells a candidate its spec.
func (c *candidate) setSpec() {
	f := c.variant.Recipe.Spec
	c.inputs = append(c.inputs, f)
	c.job.Spec = f.Path
	c.job.Files = append(c.job.Files, f.Path)
	c.query.Spec = spec.File{Name: f.Name, Digest: f.Digest}
	c.query.Path = f.Path
}

// keepInputs brings the files of the catalogue that a candidate is made of into
// the store.
func (s *Set) keepInputs(ctx context.Context, c *candidate) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range c.inputs {
		if s.kept[f.Digest] {
			continue
		}
		data, err := s.in.Catalog.Read(f)
		if err != nil {
			return err
		}
		if _, err := s.store.PutBytes(ctx, data); err != nil {
			return err
		}
		s.kept[f.Digest] = true
	}
	return nil
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
func limits(native bool, needs recipes.Needs) builder.Limits {
	limit := cmp.Or(time.Duration(needs.Time), defaultTime)
	if !native {
		limit *= EmulatedTimes
	}
	cores := needs.Cores
	if cores <= 0 || cores > runtime.NumCPU() {
		cores = runtime.NumCPU()
	}
	return builder.Limits{Time: limit, Memory: int64(needs.Memory), Disk: int64(needs.Disk), Cores: cores, Pids: maxPids}
}
