package plan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// job makes a job of one package that is named like its recipe.
func job(recipe, variant, arch, provides, buildRequires, requires string) *plan.Job {
	return &plan.Job{
		ID: plan.ID(recipe, variant, "Debian_12", arch), Recipe: recipe, Variant: variant, Target: "Debian_12", Arch: arch,
		Produces: []plan.Produced{{
			Name:     strings.Split(provides, " ")[0],
			Provides: dependencies(provides),
			Requires: dependencies(requires),
		}},
		BuildRequires: dependencies(buildRequires),
	}
}

// dependencies reads "a, b = 1".
func dependencies(s string) []rpm.Dependency {
	var all []rpm.Dependency
	for part := range strings.SplitSeq(s, ",") {
		words := strings.Fields(part)
		switch len(words) {
		case 1:
			all = append(all, rpm.Dependency{Name: words[0]})
		case 3:
			flags := rpm.Sense(0)
			for _, c := range words[1] {
				flags |= map[rune]rpm.Sense{'<': rpm.Less, '=': rpm.Equal, '>': rpm.Greater}[c]
			}
			all = append(all, rpm.Dependency{Name: words[0], Flags: flags, Version: words[2]})
		}
	}
	return all
}

func ids(p *plan.Plan) []string {
	var all []string
	for _, j := range p.Jobs {
		all = append(all, j.ID)
	}
	return all
}

func catalogue() []*plan.Job {
	filesystem := job("ohpc-filesystem", "", "x86_64", "ohpc-filesystem = 3.0", "", "")
	filesystem.Shared = []string{"aarch64"}
	jobs := []*plan.Job{filesystem}
	for _, arch := range []string{"x86_64", "aarch64"} {
		jobs = append(jobs,
			job("scotch", "gnu12", arch, "scotch-gnu12-ohpc = 7.0.3", "gnu12-compilers-ohpc, bison", "gnu12-compilers-ohpc"),
			job("gnu12-compilers", "", arch, "gnu12-compilers-ohpc = 12.2.0", "ohpc-filesystem >= 3", "lmod-ohpc, gcc"),
			job("lmod", "", arch, "lmod-ohpc = 8.7", "", "ohpc-filesystem"),
			job("ohpc-gnu12-serial-libs", "", arch, "ohpc-gnu12-serial-libs = 3.0", "", "scotch-gnu12-ohpc"),
		)
	}
	return jobs
}

func TestNeedsAreTheClosureOfTheBuildRoot(t *testing.T) {
	p, err := plan.New(catalogue())
	require.NoError(t, err)
	require.Equal(t, []string{
		"gnu12-compilers/Debian_12/aarch64", // to be built with
		"lmod/Debian_12/aarch64",            // which that requires
		"ohpc-filesystem/Debian_12/x86_64",  // made once, for both architectures
	}, p.Job("scotch@gnu12/Debian_12/aarch64").Needs)
	require.Empty(t, p.Job("ohpc-gnu12-serial-libs/Debian_12/x86_64").Needs, "a meta-package needs nothing to be built")

	position := map[string]int{}
	for i, id := range ids(p) {
		position[id] = i
	}
	for _, j := range p.Jobs {
		for _, need := range j.Needs {
			require.Less(t, position[need], position[j.ID], "%s before %s", need, j.ID)
		}
	}
}

func TestVersionsDecideWhoProvides(t *testing.T) {
	p, err := plan.New([]*plan.Job{
		job("a", "", "x86_64", "a = 2", "", ""),
		job("b", "", "x86_64", "b = 1", "a >= 3", ""),
		job("c", "", "x86_64", "c = 1", "a >= 2", ""),
	})
	require.NoError(t, err)
	require.Empty(t, p.Job("b/Debian_12/x86_64").Needs, "only the target could have a newer one")
	require.Equal(t, []string{"a/Debian_12/x86_64"}, p.Job("c/Debian_12/x86_64").Needs)
}

func TestSelectTakesWhatIsNeededToBuildAndToInstall(t *testing.T) {
	p, err := plan.New(catalogue())
	require.NoError(t, err)
	require.Equal(t, p, p.Select(nil))
	require.ElementsMatch(t, []string{
		"ohpc-filesystem/Debian_12/x86_64", "lmod/Debian_12/aarch64", "lmod/Debian_12/x86_64",
	}, ids(p.Select([]string{"lmod"})), "only lmod and the folder that it lies in")
	require.Len(t, p.Select([]string{"ohpc-gnu12-serial-libs"}).Jobs, 9, "through Requires to scotch, and through BuildRequires to the compilers")
}

