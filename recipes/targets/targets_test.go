package targets_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
	"github.com/ohpc-build/ohpc-build/recipes/targets"
)

var update = flag.Bool("update", false, "write the golden files anew")

// defined are the targets that are defined here.
var defined = []string{"EL_9", "Leap_15", "openEuler_22.03"}

func find(t *testing.T, in []*recipes.Target, name string) *recipes.Target {
	t.Helper()
	for _, target := range in {
		if target.Name == name {
			return target
		}
	}
	require.Fail(t, "there is no target "+name)
	return nil
}

func namesOf(in []*recipes.Target) []string {
	var names []string
	for _, target := range in {
		names = append(names, target.Name)
	}
	return names
}

func shipped(t *testing.T) []*recipes.Target {
	t.Helper()
	all, err := targets.Shipped()
	require.NoError(t, err)
	return all
}

func TestShipped(t *testing.T) {
	all := shipped(t)
	require.Equal(t, []string{"Debian_12", "EL_9", "Leap_15", "openEuler_22.03"}, namesOf(all))
	for _, name := range defined {
		target := find(t, all, name)
		require.Equal(t, []string{"x86_64", "aarch64"}, target.Architectures)
		require.NotNil(t, find(t, all, target.Evaluate).Image.Bootstrap, "the image that reads its specs can be made anywhere")
		first, _, _ := strings.Cut(target.Image.Reference, "/")
		require.NotContains(t, first, ".", "which registry is the user's business")
		require.Empty(t, target.Defines, "what its own image is given too")
		require.NotContains(t, target.Macros, "dist", "OpenHPC's shared macros set it, and packages are compared with OpenHPC's")
	}
}

// A key of targets' files is one of the configuration too.
func TestDefinitionHasEveryKey(t *testing.T) {
	keys := func(v any) map[string]string {
		found := map[string]string{}
		for i := range reflect.TypeOf(v).NumField() {
			f := reflect.TypeOf(v).Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if key != "-" {
				found[key] = strings.TrimPrefix(f.Type.String(), "*")
			}
		}
		return found
	}
	require.Equal(t, keys(recipes.Target{}), keys(targets.Definition{}))
}

func rpm(t *testing.T, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") == "true" {
			require.NoError(t, err)
		}
		t.Skipf("%s is not installed: %v", program, err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/home/builder", "LC_ALL=C.UTF-8"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	require.Empty(t, stderr.String())
	return string(out)
}

func defines(target *recipes.Target) []string {
	var args []string
	for _, d := range target.MacroDefines() {
		args = append(args, "--define", d.Name+" "+d.Value)
	}
	return args
}

// literal is a macro that was not expanded.
var literal = regexp.MustCompile(`%\{?[!?]*[A-Za-z_]\w+`)

