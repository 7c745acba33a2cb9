package suitetree

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Area is a part of the tree that a configure option enables, and the packages that
// call for it.
type Area struct {
	Option   string
	Packages []string
}

var enableLine = regexp.MustCompile(`(?m)^\s*AC_ARG_ENABLE\(\[?([A-Za-z0-9_-]{1,64})\]?\s*,`)

// modes are options that choose how tests run, not which.
var modes = []string{"all", "long", "psxe"}

// options are the areas that a configure.ac knows, in its order.
func options(configure string) []string {
	var names []string
	for _, m := range enableLine.FindAllStringSubmatch(configure, -1) {
		if !slices.Contains(modes, m[1]) && !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// Families are the members of compiler and MPI families that packages bring.
type Families struct{ Compilers, MPIs []string }

var (
	compilerPackage = regexp.MustCompile(`^([a-z0-9]+)-compilers(-devel)?-ohpc$`)
	mpiPackage      = regexp.MustCompile(`^((?:openmpi|mpich|mvapich|impi|mpi)[a-z0-9]*)(?:-(?:pmix|ofi|ucx|slurm|psm2?|pbs))*-([a-z0-9]+)-ohpc$`)
)

// FamiliesOf reads families off packages' names, as OpenHPC gives them.
func FamiliesOf(packages []string) Families {
	compilers, mpis := map[string]bool{}, map[string]bool{}
	for _, p := range packages {
		if m := compilerPackage.FindStringSubmatch(p); m != nil {
			compilers[m[1]] = true
		}
		if m := mpiPackage.FindStringSubmatch(p); m != nil {
			mpis[m[1]] = true
		}
	}
	return Families{slices.Sorted(maps.Keys(compilers)), slices.Sorted(maps.Keys(mpis))}
}

// Areas are those that packages call for: an area has the name of what a package
// packs, without its families. Some are of a kind of packages.
func Areas(configure string, packages []string) []Area {
	families := FamiliesOf(packages)
	var areas []Area
	for _, option := range options(configure) {
		a := Area{Option: option}
		for _, p := range packages {
			if slices.Contains(packs(p, families), fold(option)) {
				a.Packages = append(a.Packages, p)
			}
		}
		if len(a.Packages) > 0 {
			areas = append(areas, a)
		}
	}
	return areas
}

// packs are the areas that a package may be of.
func packs(name string, families Families) []string {
	switch {
	case name == "ohpc-autotools":
		return []string{"autotools"}
	case name == "lmod-ohpc":
		return []string{"lmod", "modules"}
	case compilerPackage.MatchString(name):
		return []string{"compilers"}
	case mpiPackage.MatchString(name):
		return []string{"mpi"}
	}
	base, ok := strings.CutSuffix(name, "-ohpc")
	if !ok {
		return nil
	}
	for _, mpi := range families.MPIs {
		base = strings.TrimSuffix(base, "-"+mpi)
	}
	for _, compiler := range families.Compilers {
		base = strings.TrimSuffix(base, "-"+compiler)
	}
	base = strings.TrimPrefix(strings.TrimPrefix(base, "python3-"), "python-")
	return []string{fold(base)}
}

func fold(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }
