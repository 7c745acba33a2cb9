package reporttest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// Hostile are words that a package, a recipe or a log may hold and a page must
// only show.
const (
	HostilePackage = `x"><img src=x onerror="window.pwned=1">-1-1.x86_64.rpm`
	HostileReason  = `</script><script>window.pwned=1</script><!--<script> ${window.pwned=1} ` + "\u202egnp.exe\u2066\u0007 \u001b[31mred"
)

// groups of a large catalogue, with how many recipes each has and what multiplies them.
var groups = []struct {
	name     string
	recipes  int
	variants []string
}{
	{"admin", 16, []string{""}},
	{"compiler-families", 2, []string{""}},
	{"dev-tools", 14, []string{""}},
	{"mpi-families", 3, []string{"gnu12", "llvm19"}},
	{"io-libs", 10, []string{"gnu12-openmpi4", "gnu12-mpich4", "llvm19-openmpi4", "llvm19-mpich4"}},
	{"parallel-libs", 16, []string{"gnu12-openmpi4", "gnu12-mpich4", "llvm19-openmpi4", "llvm19-mpich4"}},
	{"perf-tools", 6, []string{"gnu12-openmpi4", "gnu12-mpich4", "llvm19-openmpi4", "llvm19-mpich4"}},
	{"serial-libs", 8, []string{"gnu12", "llvm19"}},
	{"meta-packages", 18, []string{""}},
}

// names of recipes; where they end, numbers go on.
var names = map[string][]string{
	"admin":             {"conman", "ganglia", "genders", "lmod", "magpie", "mrsh", "nhc", "ohpc-release", "pdsh", "powerman", "prun", "slurm", "test-suite", "warewulf", "examples", "docs"},
	"compiler-families": {"gnu12-compilers", "llvm19-compilers"},
	"dev-tools":         {"autoconf", "automake", "cmake", "easybuild", "hwloc", "libtool", "numpy", "python-Cython", "mpi4py", "scipy", "spack", "valgrind", "papi", "likwid"},
	"mpi-families":      {"openmpi4", "mpich4", "mvapich2"},
	"io-libs":           {"adios2", "hdf5", "netcdf", "netcdf-cxx", "netcdf-fortran", "phdf5", "pnetcdf", "sionlib", "otf2", "adios"},
	"parallel-libs":     {"boost", "fftw", "hypre", "mfem", "mumps", "opencoarrays", "petsc", "ptscotch", "scalapack", "slepc", "superlu_dist", "trilinos", "amrex", "kokkos", "p4est", "parmetis"},
	"perf-tools":        {"dimemas", "extrae", "geopm", "imb", "omb", "scalasca"},
	"serial-libs":       {"gsl", "metis", "openblas", "plasma", "R", "scotch", "superlu", "cubelib"},
	"meta-packages": {
		"ohpc-base", "ohpc-base-compute", "ohpc-autotools", "ohpc-slurm-client", "ohpc-slurm-server", "ohpc-warewulf", "ohpc-gnu12-runtimes", "ohpc-gnu12-serial-libs",
		"ohpc-gnu12-io-libs", "ohpc-gnu12-parallel-libs", "ohpc-gnu12-perf-tools", "ohpc-gnu12-python-libs", "ohpc-llvm19-runtimes", "ohpc-llvm19-serial-libs",
		"ohpc-llvm19-io-libs", "ohpc-llvm19-parallel-libs", "ohpc-llvm19-perf-tools", "ohpc-gnu12-geopm",
	},
}

// Cells of [Large].
var cells = []report.Cell{
	{Target: "EL_9", Arch: "x86_64"},
	{Target: "EL_9", Arch: "aarch64"},
	{Target: "Leap_15", Arch: "x86_64"},
	{Target: "Leap_15", Arch: "aarch64"},
	{Target: "openEuler_22.03", Arch: "x86_64"},
	{Target: "openEuler_22.03", Arch: "aarch64"},
}