func TestJSONIsStable(t *testing.T) {
	write := func() string {
		p, err := plan.New(catalogue())
		require.NoError(t, err)
		for _, j := range p.Jobs {
			j.Reason = plan.ReasonNew
		}
		var sb strings.Builder
		require.NoError(t, p.JSON(&sb, false))
		return sb.String()
	}
	first := write()
	require.Equal(t, first, write())
	require.Contains(t, first, `"id": "scotch@gnu12/Debian_12/aarch64",
      "recipe": "scotch",
      "variant": "gnu12",
      "target": "Debian_12",
      "arch": "aarch64",
      "key": "",
      "reason": "new",
      "needs": [`)

	var sb strings.Builder
	require.NoError(t, (&plan.Plan{}).JSON(&sb, false))
	var empty struct {
		Jobs     []any          `json:"jobs"`
		Skips    []any          `json:"skips"`
		Failures []any          `json:"failures"`
		Totals   map[string]any `json:"totals"`
	}
	require.NoError(t, json.Unmarshal([]byte(sb.String()), &empty))
	require.Equal(t, []any{}, empty.Jobs)
	require.Equal(t, []any{}, empty.Skips)
	require.Equal(t, []any{}, empty.Failures)
	require.NotContains(t, sb.String(), "null")
}

func TestDOT(t *testing.T) {
	p, err := plan.New(catalogue())
	require.NoError(t, err)
	var sb strings.Builder
	require.NoError(t, p.DOT(&sb))
	require.Contains(t, sb.String(), `"gnu12-compilers/Debian_12/aarch64" -> "ohpc-filesystem/Debian_12/x86_64";`)
}

func TestKeyCoversNamesAndValues(t *testing.T) {
	keys := map[store.Digest]int{}
	for _, p := range []plan.Parts{
		{},
		{"a": "b"},
		{"a": "b", "c": "d"},
		{"a": "b 1 c 1 d"},
		{"a 1 b 1 c": "d"},
		{"a": "d", "c": "b"},
		{"a": ""},
	} {
		keys[p.Key()]++
	}
	require.Len(t, keys, 7, "different parts have different keys")
	require.Equal(t, plan.Parts{"a": "b", "c": "d"}.Key(), plan.Parts{"a": "b"}.With(plan.Parts{"c": "d"}).Key())
}

func TestExplain(t *testing.T) {
	base := plan.Parts{
		plan.PartImage: "1", plan.PartSpec: "1", plan.PartSource("scotch_7.0.3.tar.xz"): "1", plan.PartDefine("dist"): "1",
		plan.PartDependency("hwloc", "hwloc-ohpc-2.9.0-1.x86_64.rpm"):  "1",
		plan.PartDependency("hwloc", "hwloc-devel-2.9.0-1.x86_64.rpm"): "1",
	}
	for name, tc := range map[string]struct {
		change plan.Parts
		remove string
		want   string
	}{
		"image":          {change: plan.Parts{plan.PartImage: "2"}, want: "image changed"},
		"source":         {change: plan.Parts{plan.PartSource("scotch_7.0.3.tar.xz"): "2"}, want: "source changed: scotch_7.0.3.tar.xz"},
		"new source":     {change: plan.Parts{plan.PartSource("fix.patch"): "2"}, want: "source added: fix.patch"},
		"define":         {remove: plan.PartDefine("dist"), want: "define removed: dist"},
		"one dependency": {change: plan.Parts{plan.PartDependency("hwloc", "hwloc-ohpc-2.9.0-1.x86_64.rpm"): "2"}, want: "dependency changed: hwloc (1 file differs)"},
		"two files": {change: plan.Parts{
			plan.PartDependency("hwloc", "hwloc-ohpc-2.9.0-1.x86_64.rpm"):  "2",
			plan.PartDependency("hwloc", "hwloc-devel-2.9.0-1.x86_64.rpm"): "2",
		}, want: "dependency changed: hwloc (2 files differ)"},
		"several": {change: plan.Parts{plan.PartSpec: "2", plan.PartImage: "2"}, want: "image changed, spec changed"},
		"nothing": {want: "its result is no longer in the store"},
	} {
		t.Run(name, func(t *testing.T) {
			now := base.With(tc.change)
			delete(now, tc.remove)
			require.Equal(t, tc.want, plan.Explain(base, now))
		})
	}
	require.Equal(t, plan.ReasonNew, plan.Explain(nil, base))
}
