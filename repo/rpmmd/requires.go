package rpmmd

import (
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// requirements are a package's requirements as metadata give them: without
// those on rpm itself, on what the package provides, on its own primary files
// and without repetitions, and of libc's symbol versions only the highest, last
// in the list. Requirements that may be missing are optional ones
// (createrepo_c: cr_package_from_header).
func requirements(p *rpm.Package) (strong, optional []rpm.Dependency) {
	provided := map[rpm.Dependency]bool{}
	for d := range p.Provides() {
		provided[key(d)] = true
	}
	var libc *rpm.Dependency
	latest := map[string]rpm.Dependency{} // by name, the last that was taken
	var own map[string]bool
	for d := range p.Requires() {
		if strings.HasPrefix(d.Name, "rpmlib(") || provided[key(d)] {
			continue
		}
		if strings.HasPrefix(d.Name, "/") && isPrimary(d.Name) {
			if own == nil {
				own = primaryFiles(p)
			}
			if own[d.Name] {
				continue
			}
		}
		same := func(o rpm.Dependency) bool { return key(o) == key(d) && early(o.Flags) == early(d.Flags) }
		if o, ok := latest[d.Name]; ok && same(o) {
			continue
		}
		switch {
		case d.Flags&rpm.MissingOK != 0:
			optional = append(optional, d)
		case strings.HasPrefix(d.Name, "libc.so.6"):
			if libc == nil || olderSymbol(libc.Name, d.Name) {
				libc = &d
			}
		default:
			latest[d.Name] = d
			strong = append(strong, d)
		}
	}
	if libc != nil {
		strong = append(strong, *libc)
	}
	return strong, optional
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
	for f := range p.Files() {
		if path := f.Path(); isPrimary(path) {
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