// variation is a number that looks random and is the same each time.
func variation(s string, n int) int {
	h := uint32(2166136261)
	for _, c := range []byte(s) {
		h = (h ^ uint32(c)) * 16777619
	}
	h ^= h >> 15
	return int(h*2654435761>>8) % n
}

// Large is a run of at least so many jobs in six cells, with failures, what could
// not be built for them, skips, checks and a history of 20 runs. Its fourth job has
// the hostile words.
func Large(jobs int) *report.Run {
	begun := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	r := &report.Run{
		Program: "v1.0", Release: "3", Started: begun, Slots: 16, Cells: slices.Clone(cells),
		History: map[string][]report.Sample{}, CheckHistory: map[string][]report.Sample{},
		Snapshots: []report.Snapshot{{Target: "EL_9", ID: "20261122-5f2e", Path: "repos/OpenHPC/3/EL_9", Packages: 1184}},
	}
	b := &large{run: r, end: map[string]float64{}, failed: map[string]bool{}, slots: make([]float64, r.Slots)}
	for round := 0; len(r.Jobs) < jobs; round++ {
		for _, g := range groups {
			for i := range g.recipes {
				recipe := names[g.name][i]
				if round > 0 {
					recipe = fmt.Sprintf("%s%d", recipe, round+1)
				}
				for _, variant := range g.variants {
					for _, c := range cells {
						b.job(g.name, recipe, variant, c)
					}
				}
			}
		}
	}
	b.checks()
	r.Previous = &report.Previous{
		Started: begun.AddDate(0, 0, -1), Result: report.Fail, Seconds: 15120,
		Packages: []report.PackageChange{
			{Target: "EL_9", Arch: "x86_64", Name: "hwloc-ohpc", From: "2.9.0-1.300.ohpc", To: "2.11.1-1.300.ohpc"},
			{Target: "EL_9", Arch: "aarch64", Name: "hwloc-ohpc", From: "2.9.0-1.300.ohpc", To: "2.11.1-1.300.ohpc"},
			{Target: "Leap_15", Arch: "x86_64", Name: "scotch-gnu12-ohpc", From: "7.0.3-1.300.ohpc", To: "6.1.3-1.300.ohpc", Down: true},
		},
		Added: []string{r.Jobs[0].ID}, Gone: []string{"pmix/EL_9/x86_64", "pmix/EL_9/aarch64"},
	}
	for _, j := range r.Jobs {
		switch {
		case j.Result == report.Fail && len(r.Previous.Failing) < 3:
			r.Previous.Failing = append(r.Previous.Failing, j.ID)
		case j.Result == report.Built && len(r.Previous.Mended) < 2 && j.Group == "io-libs":
			r.Previous.Mended = append(r.Previous.Mended, j.ID)
		}
	}
	end := 0.0
	for _, e := range b.end {
		end = max(end, e)
	}
	r.Close(begun.Add(time.Duration((end + 400) * float64(time.Second))))
	r.Jobs[3].Packages = append(r.Jobs[3].Packages, report.Package{File: HostilePackage, Digest: "sha256:0"})
	r.Jobs[3].Reason = HostileReason
	return r
}

// large builds a large run, each job in the slot that is free first.
type large struct {
	run    *report.Run
	end    map[string]float64 // of jobs
	failed map[string]bool    // or not built for a failure
	slots  []float64          // when each is free
}

