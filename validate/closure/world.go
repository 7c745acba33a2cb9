package closure

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// world is all packages of all repositories, found by what they provide.
type world struct {
	cells    []string // architectures
	packages []member
	tested   []tested
	provides map[string][]provide // by name
	files    map[string][]int32   // packages by path
	ids      map[string]int32     // packages by repository and ID
	size     int                  // dependencies and files so far
	open     func(arch string, d rpm.Dependency) bool
}

// member is a package of the world.
type member struct {
	name  string
	arch  string
	cells uint64 // a bit for each cell that it is part of
}

func (m *member) in(cell int) bool { return m.cells&(1<<cell) != 0 }

// tested is a package under test and what it requires.
type tested struct {
	index      int32
	id         string
	nevra      string
	repository string
	requires   []requirement
}

type requirement struct {
	text       string
	expression Expression
	err        error
}

// provide is one package's providing of a name.
type provide struct {
	by      int32
	flags   rpm.Sense
	version string
}

// What a world may hold at most: several times the largest distributions.
const (
	maxPackages = 2_000_000
	maxSize     = 50_000_000 // dependencies and files
	maxCells    = 64
)

var errTooLarge = fmt.Errorf("the repositories hold more than %d packages, or more than %d dependencies and files", maxPackages, maxSize)

// noarch is the architecture of packages for all architectures.
const noarch = "noarch"

func newWorld() *world {
	return &world{provides: map[string][]provide{}, files: map[string][]int32{}, ids: map[string]int32{}}
}

func (w *world) add(ctx context.Context, r Repository, test bool) error {
	name := r.String()
	err := r.Packages(ctx, func(p Package) error {
		if p.Arch == "src" || p.Arch == "nosrc" {
			return nil
		}
		i := int32(len(w.packages))
		w.size += len(p.Provides) + len(p.Requires) + len(p.Files)
		if i == maxPackages || w.size > maxSize {
			return errTooLarge
		}
		w.packages = append(w.packages, member{name: p.Name, arch: p.Arch})
		w.ids[key(name, p.ID)] = i
		for _, d := range p.Provides {
			w.provides[d.Name] = append(w.provides[d.Name], provide{i, d.Flags, d.Version})
		}
		for _, f := range p.Files {
			w.files[f] = append(w.files[f], i)
		}
		if test {
			w.tested = append(w.tested, tested{i, p.ID, p.NEVRA(), name, requirements(p)})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the packages of %s: %w", name, err)
	}
	return nil
}

// key finds a package again: two repositories may hold the same file.
func key(repository, id string) string { return repository + "\x00" + id }

// requirements are what a package requires of other packages, each once.
func requirements(p Package) []requirement {
	var result []requirement
	seen := map[string]bool{}
	for _, d := range p.Requires {
		text := d.String()
		if d.Flags&(rpm.RPMLib|rpm.MissingOK) != 0 || strings.HasPrefix(d.Name, "rpmlib(") || seen[text] {
			continue
		}
		seen[text] = true
		e, err := Parse(d)
		result = append(result, requirement{text, e, err})
	}
	return result
}

// divide makes the cells and says which packages are part of which.
func (w *world) divide(architectures []string) error {
	if len(architectures) == 0 {
		architectures = w.architectures()
	}
	for _, a := range architectures {
		if a = baseArch(a); !slices.Contains(w.cells, a) {
			w.cells = append(w.cells, a)
		}
	}
	slices.Sort(w.cells)
	if len(w.cells) > maxCells {
		return fmt.Errorf("the packages have %d architectures; %d are possible", len(w.cells), maxCells)
	}
	for i := range w.packages {
		p := &w.packages[i]
		switch cell := slices.Index(w.cells, baseArch(p.arch)); {
		case p.arch == noarch:
			p.cells = ^uint64(0)
		case cell >= 0:
			p.cells = 1 << cell
		}
	}
	return nil
}

// architectures are those of the packages under test, or else of the base.
func (w *world) architectures() []string {
	found := map[string]bool{}
	for _, t := range w.tested {
		found[baseArch(w.packages[t.index].arch)] = true
	}
	delete(found, noarch)
	if len(found) == 0 {
		for _, p := range w.packages {
			found[baseArch(p.arch)] = true
		}
		delete(found, noarch)
	}
	if len(found) == 0 {
		found[noarch] = true
	}
	var result []string
	for a := range found {
		result = append(result, a)
	}
	return result
}

// baseArch is the architecture of the machines that an architecture's packages
// are installed on beside others (rpm: rpmrc.in, arch_compat; dnf: basearch).
func baseArch(arch string) string {
	switch arch {
	case "i386", "i486", "i586", "i686", "athlon", "amd64", "ia32e", "x86_64_v2", "x86_64_v3", "x86_64_v4":
		return "x86_64"
	}
	return arch
}

// addFiles asks the repositories for those required files that no package is
// known to hold.
func (w *world) addFiles(ctx context.Context, from []Repository) error {
	wanted := map[string]bool{}
	for _, t := range w.tested {
		for _, req := range t.requires {
			if req.err != nil {
				continue
			}
			req.expression.Leaves(func(d rpm.Dependency) {
				if !strings.HasPrefix(d.Name, "/") {
					return
				}
				for cell := range w.cells {
					if w.packages[t.index].in(cell) && !w.provided(d, cell) {
						wanted[d.Name] = true
					}
				}
			})
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	for _, r := range from {
		name := r.String()
		err := r.Files(ctx, func(path string) bool { return wanted[path] }, func(id, path string) error {
			i, ok := w.ids[key(name, id)]
			if !ok {
				return nil // a source package's
			}
			if w.size++; w.size > maxSize {
				return errTooLarge
			}
			if holders := w.files[path]; !slices.Contains(holders, i) {
				w.files[path] = append(holders, i)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading the files of %s: %w", name, err)
		}
	}
	return nil
}

// provided says whether a package of the cell satisfies d.
func (w *world) provided(d rpm.Dependency, cell int) bool {
	for range w.providers(d, cell) {
		return true
	}
	return false
}

// providers iterates over the packages of the cell that satisfy d.
func (w *world) providers(d rpm.Dependency, cell int) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for _, p := range w.provides[d.Name] {
			if w.packages[p.by].in(cell) && d.SatisfiedBy(rpm.Dependency{Name: d.Name, Flags: p.flags, Version: p.version}) && !yield(p.by) {
				return
			}
		}
		for _, i := range w.files[d.Name] {
			if w.packages[i].in(cell) && !yield(i) {
				return
			}
		}
	}
}
