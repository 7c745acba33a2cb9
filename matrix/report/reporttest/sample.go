// Package reporttest makes reports for tests: a small one that can be read, and
// one of any size as a large catalogue gives it.
package reporttest

import (
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// Sample is a small run with one of everything, and foreign words where they can
// come from.
func Sample() *report.Run {
	begun := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	r := &report.Run{
		Program: "v1", Release: "3", Started: begun, Slots: 2,
		Cells: []report.Cell{{Target: "Debian_12", Arch: "x86_64", Image: "sha256:1"}, {Target: "Debian_12", Arch: "aarch64"}},
		Jobs: []report.Job{
			{
				ID: "scotch@gnu12/Debian_12/x86_64", Recipe: "scotch", Variant: "gnu12", Target: "Debian_12", Arch: "x86_64", Group: "serial-libs",
				Result: report.Built, Reason: "new", Needs: []string{"hwloc/Debian_12/x86_64"}, Begin: 12.5, Seconds: 36.2, Expected: 30, Slot: 1, Attempts: 1,
				PeakMemory: 300 << 20, CPUSeconds: 60.5,
				Packages: []report.Package{{File: "scotch-gnu12-ohpc-7.0.3-1.300.ohpc.x86_64.rpm", Digest: "sha256:2"}},
			},
			{
				ID: "scotch@gnu12/Debian_12/aarch64", Recipe: "scotch", Variant: "gnu12", Target: "Debian_12", Arch: "aarch64", Group: "serial-libs",
				Result: report.Fail, Reason: "rpmbuild failed:\n\x1b[31mgcc: <oops>\x00\xff", Begin: 1, Seconds: 62, Slot: 2, Log: "logs/scotch.log",
			},
			{
				ID: "hwloc/Debian_12/x86_64", Recipe: "hwloc", Target: "Debian_12", Arch: "x86_64", Group: "dev-tools", Result: report.Built, Reason: "the spec changed",
				Begin: 0.5, Seconds: 12, Slot: 1, Packages: []report.Package{{File: "hwloc-ohpc-2.9.0-1.300.ohpc.x86_64.rpm", Digest: "sha256:3"}},
			},
			{ID: "lmod/Debian_12/x86_64", Recipe: "lmod", Target: "Debian_12", Arch: "x86_64", Group: "admin", Result: report.Reused},
			{ID: "hwloc/Debian_12/aarch64", Recipe: "hwloc", Target: "Debian_12", Arch: "aarch64", Group: "dev-tools", Result: report.Skip, Reason: "excluded by the recipe"},
		},
		Checks: []report.Check{
			{Name: "install-dnf", Subject: "ohpc-base", Target: "Debian_12", Arch: "x86_64", Result: report.Pass, Begin: 50, Seconds: 4.25},
			{Name: "test", Subject: "hwloc", Target: "Debian_12", Arch: "x86_64", Result: report.Pass, Reused: true},
			{Name: "test", Subject: "scotch@gnu12 order.sh", Target: "Debian_12", Arch: "x86_64", Result: report.Skip, Reason: "needs a scheduler"},
		},
		Snapshots: []report.Snapshot{{Target: "Debian_12", ID: "abc", Path: "repos/OpenHPC/3/Debian_12", Packages: 12, Published: true}},
	}
	r.Close(begun.Add(90 * time.Second))
	return r
}

// Log is the log of the sample's failure.
const Log = "gcc -c order.c\norder.c:3:1: error: unknown type <SCOTCH_Num>\nmake: *** [Makefile:1: order.o] Error 1\n"
