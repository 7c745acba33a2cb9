package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/plan/provide"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// recordResolved is where is kept what a package manager answered, and what an image
// is to be extended by: both by what was asked. They stay as they are until somebody
// wants them anew.
const recordResolved = "resolved"

// Resolver asks a target's package manager for what a build root must hold.
type Resolver interface {
	Resolve(ctx context.Context, q resolve.Request) (*resolve.Lock, error)
}

// Extender adds packages of the system's own kind to a cell's image.
type Extender interface {
	// Download brings packages and what they need into the store. Key says what the
	// answer depends on beside the image and the names.
	Download(ctx context.Context, cell *Cell, names []string) ([]resolve.Package, error)
	Key(cell *Cell) string
	Extend(ctx context.Context, cell *Cell, packages []resolve.Package) (buildroot.Image, error)
}

// errUnresolved says that a package manager has to be asked before it is known what
// a job's build root holds.
var errUnresolved = errors.New("its dependencies are not resolved")

// dependencies is what a job needs beside its image.
type dependencies struct {
	own    []available // what the jobs that it needs have made
	picked []available // those of them that the root must hold
	demand []string    // packages to extend the image by
	unmet  bool        // something is neither ours, nor in the image or its extension
}

// dependencies finds out what a job needs. All that it needs must have results.
//
// What is ours may have been built with an extension of the image, and require what
// came with that. Of what is not there by itself this is not known before it is
// installed: rpm has the last word when the root is assembled.
func (s *Set) dependencies(j *plan.Job) (dependencies, error) {
	d := dependencies{}
	for _, id := range j.Needs {
		for _, p := range s.results[id].Packages {
			header, err := s.headers.of(p.Digest)
			if err != nil {
				return d, fmt.Errorf("%s: %w", p.File, err)
			}
			if header.Arch == j.Arch || header.Arch == "noarch" {
				d.own = append(d.own, available{s.candidates[id].job, p, header})
			}
		}
	}
	target := func(req rpm.Dependency) (met, known bool) { return s.targets.Provides(j.Target, j.Arch, req) }
	world, root := rootOf(j, d.own, target)
	d.picked = picked(root, d.own)
	if s.candidates[j.ID].cell.Image.Digest == "" {
		return d, nil // only planned
	}
	extension := &demand{world: world, base: s.targets, cell: s.candidates[j.ID].cell}
	for _, req := range j.BuildRequires {
		if !provide.Ignored(req) {
			verdict, err := root.Judge(req)
			d.unmet = d.unmet || err != nil || verdict.Verdict >= provide.Assumed
			extension.add(req)
		}
	}
	for _, p := range d.picked {
		for req := range p.header.Requires() {
			if !provide.Ignored(req) {
				verdict, err := world.Judge(provide.Consumer{Owner: -1}, req)
				unmet := err != nil || verdict.Verdict >= provide.Assumed
				if inherited := s.extensions[p.job.ID]; unmet && len(inherited) > 0 {
					extension.names, unmet = append(extension.names, inherited...), false
				}
				d.unmet = d.unmet || unmet
				extension.add(req)
			}
		}
	}
	slices.Sort(extension.names)
	d.demand = slices.Compact(extension.names)
	s.extensions[j.ID] = d.demand
	return d, nil
}

// Lock is what a job's build root was made of, or nil when that is not known. A
// meta-package has no build root.
func (s *Set) Lock(j *plan.Job) *resolve.Lock {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.locks[j.ID]
}

// lock is what a job's build root is to be made of, as far as it is known without
// asking anybody. The error is errUnresolved when it is not.
func (s *Set) lock(j *plan.Job) (*resolve.Lock, error) {
	cell := s.candidates[j.ID].cell
	requires := requirements(j)
	if given := s.in.Locked[j.ID]; given != nil {
		if err := given.Differs(j.ID, j.Arch, cell.Image.Digest, requires); err != nil {
			return nil, &RecipeError{fmt.Errorf("%s cannot be built by its lock file: %w", j.ID, err)}
		}
		return given, nil
	}
	d, err := s.dependencies(j)
	if err != nil {
		return nil, err
	}
	l := &resolve.Lock{
		Version: resolve.LockVersion, Job: j.ID, Target: j.Target, Arch: j.Arch, Image: cell.Image.Digest,
		Requires: requires, Packages: []resolve.Package{},
	}
	if d.unmet {
		var packages []resolve.Package
		if !s.recall(s.resolvedName(j, d), &packages) {
			return nil, errUnresolved
		}
		l.Manager, l.Packages = manager(cell.Target), packages
	} else {
		for _, a := range d.picked {
			l.Packages = append(l.Packages, resolve.Package{
				Name: a.header.Name, EVR: a.header.EVR().String(), Arch: a.header.Arch, Kind: resolve.KindRPM,
				File: a.file.File, Digest: a.file.Digest, Origin: resolve.Origin{Job: a.job.ID},
			})
		}
	}
	if len(d.demand) > 0 {
		var packages []resolve.Package
		if !s.recall(s.demandedName(cell, d), &packages) {
			return nil, errUnresolved
		}
		l.Packages = append(l.Packages, packages...)
	}
	l.Sort()
	return l, nil
}

