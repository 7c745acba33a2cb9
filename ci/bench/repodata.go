package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
	"github.com/ohpc-build/ohpc-build/ci/bench/synthetic"
)

const (
	// inRepository is how many packages a repository has for the measurement,
	// inLarge how many a large one has.
	inRepository = 10_000
	inLarge      = 100_000

	// What the design asks for: times shorter than createrepo_c's by these
	// factors, and no more memory.
	fullFactor   = 3
	updateFactor = 10
	fullMemory   = 64 << 20
	largeMemory  = 256 << 20
)

// metadata is a folder of packages and the measurements of its metadata.
type metadata struct {
	*bench
	packages string
	n        int // packages
	what     string
}

// taken is what making metadata took: medians, but for memory the most.
type taken struct {
	seconds, cpu float64
	memory       int64
	out          string // the last run's folder
}

// repodata makes a repository's metadata anew, and then again after a change.
func repodata(ctx context.Context, b *bench) ([]figure.Figure, error) {
	m := &metadata{bench: b, packages: filepath.Join(b.work, "packages"), n: inRepository}
	m.what = fmt.Sprintf("%d packages of %d files", m.n, synthetic.FilesPerPackage)
	if err := synthetic.Packages(m.packages, m.n, 32<<10); err != nil {
		return nil, fmt.Errorf("making packages: %w", err)
	}
	figures, err := m.full(ctx)
	if err != nil {
		return figures, err
	}
	f, err := m.update(ctx)
	return append(figures, f...), err
}

// repodataLarge makes the metadata of a large repository, once.
func repodataLarge(ctx context.Context, b *bench) ([]figure.Figure, error) {
	m := &metadata{bench: b, packages: filepath.Join(b.work, "packages"), n: inLarge}
	m.what = fmt.Sprintf("%d packages of %d files", m.n, synthetic.FilesPerPackage)
	b.say("writing %d packages", m.n)
	if err := synthetic.Packages(m.packages, m.n, 4<<10); err != nil {
		return nil, fmt.Errorf("making packages: %w", err)
	}
	defer os.RemoveAll(m.packages)
	full, err := m.ours(ctx, 1, nil)
	if err != nil {
		return nil, err
	}
	again, err := m.ours(ctx, 1, nothingChanged)
	if err != nil {
		return nil, err
	}
	var figures []figure.Figure
	for _, run := range []struct {
		name, what string
		taken      taken
	}{{"large-repodata", "metadata of " + m.what, full}, {"large-repodata-update", "the same with --update, nothing changed", again}} {
		memory := figure.Figure{Name: run.name + "-memory", Unit: figure.Bytes, Ours: float64(run.taken.memory), Runs: 1, What: "memory for that"}
		memory.AtMost(largeMemory)
		figures = append(figures, figure.Figure{Name: run.name, Unit: figure.Seconds, Ours: run.taken.seconds, Runs: 1, CPU: run.taken.cpu, What: run.what}, memory)
	}
	return figures, nil
}

// full makes all metadata, with createrepo_c at its best number of workers, and
// with what both do when they are told nothing.
func (m *metadata) full(ctx context.Context) ([]figure.Figure, error) {
	n := m.times(3)
	ours, err := m.ours(ctx, n, nil)
	if err != nil {
		return nil, err
	}
	times := figure.Figure{Name: "repodata", Unit: figure.Seconds, Ours: ours.seconds, Runs: n, CPU: ours.cpu, What: "metadata of " + m.what}
	memory := figure.Figure{Name: "repodata-memory", Unit: figure.Bytes, Ours: float64(ours.memory), Runs: n, What: "memory for that, at most"}
	memory.AtMost(fullMemory)
	size := figure.Figure{Name: "repodata-size", Unit: figure.Bytes, Runs: 1, What: "size of the metadata, gzip"}
	if size.Ours, err = sizeOf(filepath.Join(ours.out, "repodata")); err != nil {
		return nil, err
	}
	plain := times
	plain.Name, plain.What = "repodata-default", "the same, both with no options"
	figures := []figure.Figure{times, memory, size, plain}
	if !installed("createrepo_c") {
		figures[0].Lines = []string{"createrepo_c is not installed, nothing to compare with"}
		return figures, nil
	}
	var best taken
	program := ""
	for _, workers := range []string{"1", "2", "5"} {
		theirs, err := m.theirs(ctx, n, nil, "--no-database", "--workers", workers)
		if err != nil {
			return figures, err
		}
		if best.seconds == 0 || theirs.seconds < best.seconds {
			best, program = theirs, "createrepo_c --no-database --workers "+workers
		}
		figures[0].Lines = append(figures[0].Lines, fmt.Sprintf("createrepo_c --no-database --workers %s: %.2f s, %.2f s of processor time, %.1f MiB",
			workers, theirs.seconds, theirs.cpu, float64(theirs.memory)/(1<<20)))
	}
	figures[0].Against(program, best.seconds, n)
	figures[0].AtMost(best.seconds / fullFactor)
	figures[1].Against(program, float64(best.memory), n)
	theirSize, err := sizeOf(filepath.Join(best.out, "repodata"))
	if err != nil {
		return figures, err
	}
	figures[2].Against(program, theirSize, 1)
	theirs, err := m.theirs(ctx, 1, nil)
	if err != nil {
		return figures, err
	}
	figures[3].Against("createrepo_c, with SQLite as its default is", theirs.seconds, 1)
	return figures, nil
}

