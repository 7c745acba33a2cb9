package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
)

// What a run may take that has nothing to do, by the number of its jobs.
const (
	noopSeconds      = 1.0
	noopLargeSeconds = 30.0
	noopLargeMemory  = 1 << 30 // bytes
)

// idle is a catalogue of so many meta-packages, each for so many compilers. They are
// made in a moment and then are jobs like others: each has its key, its result in the
// store, a lock, and needs another.
type idle struct{ recipes, members int }

func (i idle) jobs() int { return i.recipes*i.members + 2 }

// chains is how many meta-packages of a compiler could be made side by side.
const chains = 10

// write writes the catalogue. Its recipe "all" needs all others.
func (i idle) write(dir string) error {
	target, err := os.ReadFile(filepath.Join(catalogue, "targets", "Debian_12.yaml"))
	if err != nil {
		return fmt.Errorf("reading the catalogue (bench runs in the top folder of the checkout): %w", err)
	}
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

// noop builds as many jobs as a release has, when all of them are built.
func noop(ctx context.Context, b *bench) ([]figure.Figure, error) {
	f, _, err := b.noop(ctx, "noop", idle{59, 20}, 5)
	if err != nil {
		return nil, err
	}
	f.AtMost(noopSeconds)
	return []figure.Figure{f}, nil
}

// noopLarge has a hundred thousand jobs: more recipes than any distribution of HPC
// software has, each for as many families as could be. The first run of them is busy
// for minutes.
func noopLarge(ctx context.Context, b *bench) ([]figure.Figure, error) {
	f, memory, err := b.noop(ctx, "large-noop", idle{2000, 50}, 1)
	if err != nil {
		return nil, err
	}
	f.AtMost(noopLargeSeconds)
	m := figure.Figure{Name: "large-noop-memory", What: "the most memory of the same", Unit: figure.Bytes, Ours: float64(memory), Runs: f.Runs}
	m.AtMost(noopLargeMemory)
	return []figure.Figure{f, m}, nil
}

func (b *bench) noop(ctx context.Context, name string, i idle, runs int) (f figure.Figure, memory int64, err error) {
	state, out, err := b.coldInMemory(ctx)
	if err != nil {
		return f, 0, err
	}
	defer os.RemoveAll(filepath.Dir(state))
	dir, err := b.folder("idle-")
	if err != nil {
		return f, 0, err
	}
	if err := i.write(dir); err != nil {
		return f, 0, err
	}
	c := command{dir: b.work, name: b.program, args: []string{
		"build", "all", "--catalog", dir, "--arch", hostArch(), "--state", state, "--out", out, "--progress", "none",
	}}
	b.say("building %d jobs, for there to be nothing to do", i.jobs())
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
		if want := fmt.Sprintf("0 built, %d reused", i.jobs()); !strings.Contains(string(r.out), want) {
			return f, 0, fmt.Errorf("it had something to do: it did not say %q", want)
		}
		took, cpu, memory = append(took, r.took), append(cpu, r.cpu), max(memory, r.memory)
	}
	f = figure.Figure{
		Name: name, What: fmt.Sprintf("build of %d jobs with nothing to do: catalogue, plan, results verified, packages laid out, report", i.jobs()),
		Unit: figure.Seconds, Ours: figure.Middle(took), CPU: figure.Middle(cpu), Runs: len(took),
		Lines: []string{fmt.Sprintf("the first run, which built them, took %.1f s; at most %d MiB of memory", first.took.Seconds(), memory>>20)},
	}
	return f, memory, nil
}