// requirements are a job's in the words of a lock.
func requirements(j *plan.Job) []string {
	all := []string{}
	for _, req := range j.BuildRequires {
		if !provide.Ignored(req) {
			all = append(all, req.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// manager is the package manager that is asked for a target.
func manager(t *recipes.Target) string { return t.Managers[0] }

// resolvedName stands for all that a package manager's answer may depend on but the
// day. What its repositories are is part of the image.
func (s *Set) resolvedName(j *plan.Job, d dependencies) string {
	cell := s.candidates[j.ID].cell
	parts := plan.Parts{
		"format": resolve.Format, plan.PartImage: string(cell.Image.Digest), "manager": manager(cell.Target),
		"requires": strings.Join(requirements(j), "\n"), "extension": s.demandedName(cell, d),
	}
	for _, a := range d.own {
		parts[plan.PartDependency(a.job.Recipe, a.file.File)] = string(a.file.Digest)
	}
	for _, a := range d.picked {
		parts["picked "+a.file.File] = string(a.file.Digest)
	}
	return string(parts.Key())
}

func (s *Set) demandedName(cell *Cell, d dependencies) string {
	if len(d.demand) == 0 {
		return ""
	}
	parts := plan.Parts{
		"format": resolve.Format, plan.PartImage: string(cell.Image.Digest), "packages": strings.Join(d.demand, "\n"), "archive": s.in.Extender.Key(cell),
	}
	return string(parts.Key())
}

// recall finds what was answered before: in this run, when everything is to be
// asked anew.
func (s *Set) recall(name string, packages *[]resolve.Package) bool {
	if s.in.Refresh && !s.fresh[name] {
		return false
	}
	err := s.store.Record(recordResolved, name, packages)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.log.Warn("resolved dependencies are of no use and will be resolved anew", "error", err)
	}
	return err == nil
}

// remember keeps an answer.
func (s *Set) remember(name string, packages []resolve.Package) error {
	if err := s.store.PutRecord(recordResolved, name, packages); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh[name] = true
	return nil
}

// resolve asks whoever has to be asked for what a job needs. All that it needs must
// have results.
func (s *Set) resolve(ctx context.Context, j *plan.Job) error {
	c := s.candidates[j.ID]
	if c.meta() || c.cell.Image.Digest == "" {
		return nil
	}
	s.mu.Lock()
	var d dependencies
	_, err := s.lock(j)
	open := errors.Is(err, errUnresolved)
	if open {
		d, err = s.dependencies(j)
	}
	s.mu.Unlock()
	if err != nil || !open {
		return err
	}
	var extension []resolve.Package
	if len(d.demand) > 0 {
		if extension, err = s.demanded(ctx, c.cell, d); err != nil {
			return err
		}
	}
	if !d.unmet {
		return nil
	}
	_, err = s.once(s.resolvedName(j, d), func() ([]resolve.Package, error) {
		image := c.cell.Image
		if len(extension) > 0 {
			if image, err = s.in.Extender.Extend(ctx, c.cell, extension); err != nil {
				return nil, err
			}
		}
		return s.askManager(ctx, j, d, image)
	})
	return err
}

// demanded downloads what a cell's image is to be extended by, unless that was done.
func (s *Set) demanded(ctx context.Context, cell *Cell, d dependencies) ([]resolve.Package, error) {
	return s.once(s.demandedName(cell, d), func() ([]resolve.Package, error) {
		return s.in.Extender.Download(ctx, cell, d.demand)
	})
}

// once asks a question that has no answer yet, and lets others that have the same
// one wait for it.
func (s *Set) once(name string, ask func() ([]resolve.Package, error)) ([]resolve.Package, error) {
	answer, err, _ := s.asking.Do(name, func() (any, error) {
		var packages []resolve.Package
		s.mu.Lock()
		known := s.recall(name, &packages)
		s.mu.Unlock()
		if known {
			return packages, nil
		}
		packages, err := ask()
		if err != nil {
			return nil, err
		}
		return packages, s.remember(name, packages)
	})
	if err != nil {
		return nil, err
	}
	return answer.([]resolve.Package), nil
}

// askManager puts a job's requirements to the target's package manager.
func (s *Set) askManager(ctx context.Context, j *plan.Job, d dependencies, image buildroot.Image) ([]resolve.Package, error) {
	q := resolve.Request{Job: j.ID, Target: j.Target, Arch: j.Arch, Image: image, Manager: manager(s.candidates[j.ID].cell.Target)}
	for _, req := range j.BuildRequires {
		if !provide.Ignored(req) {
			q.Requires = append(q.Requires, req)
		}
	}
	for _, a := range d.own {
		chosen := slices.ContainsFunc(d.picked, func(p available) bool { return p.file == a.file })
		q.Own = append(q.Own, resolve.Own{File: a.file.File, Digest: a.file.Digest, Job: a.job.ID, Chosen: chosen})
	}
	l, err := s.in.Resolver.Resolve(ctx, q)
	var unresolvable *resolve.UnresolvableError
	if errors.As(err, &unresolvable) {
		return nil, &RequirementError{Where: s.where(j, unresolvable.Requirements), Err: unresolvable}
	}
	if err != nil {
		return nil, err
	}
	return l.Packages, nil
}

// where are the lines of a spec in which requirements are written.
func (s *Set) where(j *plan.Job, requirements []string) []string {
	lines := plan.NewLines(s.text)
	var all []string
	for _, r := range requirements {
		if at := lines.BuildRequires(j, r); at != "" && !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	return all
}

// RequirementError says where the requirements are written that cannot be met.
type RequirementError struct {
	Where []string // file:line
	Err   *resolve.UnresolvableError
}

func (e *RequirementError) Error() string {
	if len(e.Where) == 0 {
		return e.Err.Error()
	}
	return strings.Join(e.Where, ", ") + ": " + e.Err.Error()
}

func (e *RequirementError) Unwrap() error { return e.Err }

// fetchLocked brings the packages of a lock into the store that are not there any
// more, from where they came.
func (s *Set) fetchLocked(ctx context.Context, l *resolve.Lock) error {
	for _, p := range l.Packages {
		if s.store.Has(p.Digest) {
			continue
		}
		if p.Origin.URL == "" {
			return &GoneError{Lock: l.Job, Package: p}
		}
		_, err := s.fetcher.Fetch(ctx, recipes.Source{File: p.File, URL: p.Origin.URL, SHA256: p.Digest.Hex()}, nil)
		if err != nil {
			return fmt.Errorf("getting the locked package %s again (--refresh resolves anew): %w", p.File, err)
		}
	}
	return nil
}

// GoneError says that a lock names a package that nobody has any more.
type GoneError struct {
	Lock    string // the job
	Package resolve.Package
}

func (e *GoneError) Error() string {
	return fmt.Sprintf("the lock of %s names %s (%s, %s), which is no longer in the store and cannot be downloaded", e.Lock, e.Package.File, e.Package.Digest, e.Package.Origin)
}

// Extend puts a job on the image that its lock extends, if it does.
func (s *Set) Extend(ctx context.Context, j *plan.Job, image *buildroot.Image) error {
	l := s.Lock(j)
	if l == nil || len(l.Of(resolve.KindDeb)) == 0 {
		return nil
	}
	extended, err := s.in.Extender.Extend(ctx, s.candidates[j.ID].cell, l.Of(resolve.KindDeb))
	if err != nil {
		return fmt.Errorf("%s: %w", j.ID, err)
	}
	*image = extended
	return nil
}

// Installed is the image on which a cell's packages can be tried: with everything
// that its jobs have added to theirs, as what they made may require it.
func (s *Set) Installed(ctx context.Context, cell *Cell) (buildroot.Image, error) {
	var names []string
	s.mu.Lock()
	for _, j := range s.Plan.Jobs {
		if j.Serves(cell.Target.Name, cell.Arch) {
			names = append(names, s.extensions[j.ID]...)
		}
	}
	s.mu.Unlock()
	if len(names) == 0 {
		return cell.Image, nil
	}
	slices.Sort(names)
	packages, err := s.demanded(ctx, cell, dependencies{demand: slices.Compact(names)})
	if err != nil {
		return buildroot.Image{}, err
	}
	return s.in.Extender.Extend(ctx, cell, packages)
}