func (b *large) job(group, recipe, variant string, c report.Cell) {
	cell := "/" + c.Target + "/" + c.Arch
	id := recipe + cell
	if variant != "" {
		id = recipe + "@" + variant + cell
	}
	j := report.Job{ID: id, Recipe: recipe, Variant: variant, Target: c.Target, Arch: c.Arch, Group: group, Key: fmt.Sprintf("sha256:%064x", variation(id, 1<<30))}
	j.Needs = b.needs(group, variant, cell)
	ready := 0.0
	for _, need := range j.Needs {
		ready = max(ready, b.end[need])
		if b.failed[need] {
			j.Result, j.Reason = report.Skip, "needs "+need+", which was not built"
		}
	}
	chance := variation(id, 1000)
	switch {
	case j.Result == report.Skip:
		b.failed[id] = true
	case group == "admin" && c.Arch == "aarch64" && chance < 300:
		j.Result, j.Reason = report.Shared, "made on x86_64"
	case recipe == "mvapich2" && c.Arch == "aarch64":
		j.Result, j.Reason = report.Skip, "excluded by the recipe: there is no aarch64 support"
		b.failed[id] = true
	case chance < 350 && !strings.HasSuffix(group, "-families"):
		j.Result, j.Packages = report.Reused, packages(recipe, variant, c.Arch)
	case chance < 362 && !strings.HasSuffix(group, "-families") || recipe == "trilinos" && c.Arch == "aarch64" && variant == "llvm19-mpich4":
		j.Result, j.Reason = report.Fail, "rpmbuild failed: exit status 1 (%build)"
		b.failed[id] = true
		b.ran(&j, ready)
	default:
		j.Result, j.Reason, j.Packages = report.Built, "the spec changed", packages(recipe, variant, c.Arch)
		if chance%11 == 0 {
			j.Hints = []string{"BuildRequires: cmake was never opened (components/" + group + "/" + recipe + "/SPECS/" + recipe + ".spec:23)"}
		}
		b.ran(&j, ready)
	}
	b.end[id] = max(b.end[id], ready)
	b.history(j)
	b.run.Jobs = append(b.run.Jobs, j)
}

func (b *large) needs(group, variant, cell string) []string {
	first, second, _ := strings.Cut(variant, "-")
	var needs []string
	if first != "" {
		needs = append(needs, first+"-compilers"+cell, "lmod"+cell)
	}
	if second != "" {
		needs = append(needs, second+"@"+first+cell)
	}
	switch group {
	case "io-libs", "parallel-libs":
		needs = append(needs, "openblas@"+first+cell)
	case "perf-tools":
		needs = append(needs, "papi"+cell, "boost@"+variant+cell)
	case "meta-packages":
		needs = append(needs, "lmod"+cell, "boost@gnu12-openmpi4"+cell, "scotch@gnu12"+cell)
	case "mpi-families":
		needs = append(needs, "hwloc"+cell)
	}
	return slices.DeleteFunc(needs, func(id string) bool { _, known := b.end[id]; return !known })
}

func (b *large) ran(j *report.Job, ready float64) {
	slot := 0
	for i, free := range b.slots {
		if free < b.slots[slot] {
			slot = i
		}
	}
	j.Begin = max(ready, b.slots[slot])
	j.Seconds = float64(20+variation(j.ID+"t", 400)) + 0.25
	if j.Recipe == "trilinos" || j.Group == "compiler-families" {
		j.Seconds *= 6
	}
	j.Expected, j.Slot, j.Attempts = j.Seconds*0.9, slot+1, 1
	j.PeakMemory, j.CPUSeconds = int64(200+variation(j.ID+"m", 4000))<<20, j.Seconds*1.7
	j.Log = "logs/" + strings.ReplaceAll(j.ID, "/", "_") + ".log"
	b.slots[slot] = j.Begin + j.Seconds
	b.end[j.ID] = b.slots[slot]
}

func (b *large) history(j report.Job) {
	for k := range 20 {
		s := report.Sample{Time: b.run.Started.AddDate(0, 0, k-19), Key: j.Key, Result: report.Built, Seconds: max(j.Seconds, 40) * (0.8 + float64(variation(j.ID+fmt.Sprint(k), 40))/100)}
		switch n := variation(fmt.Sprint(k)+j.ID, 100); {
		case k == 19:
			s.Result, s.Seconds = j.Result, j.Seconds
		case n < 2 && variation(j.ID, 7) == 0:
			s.Result = report.Fail
		case n < 40:
			s.Result, s.Seconds = report.Reused, 0
		}
		b.run.History[j.ID] = append(b.run.History[j.ID], s)
	}
}

