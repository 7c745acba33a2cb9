package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
)

// compiled are the recipes of the embedded catalogue that take long enough to tell
// how fast they are compiled: C, and C with Fortran.
var compiled = []string{"hwloc", "scotch"}

// emulatedMost is how much longer than natively the design lets a build for
// another architecture take.
const emulatedMost = 1.2

// emulation builds for the other architecture with native tools, and right before
// and after for the host's own.
func emulation(ctx context.Context, b *bench) ([]figure.Figure, error) {
	var figures []figure.Figure
	for _, recipe := range compiled {
		native, err := b.buildTime(ctx, recipe, hostArch(), "native")
		if err != nil {
			return figures, err
		}
		ours, err := b.buildTime(ctx, recipe, otherArch(), "native")
		if err != nil {
			return figures, err
		}
		again, err := b.buildTime(ctx, recipe, hostArch(), "native")
		if err != nil {
			return figures, err
		}
		native = (native + again) / 2
		f := figure.Figure{
			Name: "emulation-" + recipe, Unit: figure.Seconds, Ours: ours, Runs: 1,
			What: fmt.Sprintf("building %s for %s with native tools", recipe, otherArch()),
		}
		f.Against("for "+hostArch()+", natively", native, 2)
		f.AtMost(emulatedMost * native)
		figures = append(figures, f)
	}
	return figures, nil
}

// emulationPlain builds with everything emulated, which takes ten times as long.
func emulationPlain(ctx context.Context, b *bench) ([]figure.Figure, error) {
	var figures []figure.Figure
	for _, recipe := range compiled {
		ours, err := b.buildTime(ctx, recipe, otherArch(), "native")
		if err != nil {
			return figures, err
		}
		plain, err := b.buildTime(ctx, recipe, otherArch(), "plain")
		if err != nil {
			return figures, err
		}
		f := figure.Figure{
			Name: "emulation-plain-" + recipe, Unit: figure.Seconds, Ours: ours, Runs: 1,
			What: fmt.Sprintf("building %s for %s with native tools", recipe, otherArch()),
		}
		f.Against("all of it emulated", plain, 1)
		figures = append(figures, f)
	}
	return figures, nil
}

// buildTime builds a recipe in a state folder that knows no packages, and returns
// how long its own job took, in seconds. One job runs at a time.
func (b *bench) buildTime(ctx context.Context, recipe, arch, emulation string) (float64, error) {
	state, err := b.cold(ctx)
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(state)
	if err := b.linkSources(state); err != nil {
		return 0, err
	}
	out, err := b.folder("out-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(out)
	b.say("building %s for %s", recipe, arch)
	build := command{dir: b.work, name: b.program, args: []string{
		"build", recipe, "--arch", arch, "--emulation", emulation, "--jobs", "1", "--state", state, "--out", out, "--progress", "none",
	}}
	if _, err := build.call(ctx); err != nil {
		return 0, err
	}
	return jobTime(out, recipe, arch)
}

// jobTime is how long a recipe's own job took, by the report in an output folder.
func jobTime(out, recipe, arch string) (float64, error) {
	text, err := os.ReadFile(filepath.Join(out, "report", "matrix.json"))
	if err != nil {
		return 0, err
	}
	var report struct {
		Jobs []struct {
			Recipe  string  `json:"recipe"`
			Arch    string  `json:"arch"`
			Result  string  `json:"result"`
			Seconds float64 `json:"seconds"`
		} `json:"jobs"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return 0, fmt.Errorf("reading the report of the build of %s: %w", recipe, err)
	}
	for _, j := range report.Jobs {
		if j.Recipe == recipe && j.Arch == arch && j.Result == "built" {
			return j.Seconds, nil
		}
	}
	return 0, fmt.Errorf("the report says of no job that it built %s for %s", recipe, arch)
}

// linkSources gives a state folder the objects of the bench's own, among them the
// sources: fetching them is nobody's figure. Without the records of results
// nothing counts as built.
func (b *bench) linkSources(dir string) error {
	objects := filepath.Join(b.state, "store", "objects", "sha256")
	found, err := filepath.Glob(filepath.Join(objects, "*", "*"))
	if err != nil {
		return err
	}
	for _, path := range found {
		rel, err := filepath.Rel(b.state, path)
		if err != nil {
			return err
		}
		if err := link(path, filepath.Join(dir, rel)); err != nil {
			return err
		}
	}
	return nil
}

func hostArch() string {
	return map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
}

func otherArch() string {
	return map[string]string{"amd64": "aarch64", "arm64": "x86_64"}[runtime.GOARCH]
}
