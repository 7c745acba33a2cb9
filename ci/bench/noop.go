package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
)

// What a run may take that has nothing to do, by the number of its jobs. The one
// limit holds for a build and for a matrix.
const (
	noopSeconds      = 1.0
	noopLargeSeconds = 30.0
	noopLargeMemory  = 1 << 30 // bytes
)

// idle is a catalogue of so many meta-packages, each for so many compilers. They are
// made in a moment and then are jobs like others: each has its key, its result in the
// store, a lock, and needs another.
type idle struct{ recipes, members int }

// idleChecks are those that are made of them. Without installations: to have made those
// of a thousand meta-packages takes half an hour, and to find one made is reading a file.
var idleChecks = []string{"closure", "signatures", "content", "upgrade"}

func (i idle) jobs() int { return i.recipes*i.members + 2 }

// chains is how many meta-packages of a compiler could be made side by side.
const chains = 10

// write writes the catalogue. Its recipe "all" needs all others.
func (i idle) write(dir string) error {
	target, err := os.ReadFile(filepath.Join(catalogue, "targets", "Debian_12.yaml"))
	if err != nil {
		return fmt.Errorf("reading the catalogue (bench runs in the top folder of the checkout): %w", err)
	}
	before, _, found := strings.Cut(string(target), "\nchecks:\n")
	if !found {
		return errors.New("the target Debian_12 has no checks that others could take the place of")
	}
	target = []byte(before + "\nchecks: [" + strings.Join(idleChecks, ", ") + "]\n")
	families := "name: compiler\ndefine: compiler_family\nsummary: Compilers\nmembers:\n"
	for m := range i.members {
		families += fmt.Sprintf("  - name: c%03d\n    summary: A compiler\n    recipe: base\n", m)
	}
	files := map[string]string{
		"catalog.yaml":           "release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n",
		"targets/Debian_12.yaml": string(target),
		"families/compiler.yaml": families,
		"meta/base/recipe.yaml":  "name: base\nkind: meta-package\nsummary: The lowest\nrequires: [bash]\n",
	}
	all := "name: all\nkind: meta-package\nsummary: The uppermost\nrequires:\n"
	for r := range i.recipes {
		name, needs := fmt.Sprintf("m%04d-{compiler}", r), "base"
		if r >= chains {
			needs = fmt.Sprintf("\"m%04d-{compiler}\"", r-chains)
		}
		for m := 0; m < i.members && r >= i.recipes-chains; m++ {
			all += fmt.Sprintf("  - m%04d-c%03d\n", r, m)
		}
		files[fmt.Sprintf("meta/m%04d-compiler/recipe.yaml", r)] = fmt.Sprintf(
			"name: \"%s\"\nkind: meta-package\nsummary: One of many\nfamilies:\n  compiler: all\nrequires: [%s, bash]\n", name, needs)
	}
	files["meta/all/recipe.yaml"] = all
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// idleRun is a command with nothing to do.
type idleRun struct{ name, command, what, says string }

// idleBuild and idleMatrix are how far jobs can be taken.
func idleBuild(name string) idleRun {
	return idleRun{name, "build", "catalogue, plan, results verified, packages laid out, report", ""}
}

func idleMatrix(name string) idleRun {
	const reused = 3 // there is nothing to upgrade
	return idleRun{
		name, "matrix", "catalogue, plan, results verified, packages signed before, snapshot as before, checks passed before (" + strings.Join(idleChecks, ", ") + "), report",
		fmt.Sprintf("; %d checks passed (%d reused)", reused, reused),
	}
}

// noop builds as many jobs as a release has, when all of them are built, and takes
// them all the way, when all of them were.
func noop(ctx context.Context, b *bench) ([]figure.Figure, error) {
	figures, _, err := b.noop(ctx, idle{59, 20}, 5, idleBuild("noop"), idleMatrix("noop-matrix"))
	for i := range figures {
		figures[i].AtMost(noopSeconds)
	}
	return figures, err
}

// noopLarge has a hundred thousand jobs: more recipes than any distribution of HPC
// software has, each for as many families as could be. The first run of them is busy
// for minutes.
func noopLarge(ctx context.Context, b *bench) ([]figure.Figure, error) {
	return b.noopLarge(ctx, idle{2000, 50}, idleBuild("large-noop"))
}

// matrixLarge takes ten thousand jobs all the way. To have checked the content of ten
// times as many packages takes a quarter of an hour.
func matrixLarge(ctx context.Context, b *bench) ([]figure.Figure, error) {
	return b.noopLarge(ctx, idle{200, 50}, idleMatrix("large-matrix"))
}

func (b *bench) noopLarge(ctx context.Context, i idle, run idleRun) ([]figure.Figure, error) {
	figures, memory, err := b.noop(ctx, i, 1, run)
	if err != nil {
		return nil, err
	}
	figures[0].AtMost(noopLargeSeconds)
	m := figure.Figure{Name: run.name + "-memory", What: "the most memory of the same", Unit: figure.Bytes, Ours: float64(memory), Runs: figures[0].Runs}
	m.AtMost(noopLargeMemory)
	return append(figures, m), nil
}

// noop has jobs taken so far, each time from where they are already.
func (b *bench) noop(ctx context.Context, i idle, times int, runs ...idleRun) (figures []figure.Figure, memory int64, err error) {
	state, out, err := b.coldInMemory(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer os.RemoveAll(filepath.Dir(state))
	dir, err := b.folder("idle-")
	if err != nil {
		return nil, 0, err
	}
	if err := i.write(dir); err != nil {
		return nil, 0, err
	}
	// With such a key many thousand packages are signed in a minute.
	key := command{dir: b.work, name: b.program, args: []string{"key", "generate", "--algorithm", "ed25519", "--state", state}}
	if _, err := key.call(ctx); err != nil {
		return nil, 0, err
	}
	for _, run := range runs {
		c := command{dir: b.work, name: b.program, args: []string{
			run.command, "all", "--catalog", dir, "--arch", hostArch(), "--state", state, "--out", filepath.Join(out, run.command), "--progress", "none",
		}}
		b.say("%s of %d jobs, for there to be nothing to do", run.command, i.jobs())
		f, most, err := b.idle(ctx, c, fmt.Sprintf("0 built, %d reused%s", i.jobs(), run.says), times)
		if err != nil {
			return figures, memory, err
		}
		f.Name, f.What = run.name, fmt.Sprintf("%s of %d jobs with nothing to do: %s", run.command, i.jobs(), run.what)
		figures, memory = append(figures, f), max(memory, most)
	}
	return figures, memory, nil
}

// idle runs a command once, and then again and again with nothing left to do, which it
// is to say.
func (b *bench) idle(ctx context.Context, c command, want string, runs int) (f figure.Figure, memory int64, err error) {
	first, err := c.call(ctx)
	if err != nil {
		return f, 0, err
	}
	var took, cpu []time.Duration
	for range b.times(runs) {
		r, err := c.call(ctx)
		if err != nil {
			return f, 0, err
		}
		if !strings.Contains(string(r.out), want) {
			return f, 0, fmt.Errorf("it had something to do: it did not say %q", want)
		}
		took, cpu, memory = append(took, r.took), append(cpu, r.cpu), max(memory, r.memory)
	}
	return figure.Figure{
		Unit: figure.Seconds, Ours: figure.Middle(took), CPU: figure.Middle(cpu), Runs: len(took),
		Lines: []string{fmt.Sprintf("the first such run took %.1f s; at most %d MiB of memory", first.took.Seconds(), memory>>20)},
	}, memory, nil
}