// checks tries each component that was made, and the cells' meta-packages.
func (b *large) checks() {
	for i, j := range b.run.Jobs {
		if j.Result == report.Fail || j.Result == report.Skip {
			continue
		}
		for _, name := range []string{"install-dnf", "install-zypper", "suite"} {
			c := report.Check{Name: name, Subject: strings.TrimSuffix(j.Recipe+"@"+j.Variant, "@"), Target: j.Target, Arch: j.Arch, Result: report.Pass, Begin: b.end[j.ID] + float64(i%60), Seconds: 3}
			if name == "suite" {
				c.Cases = cases(j.ID)
			}
			switch n := variation(j.ID+name, 400); {
			case name == "suite" && slices.ContainsFunc(c.Cases, func(k report.Case) bool { return k.Result == report.Fail }):
				c.Result, c.Reason, c.Log = report.Fail, "1 of 5 tests failed", "logs/check.log"
			case n == 0:
				c.Result, c.Reason, c.Log = report.Fail, "nothing provides libfoo.so.1()(64bit)", "logs/check.log"
			case n < 20 && name == "suite":
				c.Result, c.Reason = report.Skip, "needs a scheduler"
			case n < 100:
				c.Reused = true
			}
			b.run.Checks = append(b.run.Checks, c)
		}
	}
}

// cases are the tests of a suite, of which few fail and some do not count.
func cases(of string) []report.Case {
	all := []report.Case{
		{Name: "the module loads", Result: report.Pass, Seconds: 0.4},
		{Name: "it compiles and runs", Result: report.Pass, Seconds: 2.1},
		{Name: "on two nodes", Result: report.Skip, Reason: "needs a scheduler"},
		{Name: "on a GPU", Result: report.Skip, Ran: report.Fail, Reason: "in quarantine until 2026-12-24: the driver loses its device; it failed\n(in test file gpu.bats, line 12)", Seconds: 0.2},
		{Name: "unloading leaves nothing behind", Result: report.Pass, Seconds: 0.3},
	}
	if variation(of+"c", 300) == 0 {
		all[1].Result, all[1].Reason = report.Fail, "(in test file run.bats, line 7)\n`[ \"$status\" -eq 0 ]' failed\n"+HostileReason
	}
	return all
}

func packages(recipe, variant, arch string) []report.Package {
	name := recipe
	if variant != "" {
		name += "-" + variant
	}
	var all []report.Package
	for _, suffix := range []string{"", "-devel", "-doc"} {
		all = append(all, report.Package{File: name + suffix + "-ohpc-2.1.0-1.300.ohpc." + arch + ".rpm", Digest: fmt.Sprintf("sha256:%064x", variation(name+suffix+arch, 1<<30))})
	}
	return all
}

// WriteLogs writes the logs of what failed into a report's folder.
func WriteLogs(r *report.Run, dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil {
		return err
	}
	var log strings.Builder
	for i := range 600 {
		fmt.Fprintf(&log, "[%4d/1200] Building CXX object packages/tpetra/core/src/CMakeFiles/tpetra.dir/Tpetra_Map_%d.cpp.o\n", i, i)
	}
	log.WriteString("\x1b[01;31m/build/Tpetra_CrsMatrix.cpp:2112:7: error:\x1b[0m no member named 'gather' in namespace 'MPI' " + HostileReason + "\n" +
		"  2112 |       MPI::gather(<buf>);\n       |       ^\n1 error generated.\n" +
		"make[2]: *** [CMakeFiles/tpetra.dir/build.make:76: Tpetra_CrsMatrix.cpp.o] Error 1\nmake[1]: *** [Makefile2:1012: all] Error 2\nmake: *** [Makefile:146: all] Error 2\n" +
		"error: Bad exit status from /var/tmp/rpm-tmp.Xa12 (%build)\n\nRPM build errors:\n    Bad exit status from /var/tmp/rpm-tmp.Xa12 (%build)\n")
	for _, j := range r.Jobs {
		if j.Result != report.Fail || j.Log == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, j.Log), []byte(log.String()), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "logs/check.log"), []byte("Error: \n Problem: conflicting requests\n  - nothing provides libfoo.so.1()(64bit) needed by x-1-1.x86_64\n"), 0o644)
}
