package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
	"github.com/ohpc-build/ohpc-build/repo/rpm/compare"
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
		var built [3]*built
		for i, arch := range []string{hostArch(), otherArch(), hostArch()} {
			var err error
			if built[i], err = b.build(ctx, recipe, arch, "native"); err != nil {
				return figures, err
			}
		}
		native := (built[0].seconds + built[2].seconds) / 2
		f := figure.Figure{
			Name: "emulation-" + recipe, Unit: figure.Seconds, Ours: built[1].seconds, Runs: 1,
			What: fmt.Sprintf("building %s for %s with native tools", recipe, otherArch()),
		}
		f.Against("for "+hostArch()+", natively", native, 2)
		f.AtMost(emulatedMost * native)
		figures = append(figures, f)
	}
	return figures, nil
}

// emulationPlain builds with everything emulated, which takes ten times as long, and
// compares the packages with those that native tools made.
func emulationPlain(ctx context.Context, b *bench) ([]figure.Figure, error) {
	var figures []figure.Figure
	for _, recipe := range compiled {
		ours, err := b.build(ctx, recipe, otherArch(), "native")
		if err != nil {
			return figures, err
		}
		plain, err := b.build(ctx, recipe, otherArch(), "plain")
		if err != nil {
			return figures, err
		}
		f := figure.Figure{
			Name: "emulation-plain-" + recipe, Unit: figure.Seconds, Ours: ours.seconds, Runs: 1,
			What: fmt.Sprintf("building %s for %s with native tools", recipe, otherArch()),
		}
		f.Against("all of it emulated", plain.seconds, 1)
		figures = append(figures, f)
		same, err := b.sameCode(ctx, recipe, ours, plain)
		if err != nil {
			return figures, err
		}
		figures = append(figures, same)
	}
	return figures, nil
}

// sameCode counts in what the packages of two builds differ, but for what native
// tools are allowed to change: the compiler's version string in .comment, which
// the archive's cross compiler spells with its own, and what a linker or rpm
// derives from it.
func (b *bench) sameCode(ctx context.Context, recipe string, ours, plain *built) (figure.Figure, error) {
	f := figure.Figure{
		Name: "emulation-code-" + recipe, Unit: figure.Differences, Runs: 1,
		What: fmt.Sprintf("differences of the packages from those that are made all emulated, of %d", len(ours.packages)),
	}
	if len(ours.packages) != len(plain.packages) {
		return f, fmt.Errorf("%s makes %d packages with native tools, %d without", recipe, len(ours.packages), len(plain.packages))
	}
	scratch, err := b.folder("compare-")
	if err != nil {
		return f, err
	}
	allowed := map[string]int{}
	for i, path := range ours.packages {
		if filepath.Base(path) != filepath.Base(plain.packages[i]) {
			return f, fmt.Errorf("%s makes %s with native tools, %s without", recipe, filepath.Base(path), filepath.Base(plain.packages[i]))
		}
		found, err := compare.Files(ctx, path, plain.packages[i], scratch)
		if err != nil {
			return f, err
		}
		f.Ours += float64(found.Further)
		for _, d := range found.Differences {
			if part, ok := versionString(d); ok {
				allowed[part]++
				continue
			}
			f.Ours++
			f.Lines = append(f.Lines, filepath.Base(path)+": "+d.String())
		}
	}
	for _, part := range slices.Sorted(maps.Keys(allowed)) {
		f.Lines = append(f.Lines, fmt.Sprintf("%d × %s, which holds or comes of the compiler's version string", allowed[part], part))
	}
	f.AtMost(0)
	return f, nil
}

// buildID is what libmagic tells of a file in the tag ClassDict.
var buildID = regexp.MustCompile(`BuildID\[sha1\]=[0-9a-f]+`)

// versionString says whether a difference is of the kind that is allowed.
func versionString(d compare.Difference) (part string, ok bool) {
	if d.Tag == "ClassDict" && buildID.MatchString(d.A) && buildID.ReplaceAllString(d.A, "") == buildID.ReplaceAllString(d.B, "") {
		return "build ID in the tag ClassDict", true
	}
	for _, section := range []string{".comment", ".note.gnu.build-id"} {
		if d.File != "" && (d.Part == "section "+section || strings.HasPrefix(d.Part, "section "+section+",")) {
			return "section " + section, true
		}
	}
	return "", false
}

// built is a recipe's own job.
type built struct {
	seconds  float64
	packages []string // paths
}

// build builds a recipe in a state folder that knows no packages, one job at a time.
func (b *bench) build(ctx context.Context, recipe, arch, emulation string) (*built, error) {
	state, err := b.cold(ctx)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(state)
	if err := b.linkSources(state); err != nil {
		return nil, err
	}
	out, err := b.folder("out-")
	if err != nil {
		return nil, err
	}
	b.say("building %s for %s, emulation %s", recipe, arch, emulation)
	build := command{dir: b.work, name: b.program, args: []string{
		"build", recipe, "--arch", arch, "--emulation", emulation, "--jobs", "1", "--state", state, "--out", out, "--progress", "none",
	}}
	if _, err := build.call(ctx); err != nil {
		return nil, err
	}
	return readBuilt(out, recipe, arch)
}

// readBuilt finds a recipe's own job in the report of an output folder.
func readBuilt(out, recipe, arch string) (*built, error) {
	text, err := os.ReadFile(filepath.Join(out, "report", "matrix.json"))
	if err != nil {
		return nil, err
	}
	var report struct {
		Jobs []struct {
			Recipe   string  `json:"recipe"`
			Arch     string  `json:"arch"`
			Result   string  `json:"result"`
			Seconds  float64 `json:"seconds"`
			Packages []struct {
				Path string `json:"path"`
			} `json:"packages"`
		} `json:"jobs"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("reading the report of the build of %s: %w", recipe, err)
	}
	for _, j := range report.Jobs {
		if j.Recipe != recipe || j.Arch != arch || j.Result != "built" {
			continue
		}
		made := &built{seconds: j.Seconds}
		for _, p := range j.Packages {
			made.packages = append(made.packages, filepath.Join(out, filepath.FromSlash(p.Path)))
		}
		slices.Sort(made.packages)
		return made, nil
	}
	return nil, fmt.Errorf("the report says of no job that it built %s for %s", recipe, arch)
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
