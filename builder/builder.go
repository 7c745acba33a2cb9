package builder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/kept"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

const (
	// topdir is _topdir inside the container. It is the same for every job, as
	// paths of the build end up in what compilers write.
	topdir = "/build"

	// buildUser owns the build; the image's user of the same number has no rights.
	buildUser = 1000

	// maxLog bounds a build's log in bytes. What comes after is counted, not kept.
	maxLog = 256 << 20

	// defaultDisk bounds a build's files in bytes when its recipe does not.
	defaultDisk = 20 << 30
)

// Sandbox runs a command in a container.
type Sandbox interface {
	Run(ctx context.Context, spec sandbox.Spec) error
}

// Roots assembles build roots.
type Roots interface {
	Layers(ctx context.Context, image buildroot.Image, packages []buildroot.Package, native ...sandbox.Mount) ([]string, error)
}

// Builder runs jobs.
type Builder struct {
	store   *store.Store
	sandbox Sandbox
	roots   Roots
	kept    *kept.Folder
	keep    Keep
}

// New returns a builder that keeps results in st.
func New(st *store.Store, sb Sandbox, roots Roots, options ...Option) *Builder {
	b := &Builder{store: st, sandbox: sb, roots: roots}
	for _, option := range options {
		option(b)
	}
	return b
}

// Build runs a job. What rpmbuild prints goes to log as well, a reader of which
// may follow it. The error is a *BuildError or *TimeLimitError when the package
// is at fault, and something else when the machine is.
func (b *Builder) Build(ctx context.Context, job Job, log io.Writer) (*Result, error) {
	return b.build(ctx, job, Conditions{}, log)
}

func (b *Builder) build(ctx context.Context, job Job, c Conditions, log io.Writer) (*Result, error) {
	if err := job.check(); err != nil {
		return nil, err
	}
	c = c.complete(job)
	begin := time.Now()
	var native Native
	if job.Native != nil {
		native = *job.Native
	}
	layers, err := b.roots.Layers(ctx, job.Image, job.Dependencies, native.Install...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", job.ID, err)
	}
	dir, err := b.store.Temp("build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	place, remove, err := c.top(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", job.ID, err)
	}
	defer remove()
	top := filepath.Join(place, "top")
	if err := b.layOut(job, top, c.UID); err != nil {
		return nil, fmt.Errorf("%s: laying out the build: %w", job.ID, err)
	}
	logFile, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", job.ID, err)
	}
	defer logFile.Close()
	running, end := context.WithCancelCause(ctx)
	defer end(nil)
	out := newLog(io.MultiWriter(logFile, log), maxLog, end)
	var used sandbox.Usage
	upper, err := b.upper(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", job.ID, err)
	}
	spec := sandbox.Spec{
		Name:     strings.ReplaceAll(job.ID, "/", "-"),
		Layers:   layers,
		Upper:    upper,
		Args:     rpmbuildArgs(job, c.Jobs),
		Env:      append(c.environment(), native.Env...),
		Cwd:      topdir,
		UID:      c.UID,
		GID:      c.UID,
		Mounts:   append([]sandbox.Mount{{Source: top, Destination: topdir}}, native.Mounts...),
		HostName: c.HostName,
		Timeout:  job.Limits.Time,
		Limits:   sandbox.Limits{Memory: job.Limits.Memory, Pids: job.Limits.Pids, CPUs: float64(job.Limits.Cores), Disk: cmp.Or(job.Limits.Disk, defaultDisk)},
		Used:     &used,
		Stdout:   out,
		Stderr:   out,
		Opened:   watched(job),
	}
	if err := b.sandbox.Run(running, spec); err != nil {
		err = b.explain(ctx, job, err, out)
		if packageFault(err) {
			err = errors.Join(err, b.keepRoot(job, dir, spec, true))
		}
		return nil, err
	}
	if used.Killed > 0 {
		fmt.Fprintf(out, "\nThe build succeeded, but it may lack something: the kernel killed %d of its processes for memory (peak %s).\n", used.Killed, sandbox.Bytes(used.Memory))
	}
	result := &Result{PeakMemory: used.Memory, CPUSeconds: used.CPU.Round(time.Millisecond).Seconds()}
	if result.Packages, err = b.collect(ctx, top); err != nil {
		return nil, fmt.Errorf("%s: %w", job.ID, err)
	}
	if result.Hints, err = b.hints(ctx, job, layers, spec.Opened); err != nil {
		// A hint is worth no failure; without the right to watch there is none.
		fmt.Fprintf(out, "no hints about build requirements that were not needed: %v\n", err)
	}
	for _, hint := range result.Hints {
		fmt.Fprintf(out, "hint: %s\n", hint)
	}
	if result.Log, _, err = b.store.PutFile(ctx, logFile.Name()); err != nil {
		return nil, fmt.Errorf("%s: keeping the log: %w", job.ID, err)
	}
	result.Seconds = time.Since(begin).Round(time.Millisecond).Seconds()
	return result, b.keepRoot(job, dir, spec, false)
}

