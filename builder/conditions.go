package builder

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
)

// Conditions are what differs from machine to machine and from day to day, and
// must not change what a build makes. Every field left empty is as [Builder.Build]
// has it.
type Conditions struct {
	HostName string
	User     string // name, in the environment only
	UID      uint32 // also the group's
	Home     string // path in the container
	Zone     string // time zone, as TZ has it
	Jobs     int    // how many processes rpmbuild is told to run at a time
	Env      []string

	// Dir is a folder in which the build's files are, such as one whose file system
	// lists folders in another order.
	Dir string
}

// BuildUnder runs a job under other conditions. Its root is not kept.
func (b *Builder) BuildUnder(ctx context.Context, job Job, c Conditions, log io.Writer) (*Result, error) {
	other := *b
	other.keep = KeepNone
	return other.build(ctx, job, c, log)
}

// complete fills in what is not given.
func (c Conditions) complete(job Job) Conditions {
	c.HostName = cmp.Or(c.HostName, "build")
	c.User = cmp.Or(c.User, "builder")
	c.UID = cmp.Or(c.UID, buildUser)
	c.Home = cmp.Or(c.Home, topdir)
	c.Zone = cmp.Or(c.Zone, "UTC")
	c.Jobs = cmp.Or(c.Jobs, max(job.Limits.Cores, 1))
	return c
}

// environment is that of rpmbuild.
func (c Conditions) environment() []string {
	return append([]string{
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
		"HOME=" + c.Home,
		"USER=" + c.User,
		"LOGNAME=" + c.User,
		"SHELL=/bin/sh",
		"LC_ALL=C.UTF-8",
		"TZ=" + c.Zone,
		"TMPDIR=" + topdir + "/tmp",
		"RPM_BUILD_NCPUS=" + strconv.Itoa(c.Jobs),
		// Also what nproc says (coreutils), and so how many processes scripts begin that
		// ask it; the processors of the whole host are not the build's.
		"OMP_NUM_THREADS=" + strconv.Itoa(c.Jobs),
		"CMAKE_BUILD_PARALLEL_LEVEL=" + strconv.Itoa(c.Jobs),
	}, c.Env...)
}

// top makes the folder that is the build's own, below dir unless the conditions
// have a place for it. remove takes away what is not below dir.
func (c Conditions) top(dir string) (top string, remove func(), err error) {
	if c.Dir == "" {
		return dir, func() {}, nil
	}
	if dir, err = os.MkdirTemp(c.Dir, "build-"); err != nil {
		return "", nil, fmt.Errorf("a folder for the build: %w", err)
	}
	return dir, func() { os.RemoveAll(dir) }, nil
}