// update replaces one package by another one before each run.
func (m *metadata) update(ctx context.Context) ([]figure.Figure, error) {
	n := m.times(5)
	var figures []figure.Figure
	for _, kind := range []struct {
		name, what string
		factor     float64 // 0: none is asked for
		recycle    bool
	}{
		{"repodata-update", "one package replaced, --update --skip-stat --recycle-pkglist", updateFactor, true},
		{"repodata-update-stat", "one package replaced, --update: all files looked at", 0, false},
		{"repodata-update-nothing", "nothing changed, --update", 0, false},
	} {
		change := m.replace(kind.recycle)
		if kind.name == "repodata-update-nothing" {
			change = nothingChanged
		}
		ours, err := m.ours(ctx, n, change)
		if err != nil {
			return figures, err
		}
		f := figure.Figure{Name: kind.name, Unit: figure.Seconds, Ours: ours.seconds, Runs: n, CPU: ours.cpu, What: kind.what}
		f.Lines = []string{fmt.Sprintf("memory at most %.1f MiB", float64(ours.memory)/(1<<20))}
		if installed("createrepo_c") {
			theirs, err := m.theirs(ctx, n, change, "--no-database")
			if err != nil {
				return figures, err
			}
			f.Against("createrepo_c", theirs.seconds, n)
			if kind.factor > 0 {
				f.AtMost(theirs.seconds / kind.factor)
			}
			f.Lines = append(f.Lines, fmt.Sprintf("createrepo_c: memory at most %.1f MiB", float64(theirs.memory)/(1<<20)))
		}
		figures = append(figures, f)
	}
	return figures, nil
}

func nothingChanged(string) ([]string, error) { return []string{"--update"}, nil }

// replace makes a function that replaces one of the packages by another one, and
// returns the options with which both programs come to know of it.
func (m *metadata) replace(recycle bool) func(out string) ([]string, error) {
	return func(out string) ([]string, error) {
		one, two := synthetic.FileName(m.n/2), synthetic.FileName(m.n+1)
		serial := m.n + 1
		if _, err := os.Stat(filepath.Join(m.packages, one)); err != nil {
			one, two, serial = two, one, m.n/2
		}
		if err := os.Remove(filepath.Join(m.packages, one)); err != nil {
			return nil, err
		}
		if err := synthetic.Package(m.packages, serial, 32<<10); err != nil {
			return nil, err
		}
		if !recycle {
			return []string{"--update"}, nil
		}
		list := out + ".list"
		args := []string{"--update", "--skip-stat", "--recycle-pkglist", "--pkglist", list, "--excludes", one}
		return args, os.WriteFile(list, []byte(two+"\n"), 0o644)
	}
}

// ours measures this program. Each run is a whole one in an empty folder or, with
// change, one in the folder of a whole run, with the options that change returns.
func (m *metadata) ours(ctx context.Context, n int, change func(out string) ([]string, error)) (taken, error) {
	state, err := m.folder("state-")
	if err != nil {
		return taken{}, err
	}
	return m.measure(ctx, n, change, command{name: m.program, args: []string{"repo", "create", "--quiet", "--state", state}})
}

func (m *metadata) theirs(ctx context.Context, n int, change func(out string) ([]string, error), args ...string) (taken, error) {
	return m.measure(ctx, n, change, command{name: "createrepo_c", args: append([]string{"--quiet"}, args...)})
}

func (m *metadata) measure(ctx context.Context, n int, change func(out string) ([]string, error), base command) (taken, error) {
	var (
		t           taken
		times, cpus []time.Duration
	)
	run := func(args ...string) (result, error) {
		c := base
		c.args = slices.Concat(base.args, args, []string{"--outputdir", t.out, m.packages})
		return c.call(ctx)
	}
	for i := range n {
		var (
			args []string
			err  error
		)
		if i == 0 || change == nil {
			if t.out, err = m.folder("metadata-"); err != nil {
				return t, err
			}
		}
		if change != nil {
			if i == 0 {
				if _, err := run(); err != nil {
					return t, err
				}
			}
			if args, err = change(t.out); err != nil {
				return t, fmt.Errorf("changing the packages: %w", err)
			}
		}
		r, err := run(args...)
		if err != nil {
			return t, err
		}
		times, cpus, t.memory = append(times, r.took), append(cpus, r.cpu), max(t.memory, r.rss)
	}
	t.seconds, t.cpu = figure.Middle(times), figure.Middle(cpus)
	return t, nil
}

// sizeOf is how many bytes a folder's files have.
func sizeOf(dir string) (float64, error) {
	files, err := os.ReadDir(dir)
	sum := int64(0)
	for _, f := range files {
		fi, err := f.Info()
		if err != nil {
			return 0, err
		}
		sum += fi.Size()
	}
	return float64(sum), err
}