// What a spec is told of a target, in the image of another: here this machine's.
func TestProbe(t *testing.T) {
	const query = `%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}: %{SUMMARY}\n[  requires %{REQUIRENAME} %{REQUIREFLAGS:depflags} %{REQUIREVERSION}\n]` +
		`[  provides %{PROVIDENAME} %{PROVIDEVERSION}\n]  post %{POSTIN}\n  preun %{PREUN}\n  postun %{POSTUN}\n%{DESCRIPTION}\n\n`
	for _, name := range defined {
		target := find(t, shipped(t), name)
		for _, arch := range target.Architectures {
			t.Run(name+"/"+arch, func(t *testing.T) {
				args := append(defines(target), "--target", arch+"-linux", "-q", "--queryformat", query)
				got := rpm(t, "rpmspec", append(args, "--builtrpms", "testdata/probe.spec")...) +
					rpm(t, "rpmspec", append(args, "--srpm", "testdata/probe.spec")...)
				require.NotRegexp(t, literal, got)
				golden := filepath.Join("testdata", name+"."+arch+".txt")
				if *update {
					require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				require.Equal(t, string(want), got)

				whole := rpm(t, "rpmspec", append(defines(target), "--target", arch+"-linux", "-P", "testdata/probe.spec")...)
				_, build, ok := strings.Cut(whole, "\n%prep\n")
				require.True(t, ok)
				for line := range strings.Lines(build) {
					if !regexp.MustCompile(`^%(install|post|preun|postun|files)\b`).MatchString(line) {
						require.NotRegexp(t, literal, line)
					}
				}
			})
		}
	}
}

// Each macro expands to something without macros, options given or not.
func TestMacrosExpand(t *testing.T) {
	spec := []string{"--define", "name probe", "--define", "version 1.2", "--define", "release 1", "--define", "summary Probe", "--define", "_docdir /usr/share/doc", "--define", "buildroot /br"}
	for _, name := range defined {
		target := find(t, shipped(t), name)
		for macro := range target.Macros {
			bare, _, parametric := strings.Cut(macro, "(")
			call := "%{" + bare + "}"
			if parametric {
				call = "%{" + bare + " one two}"
			}
			got := rpm(t, "rpm", append(append(defines(target), spec...), "--eval", call)...)
			for line := range strings.Lines(got) {
				if !regexp.MustCompile(`^%(package|description|files|pre|post|preun|postun|posttrans) `).MatchString(line) {
					require.NotRegexp(t, literal, line, "%s of %s", macro, name)
				}
			}
		}
	}
}

// merge makes targets of a catalogue's own and of a configuration.
func merge(t *testing.T, own []*recipes.Target, config string) ([]*recipes.Target, error) {
	t.Helper()
	var c struct {
		Targets []targets.Definition `yaml:"targets"`
	}
	doc, err := strict.Decode("ohpc-build.yaml", []byte(config), &c)
	require.NoError(t, err)
	return targets.Merge(own, c.Targets, doc)
}

func TestMerge(t *testing.T) {
	own := []*recipes.Target{
		{Name: "EL_9", Summary: "ours", Architectures: []string{"x86_64"}, Image: recipes.Image{Reference: "ours"}, Defines: map[string]string{"dist": ".1", "word": "a"}},
		{Name: "Here", Summary: "here", Architectures: []string{"aarch64"}, Image: recipes.Image{Reference: "here"}},
	}
	merged, err := merge(t, own, `
targets:
  - Here
  - name: EL_9
    image: {reference: registry.example.org/el9-build}
    defines: {word: b, more: c}
    evaluate: Leap_15
  - name: Leap_15
    architectures: [aarch64]
    macros: {suse_version: "1600", "added()": d}
    checks: []
  - name: Mine
    summary: A distribution of my own
    architectures: [x86_64]
    image: {reference: mine}
    managers: [dnf]
    macros:
      mine_requires: |
        Requires: a
        Requires: b
`)
	require.NoError(t, err)
	require.Equal(t, []string{"Debian_12", "EL_9", "Here", "Leap_15", "Mine", "openEuler_22.03"}, namesOf(merged))

	el := find(t, merged, "EL_9")
	require.Equal(t, "ours", el.Summary, "the catalogue's goes before the shipped one")
	require.Equal(t, "registry.example.org/el9-build", el.Image.Reference)
	require.Equal(t, map[string]string{"dist": ".1", "word": "b", "more": "c"}, el.Defines)
	require.Equal(t, "Leap_15", el.Evaluate)
	require.Equal(t, map[string]string{"dist": ".1", "word": "a"}, own[0].Defines, "what is completed stays as it was")

	leap := find(t, merged, "Leap_15")
	require.Equal(t, []string{"aarch64"}, leap.Architectures)
	require.Equal(t, []string{"zypper"}, leap.Managers)
	require.Equal(t, "1600", leap.Macros["suse_version"])
	require.Equal(t, "d", leap.Macros["added()"])
	require.Equal(t, "/usr/lib/systemd/system", leap.Macros["_unitdir"])
	require.Empty(t, leap.Checks)

	mine := find(t, merged, "Mine")
	require.Empty(t, mine.Evaluate)
	require.Equal(t, []recipes.Define{{Name: "mine_requires", Value: "{Requires: a\nRequires: b\n}"}}, mine.MacroDefines())
	require.Same(t, own[1], find(t, merged, "Here"))
}

func TestMergeNothing(t *testing.T) {
	merged, err := targets.Merge(nil, nil, nil)
	require.NoError(t, err)
	require.Equal(t, shipped(t), merged)
}

func TestMergeProblems(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"unknown":          {"targets: [Debian_12, EL9]\n", `ohpc-build.yaml:1:22: there is no target "EL9" (did you mean "EL_9"?)`},
		"unknown, alone":   {"targets:\n  - name: EL9\n", `ohpc-build.yaml:2:11: there is no target "EL9" (did you mean "EL_9"?)`},
		"unknown mapping":  {"targets:\n  - name: EL9\n    image: {reference: a}\n", `ohpc-build.yaml:2:11: there is no target "EL9", and a new one also needs architectures, managers, summary (did you mean "EL_9"?)`},
		"twice":            {"targets: [EL_9, {name: EL_9, summary: s}]\n", `ohpc-build.yaml:1:24: target "EL_9" is given twice`},
		"no architecture":  {"targets:\n  - name: EL_9\n    architectures: []\n", "ohpc-build.yaml:3:20: a target needs at least one architecture"},
		"bad architecture": {"targets:\n  - name: EL_9\n    architectures: [noarch]\n", `ohpc-build.yaml:3:21: "noarch" is not an architecture (rpm's names, such as x86_64 and aarch64)`},
		"no image":         {"targets:\n  - name: EL_9\n    image: {reference: \"\"}\n", "ohpc-build.yaml:3:13: an image has either a reference or a bootstrap"},
		"bad define":       {"targets:\n  - name: EL_9\n    defines: {\"f()\": x}\n", `ohpc-build.yaml:3:15: "f()" is not the name of a macro (letters, digits and _, at least three)`},
		"lines in define":  {"targets:\n  - name: EL_9\n    defines: {word: \"a\\nb\"}\n", "ohpc-build.yaml:3:15: the value of a macro must be a single line"},
		"bad macro":        {"targets:\n  - name: EL_9\n    macros: {\"a b\": x}\n", `ohpc-build.yaml:3:14: "a b" is not the name of a macro (a name such as systemd_requires, or with options: systemd_post())`},
		"open brace":       {"targets:\n  - name: EL_9\n    macros: {word: \"%{a\"}\n", "ohpc-build.yaml:3:14: the braces in the value of a macro must be in pairs"},
		"closed brace":     {"targets:\n  - name: EL_9\n    macros: {word: \"}{\"}\n", "ohpc-build.yaml:3:14: the braces in the value of a macro must be in pairs"},
		"own image":        {"targets:\n  - {name: EL_9, evaluate: EL_9}\n", "ohpc-build.yaml:2:28: its own image is the one that is not at hand (leave it out, or name another target)"},
		"unknown image":    {"targets:\n  - {name: EL_9, evaluate: Debian12}\n", `ohpc-build.yaml:2:28: there is no target "Debian12" (did you mean "Debian_12"?)`},
		"path for a name":  {"targets:\n  - {name: ../x, summary: s, architectures: [x86_64], image: {reference: a}, managers: [dnf]}\n", `ohpc-build.yaml:2:12: "../x" cannot name a target (letters, digits and + . _ -)`},
		"check's arch":     {"targets:\n  - name: EL_9\n    checks: [{name: suite, architectures: [x86-64]}]\n", `ohpc-build.yaml:3:44: the target has no architecture "x86-64" (did you mean "x86_64"?)`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := merge(t, nil, tt.in)
			require.EqualError(t, err, tt.want)
			var problems strict.Problems
			require.ErrorAs(t, err, &problems)
		})
	}
	_, err := targets.Merge([]*recipes.Target{{Name: "Ours", Evaluate: "Debian_13"}}, nil, nil)
	require.EqualError(t, err, `target Ours is to be evaluated in the image of another: there is no target "Debian_13" (did you mean "Debian_12"?)`)
}

// The examples in docs/targets.md are right.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/targets.md")
	require.NoError(t, err)
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	require.NotEmpty(t, examples)
	for _, example := range examples {
		_, err := merge(t, nil, string(example[1]))
		require.NoError(t, err)
	}
	for _, name := range defined {
		target := find(t, shipped(t), name)
		require.Contains(t, string(text), "| `"+name+"` |")
		require.Contains(t, string(text), "| `"+target.Image.Reference+"` |")
	}
}
