package tree_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/recipes/tree"
)

var update = flag.Bool("update", false, "write testdata/expected.txt anew")

const (
	fixture = "testdata/openhpc"
	broken  = "testdata/broken"
)

// targets are distributions with what tells a spec which one it is.
func targets() []*recipes.Target {
	target := func(name string, defines map[string]string) *recipes.Target {
		return &recipes.Target{Name: name, Architectures: []string{"x86_64", "aarch64"}, Defines: defines}
	}
	return []*recipes.Target{
		target("EL_9", map[string]string{"rhel": "9"}),
		target("Leap_15", map[string]string{"suse_version": "1500", "sle_version": "150500"}),
		target("openEuler_22.03", map[string]string{"openEuler": "1"}),
	}
}

func load(t testing.TB, dir string) *recipes.Catalog {
	t.Helper()
	c, err := tree.Load(dir, tree.Options{Targets: targets()})
	require.NoError(t, err)
	return c
}

// row is a line of testdata/expected.txt.
type row struct{ cell, recipe, variant, outcome string }

func (r row) String() string {
	return strings.Join([]string{r.cell, r.recipe, r.variant, r.outcome}, " ")
}

func expected(t testing.TB) []row {
	t.Helper()
	text, err := os.ReadFile("testdata/expected.txt")
	require.NoError(t, err)
	var rows []row
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		require.Len(t, f, 4, line)
		rows = append(rows, row{f[0], f[1], f[2], f[3]})
	}
	require.NotEmpty(t, rows)
	return rows
}

// expanded are a catalogue's variants in all cells, and the rows of those that
// are skipped.
func expanded(c *recipes.Catalog) (variants []recipes.Variant, skipped []row) {
	for _, target := range c.Targets {
		for _, arch := range target.Architectures {
			for _, r := range c.Recipes {
				built, skips := c.Expand(r, target, arch)
				variants = append(variants, built...)
				for _, s := range skips {
					outcome := "skipped:config"
					if strings.Contains(s.Reason, "[groups]") || strings.Contains(s.Reason, "disabled with !") {
						outcome = "skipped:group"
					}
					skipped = append(skipped, row{s.Target + "/" + s.Arch, s.Recipe, orDash(s.Variant), outcome})
				}
			}
		}
	}
	return variants, skipped
}

func rowOf(v recipes.Variant, outcome string) row {
	return row{v.Target + "/" + v.Arch, v.Recipe.Name, orDash(v.Name()), outcome}
}

func orDash(name string) string {
	if name == "" {
		return "-"
	}
	return name
}

// requireSame compares rows as sets, and shows only those that differ.
func requireSame(t *testing.T, want, got []row) {
	t.Helper()
	require.NotEmpty(t, got)
	only := func(some, others []row) string {
		var text []string
		for _, r := range some {
			if !slices.Contains(others, r) {
				text = append(text, r.String())
			}
		}
		slices.Sort(text)
		return strings.Join(slices.Compact(text), "\n")
	}
	require.Empty(t, only(want, got), "missing")
	require.Empty(t, only(got, want), "too much")
}

// TestExpectedIsRPMsAnswer keeps the golden file true: it is made by a script
// that knows nothing of this program.
func TestExpectedIsRPMsAnswer(t *testing.T) {
	testenv.Integration(t)
	testenv.Programs(t, "rpmspec")
	out, err := exec.CommandContext(t.Context(), "sh", "testdata/expected.sh").Output()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("testdata/expected.txt", out, 0o644))
	}
	want, err := os.ReadFile("testdata/expected.txt")
	require.NoError(t, err)
	require.Equal(t, strings.Split(string(want), "\n"), strings.Split(string(out), "\n"))
}

// TestVariants compares what is asked of rpm, and what is not, in each cell.
func TestVariants(t *testing.T) {
	variants, got := expanded(load(t, fixture))
	for _, v := range variants {
		got = append(got, rowOf(v, "evaluated"))
	}
	var want []row
	for _, r := range expected(t) {
		if r.outcome != "skipped:group" && r.outcome != "skipped:config" {
			r.outcome = "evaluated"
		}
		want = append(want, r)
	}
	requireSame(t, want, got)
}

// host runs rpmspec on this machine, without a container: the specs are the
// tests' own.
type host struct{}

func (host) Run(ctx context.Context, dir string, args []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C.UTF-8"}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return nil // the answers say it
	}
	return err
}

func hostArch() string {
	return map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
}