// packageFault says whether a build failed because of what was built.
func packageFault(err error) bool {
	var (
		build *BuildError
		limit *TimeLimitError
	)
	return errors.As(err, &build) || errors.As(err, &limit)
}

// explain tells a package's fault from the machine's.
func (b *Builder) explain(ctx context.Context, job Job, err error, out *boundedLog) error {
	var (
		exit   *sandbox.ExitError
		memory *sandbox.MemoryError
		disk   *sandbox.DiskError
		flood  *FloodError
	)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", job.ID, context.Cause(ctx))
	case errors.Is(err, sandbox.ErrTimeout):
		return &TimeLimitError{Job: job.ID, Limit: job.Limits.Time}
	case errors.As(err, &disk) && disk.Full:
		return fmt.Errorf("%s: %w", job.ID, err)
	case errors.As(err, &exit) && exit.Killed():
		return &KilledError{Job: job.ID}
	case errors.As(err, &exit), errors.As(err, &memory), errors.As(err, &flood), disk != nil:
		return &BuildError{Job: job.ID, Tail: out.Tail(), Err: err}
	}
	return fmt.Errorf("%s: %w", job.ID, err)
}

// layOut makes top what rpmbuild calls _topdir, owned by the build's user.
func (b *Builder) layOut(job Job, top string, uid uint32) error {
	for _, sub := range []string{"", "SPECS", "SOURCES", "BUILD", "BUILDROOT", "RPMS", "SRPMS", "tmp"} {
		if err := os.Mkdir(filepath.Join(top, sub), 0o755); err != nil {
			return err
		}
	}
	if err := b.store.CopyTo(job.Spec.Digest, filepath.Join(top, "SPECS", job.Spec.Name)); err != nil {
		return fmt.Errorf("%s: %w", job.Spec.Name, err)
	}
	for _, f := range job.Sources {
		// Copies, not links: the build may write to what it owns.
		if err := b.store.CopyTo(f.Digest, filepath.Join(top, "SOURCES", f.Name)); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	// The user inside is this user outside, or the user namespace maps it.
	return filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(uid), int(uid))
	})
}

// rpmbuild writes the source package and then the others. When one run writes them
// all, rpm ties the others to the source package by its digest (rpm: SOURCEPKGID),
// and a comment in a spec would make other packages of the same programs.
const rpmbuild = `rpmbuild -bs "$@" && exec rpmbuild -bb "$@"`

// rpmbuildArgs is the command line. The first group of macros is what makes two
// builds of one job equal: rpm takes the time from the changelog, and neither
// the host's name nor the clock reach the package (decision 6).
func rpmbuildArgs(job Job, jobs int) []string {
	args := []string{"/bin/sh", "-c", rpmbuild, "rpmbuild"}
	for _, d := range append([]Define{
		{"_topdir", topdir},
		{"_tmppath", topdir + "/tmp"},
		{"_buildhost", "ohpc-build"},
		{"source_date_epoch_from_changelog", "1"},
		{"use_source_date_epoch_as_buildtime", "1"},
		{"clamp_mtime_to_source_date_epoch", "1"},
		{"_srcdefattr", "(-,root,root)"}, // otherwise who builds owns what is in the source package
		{"_smp_build_ncpus", strconv.Itoa(jobs)},
		// Left to the shell: the source package holds the spec with its macros expanded,
		// and is to be the same whatever machine it was written on.
		{"_smp_mflags", "-j${RPM_BUILD_NCPUS}"},
	}, job.Defines...) {
		args = append(args, "--define", d.Name+" "+d.Value)
	}
	return append(args, "SPECS/"+job.Spec.Name)
}
