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

	// Open says of a dependency that nothing provides whether the base may hold it
	// all the same, because not all of that is known. Nil: everything is known.
	Open func(arch string, d rpm.Dependency) bool
}

// Report is what a check found.
type Report struct {
	Cells        []string  `json:"cells"`        // architectures
	Packages     int       `json:"packages"`     // under test, in any of the cells
	Requirements int       `json:"requirements"` // of those, each counted once per cell
	Missing      []Missing `json:"missing"`      // in order of cell, package and requirement

	// Left are the requirements that are left to the part of the base that is not
	// known, in the same order.
	Left []Missing `json:"left,omitempty"`
}

// Missing is a requirement that nothing provides.
type Missing struct {
	Cell        string `json:"cell"`
	Package     string `json:"package"` // NEVRA
	Repository  string `json:"repository"`
	Requirement string `json:"requirement"`
	Nearest     string `json:"nearest,omitempty"` // what there is instead; a sentence without its end

	// ID is the package's, and Absent are the dependencies of a requirement that
	// nothing provides and nobody may.
	ID     string           `json:"-"`
	Absent []rpm.Dependency `json:"-"`
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
// An expression that cannot be parsed is missing: rpm would refuse it. One that is
// neither true nor false, because of dependencies that are [Options].Open, is left.
func Check(ctx context.Context, opt Options) (*Report, error) {
	w := newWorld()
	w.open = opt.Open
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
				m := Missing{Cell: arch, Package: t.nevra, Repository: t.repository, Requirement: req.text, ID: t.id}
				switch w.judge(req, cell) {
				case open:
					report.Left = append(report.Left, m)
				case unmet:
					if req.err != nil {
						m.Nearest = "it cannot be read: " + req.err.Error()
					} else {
						m.Absent, m.Nearest = w.absent(req.expression, cell), hints.of(req.expression, cell)
					}
					report.Missing = append(report.Missing, m)
				case met:
				}
			}
		}
	}
	for _, list := range [][]Missing{report.Missing, report.Left} {
		slices.SortFunc(list, func(a, b Missing) int {
			return cmp.Or(cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Requirement, b.Requirement), cmp.Compare(a.Repository, b.Repository))
		})
	}
	return report, nil
}
