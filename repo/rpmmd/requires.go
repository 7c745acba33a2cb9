package rpmmd

import (
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// required are a package's requirements as metadata give them: without
// those on rpm itself, on what the package provides, on its own primary files
// and without repetitions, and of libc's symbol versions only the highest, last
// in the list. Requirements that may be missing are optional ones
// (createrepo_c: cr_package_from_header).
type required struct {
	strong, optional []rpm.Dependency

	provided map[rpm.Dependency]bool
	latest   map[string]rpm.Dependency // by name, the last that was taken
}

// manyDependencies is how many the maps may have had to be used again: clearing a
// map takes as long as it has ever been large.
const manyDependencies = 256

func (r *required) reset() {
	if r.provided == nil || len(r.provided) > manyDependencies || len(r.latest) > manyDependencies {
		*r = required{provided: map[rpm.Dependency]bool{}, latest: map[string]rpm.Dependency{}}
		return
	}
	clear(r.provided)
	clear(r.latest)
	r.strong, r.optional = r.strong[:0], r.optional[:0]
}

// take takes those of a package, in place of the last one's.
func (r *required) take(p *rpm.Package) {
	r.reset()
	for d := range p.Provides() {
		r.provided[key(d)] = true
	}
	var libc rpm.Dependency
	var own map[string]bool
	for d := range p.Requires() {
		if strings.HasPrefix(d.Name, "rpmlib(") || r.provided[key(d)] {
			continue
		}
		if strings.HasPrefix(d.Name, "/") && isPrimary([]byte(d.Name)) {
			if own == nil {
				own = primaryFiles(p)
			}
			if own[d.Name] {
				continue
			}
		}
		if o, ok := r.latest[d.Name]; ok && key(o) == key(d) && early(o.Flags) == early(d.Flags) {
			continue
		}
		switch {
		case d.Flags&rpm.MissingOK != 0:
			r.optional = append(r.optional, d)
		case strings.HasPrefix(d.Name, "libc.so.6"):
			if libc.Name == "" || olderSymbol(libc.Name, d.Name) {
				libc = d
			}
		default:
			r.latest[d.Name] = d
			r.strong = append(r.strong, d)
		}
	}
	if libc.Name != "" {
		r.strong = append(r.strong, libc)
	}
}

// key is what makes two dependencies one: name, comparison and version.
func key(d rpm.Dependency) rpm.Dependency {
	if d.Flags &= 0xf; comparison(d.Flags) == "" {
		d.Flags = 0
	}
	return d
}

func primaryFiles(p *rpm.Package) map[string]bool {
	files := map[string]bool{}
	for f := range p.FileNames() {
		if path := f.Path(); isPrimary([]byte(path)) {
			files[path] = true
		}
	}
	return files
}

// olderSymbol compares libc.so.6(GLIBC_2.4)(64bit) and its like by the numbers
// in the first parentheses; one without is older (createrepo_c:
// cr_compare_dependency).
func olderSymbol(a, b string) bool {
	va, oka := symbolVersion(a)
	vb, okb := symbolVersion(b)
	if !oka || !okb {
		return okb
	}
	return rpm.CompareVersions(va, vb) < 0
}

func symbolVersion(name string) (string, bool) {
	_, rest, ok := strings.Cut(name, "(")
	if !ok {
		return "", false
	}
	inner, _, ok := strings.Cut(rest, ")")
	digit := strings.IndexAny(inner, "0123456789")
	if !ok || digit < 0 {
		return "", false
	}
	return inner[digit:], true
}