// evaluate asks rpm about variants as a plan does.
func evaluate(t *testing.T, c *recipes.Catalog, variants []recipes.Variant) []spec.Answer {
	t.Helper()
	testenv.Integration(t)
	testenv.Programs(t, "rpmspec")
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	file := func(f recipes.File) spec.File {
		data, err := c.Read(f)
		require.NoError(t, err)
		d, err := st.PutBytes(t.Context(), data)
		require.NoError(t, err)
		return spec.File{Name: f.Name, Digest: d}
	}
	queries := make([]spec.Query, len(variants))
	for i, v := range variants {
		q := spec.Query{Path: v.Recipe.Spec.Path, Spec: file(v.Recipe.Spec), Arch: v.Arch}
		for _, f := range slices.Concat(c.Shared, v.Recipe.Sources) {
			if !slices.ContainsFunc(q.Sources, func(s spec.File) bool { return s.Name == f.Name }) {
				q.Sources = append(q.Sources, file(f))
			}
		}
		for _, d := range v.Defines {
			q.Defines = append(q.Defines, spec.Define{Name: d.Name, Value: d.Value})
		}
		queries[i] = q
	}
	e := spec.New(st, host{}, spec.Image{Digest: store.Of([]byte("the host")), Arch: hostArch()})
	answers, err := e.Evaluate(t.Context(), queries, nil)
	require.NoError(t, err)
	return answers
}

// outcomes are the rows that an answer stands for.
func outcomes(t *testing.T, v recipes.Variant, a spec.Answer) []row {
	t.Helper()
	var skip *spec.SkipError
	if errors.As(a.Err, &skip) {
		return []row{rowOf(v, "skipped:arch")}
	}
	var parse *spec.ParseError
	if errors.As(a.Err, &parse) {
		return []row{rowOf(v, fmt.Sprintf("failed:%d", parse.Line))}
	}
	require.NoError(t, a.Err)
	var rows []row
	for _, p := range a.Result.Packages {
		epoch := ""
		if p.Epoch > 0 {
			epoch = fmt.Sprintf("%d:", p.Epoch)
		}
		rows = append(rows, rowOf(v, fmt.Sprintf("%s-%s%s-%s.%s", p.Name, epoch, p.Version, p.Release, p.Arch)))
	}
	return rows
}

// TestEvaluation compares what rpm says, when asked as a plan asks it, with what
// it says to others.
func TestEvaluation(t *testing.T) {
	c := load(t, fixture)
	variants, skipped := expanded(c)
	answers := evaluate(t, c, variants)

	t.Run("packages", func(t *testing.T) {
		got := skipped
		for i, a := range answers {
			got = append(got, outcomes(t, variants[i], a)...)
		}
		requireSame(t, expected(t), got)
	})
	t.Run("dependencies", func(t *testing.T) {
		compared := map[string]bool{} // recipes: one variant of each
		for i, v := range variants {
			if v.Arch == hostArch() && answers[i].Err == nil && !compared[v.Recipe.Name] {
				compared[v.Recipe.Name] = true
				requireSameDependencies(t, v, answers[i].Result)
			}
		}
		require.Greater(t, len(compared), 40)
	})
}

// requireSameDependencies compares requirements and provides, of packages and of
// the build, with what rpmspec prints for the same spec.
func requireSameDependencies(t *testing.T, v recipes.Variant, got *spec.Result) {
	t.Helper()
	sourcedir, err := filepath.Abs(filepath.Join(fixture, "components"))
	require.NoError(t, err)
	name := v.Recipe.Name + " " + v.Name()
	ask := func(query, format string) []string {
		args := []string{"--query", "--" + query, "--queryformat", format, "--define", "_sourcedir " + sourcedir}
		for _, d := range v.Defines {
			args = append(args, "--define", d.Name+" "+d.Value)
		}
		out, err := exec.CommandContext(t.Context(), "rpmspec", append(args, filepath.Join(fixture, v.Recipe.Spec.Path))...).Output()
		require.NoError(t, err, name)
		return nonEmpty(strings.Split(string(out), "\n"))
	}
	var builds, packages []string
	for _, d := range got.Source.Requires {
		builds = append(builds, d.String())
	}
	for _, p := range got.Packages {
		for _, d := range p.Provides {
			packages = append(packages, p.Name+" provides "+d.String())
		}
		for _, d := range p.Requires {
			packages = append(packages, p.Name+" requires "+d.String())
		}
	}
	require.ElementsMatch(t, ask("srpm", `[%{REQUIRENEVRS}\n]`), builds, name)
	require.ElementsMatch(t, ask("builtrpms", `[%{=NAME} provides %{PROVIDENEVRS}\n][%{=NAME} requires %{REQUIRENEVRS}\n]`), packages, name)
}

func nonEmpty(values []string) []string {
	return slices.DeleteFunc(values, func(s string) bool { return strings.TrimSpace(s) == "" })
}
