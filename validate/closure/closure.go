package closure

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Package is what the closure must know of a package.
type Package struct {
	ID       string // tells the packages of a repository apart: the digest of the file
	Name     string
	EVR      rpm.EVR
	Arch     string // rpm's name; "noarch" for all; "src" is passed over
	Provides []rpm.Dependency
	Requires []rpm.Dependency
	Files    []string // paths, all or the ones that are known without further reading
}

// NEVRA names the package: name-[epoch:]version-release.arch.
func (p *Package) NEVRA() string {
	evr := p.EVR
	if strings.Trim(evr.Epoch, "0") == "" {
		evr.Epoch = ""
	}
	return p.Name + "-" + evr.String() + "." + p.Arch
}

// Repository is a set of packages.
type Repository interface {
	// String names the repository for people.
	String() string
	// Packages calls fn for each package.
	Packages(ctx context.Context, fn func(Package) error) error
	// Files calls fn for those files of all packages that are wanted, with
	// the package's ID. It is asked only when a required file is not among
	// the files that Packages told.
	Files(ctx context.Context, wanted func(path string) bool, fn func(id, path string) error) error
}

// Options say what is to be checked.
type Options struct {
	Tested []Repository // whose packages' requirements are checked
	Base   []Repository // what else there is: the distribution's packages

	// Architectures to check for. Empty stands for those of the packages
	// under test, or of the base when all of those are noarch.
	Architectures []string
}

// Report is what a check found.
type Report struct {
	Cells        []string  `json:"cells"`        // architectures
	Packages     int       `json:"packages"`     // under test, in any of the cells
	Requirements int       `json:"requirements"` // of those, each counted once per cell
	Missing      []Missing `json:"missing"`      // in order of cell, package and requirement
}

// Missing is a requirement that nothing provides.
type Missing struct {
	Cell        string `json:"cell"`
	Package     string `json:"package"` // NEVRA
	Repository  string `json:"repository"`
	Requirement string `json:"requirement"`
	Nearest     string `json:"nearest,omitempty"` // what there is instead; a sentence without its end
}

// Check looks for a provider of each requirement of the packages under test,
// for each architecture on its own; noarch packages are part of all of them.
//
// A provider is a package with that name provided in an overlapping range of
// versions, or with that file. Paths are compared as they are written, as the
// package managers do: who needs /bin/x is not helped by a package that has
// /usr/bin/x. Requirements on rpm itself, rpmlib(…), are passed over, and weak
// dependencies are.
//
// For rich dependencies, with "there is A" for "A has a provider":
//
//	A and B             there are both
//	A or B              there is one
//	A if B              there is A, or there is no B
//	A if B else C       there is A when there is B; there is C when not
//	A unless B          there is A: one can do without B
//	A unless B else C   there is A, or both B and C
//	A with B            one package provides both
//	A without B         one package provides A and not B
//
// An expression that cannot be parsed is missing: rpm would refuse it.
func Check(ctx context.Context, opt Options) (*Report, error) {
	w := newWorld()
	for _, r := range opt.Tested {
		if err := w.add(ctx, r, true); err != nil {
			return nil, err
		}
	}
	for _, r := range opt.Base {
		if err := w.add(ctx, r, false); err != nil {
			return nil, err
		}
	}
	if err := w.divide(opt.Architectures); err != nil {
		return nil, err
	}
	if err := w.addFiles(ctx, slices.Concat(opt.Tested, opt.Base)); err != nil {
		return nil, err
	}
	return w.check(ctx)
}

func (w *world) check(ctx context.Context) (*Report, error) {
	report := &Report{Cells: w.cells, Missing: []Missing{}}
	hints := hints{world: w}
	for _, t := range w.tested {
		if err := context.Cause(ctx); err != nil {
			return nil, fmt.Errorf("looking for providers: %w", err)
		}
		if w.packages[t.index].cells != 0 {
			report.Packages++
		}
		for cell, arch := range w.cells {
			if !w.packages[t.index].in(cell) {
				continue
			}
			for _, req := range t.requires {
				report.Requirements++
				nearest, ok := "", false
				if req.err != nil {
					nearest = "it cannot be read: " + req.err.Error()
				} else if ok = w.holds(req.expression, cell); !ok {
					nearest = hints.of(req.expression, cell)
				}
				if !ok {
					report.Missing = append(report.Missing, Missing{
						Cell: arch, Package: t.nevra, Repository: t.repository, Requirement: req.text, Nearest: nearest,
					})
				}
			}
		}
	}
	slices.SortFunc(report.Missing, func(a, b Missing) int {
		return cmp.Or(cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Requirement, b.Requirement), cmp.Compare(a.Repository, b.Repository))
	})
	return report, nil
}

// holds says whether there is a way to satisfy a requirement in a cell, at its
// conditions' worst.
func (w *world) holds(e Expression, cell int) bool { return w.evaluate(e, cell, w.holds) }

// possible says whether some choice of packages makes an expression true. It
// differs from holds where a condition need not be met.
func (w *world) possible(e Expression, cell int) bool {
	if e.Op != OpIf {
		return w.evaluate(e, cell, w.possible)
	}
	of := func(i int) bool { return w.possible(e.Args[i], cell) }
	return len(e.Args) == 2 || of(2) || of(1) && of(0)
}

func (w *world) evaluate(e Expression, cell int, value func(Expression, int) bool) bool {
	of := func(i int) bool { return value(e.Args[i], cell) }
	condition := func() bool { return w.possible(e.Args[1], cell) }
	switch e.Op {
	case OpAnd:
		return !slices.ContainsFunc(e.Args, func(a Expression) bool { return !value(a, cell) })
	case OpOr:
		return slices.ContainsFunc(e.Args, func(a Expression) bool { return value(a, cell) })
	case OpIf:
		if condition() {
			return of(0)
		}
		return len(e.Args) == 2 || of(2)
	case OpUnless:
		return of(0) || len(e.Args) == 3 && condition() && of(2)
	case OpWith, OpWithout:
		return len(w.set(e, cell)) > 0
	default:
		return w.provided(e.Leaf, cell)
	}
}

// set is the packages that an expression of names, or, with and without means.
func (w *world) set(e Expression, cell int) map[int32]bool {
	if e.Op == "" {
		set := map[int32]bool{}
		for i := range w.providers(e.Leaf, cell) {
			set[i] = true
		}
		return set
	}
	set := w.set(e.Args[0], cell)
	for _, a := range e.Args[1:] {
		other := w.set(a, cell)
		switch e.Op {
		case OpOr:
			for i := range other {
				set[i] = true
			}
		case OpWith:
			for i := range set {
				if !other[i] {
					delete(set, i)
				}
			}
		case OpWithout:
			for i := range other {
				delete(set, i)
			}
		}
	}
	return set
}
