package rpmspec_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/ci/bench/rpmspec"
)

const probe = `%include %{_sourcedir}/shared
Name: probe%{tail}
Epoch: 2
Version: 1.0
Release: 1
Summary: s
License: MIT
BuildRequires: gcc >= 12, (make or gmake)
Requires: a, b < 3
%description
d
%package doc
Summary: s
BuildArch: noarch
%description doc
d
%package phantom
Summary: s
%description phantom
d
%files
%files doc
`

// right is what a plan has to say of probe.
const right = `{"jobs":[{"id":"probe/T/x86_64","arch":"x86_64","shared":["aarch64"],"spec":"c/probe.spec","files":["c/probe.spec","shared"],
 "macros":{"tail":"-ohpc","unused()":"x"},"build_requires":["(make or gmake)","gcc >= 12"],"packages":[
 {"name":"probe-ohpc","evr":"2:1.0-1","arch":"x86_64","requires":["a","b < 3"],"provides":["probe-ohpc = 2:1.0-1","probe-ohpc(x86-64) = 2:1.0-1"]},
 {"name":"probe-ohpc-doc","evr":"2:1.0-1","arch":"noarch","provides":["probe-ohpc-doc = 2:1.0-1"]}]}]}`

func compare(t *testing.T, change func(*rpmspec.Plan)) *rpmspec.Comparison {
	t.Helper()
	if _, err := exec.LookPath("rpmspec"); err != nil {
		if os.Getenv("CI") == "true" {
			require.NoError(t, err)
		}
		t.Skipf("rpmspec is not installed: %v", err)
	}
	tree := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(tree, "c"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(tree, "c/probe.spec"), []byte(probe), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(tree, "shared"), []byte("%global known 1\n"), 0o600))
	p, err := rpmspec.ParsePlan([]byte(right))
	require.NoError(t, err)
	change(p)

	dir, err := os.MkdirTemp("", "rpmspec-test-") //nolint:usetesting // t.TempDir is closed to the user nobody
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	h, err := rpmspec.NewHost(t.Context(), tree, dir)
	require.NoError(t, err)
	answers, took, err := h.Ask(t.Context(), p)
	require.NoError(t, err)
	require.Positive(t, took)
	return rpmspec.Compare(answers)
}

func TestSame(t *testing.T) {
	c := compare(t, func(p *rpmspec.Plan) { p.Jobs[0].Shared = nil })
	require.Empty(t, c.Differences)
	require.Equal(t, &rpmspec.Comparison{Jobs: 1, Packages: 2, Requirements: 4, Provides: 3}, c)
}

func TestDifferences(t *testing.T) {
	first := func(change func(*rpmspec.Job)) func(*rpmspec.Plan) {
		return func(p *rpmspec.Plan) {
			p.Jobs[0].Shared = nil
			change(&p.Jobs[0])
		}
	}
	for name, tt := range map[string]struct {
		change func(*rpmspec.Plan)
		want   []string
	}{
		"another architecture": {func(*rpmspec.Plan) {}, []string{
			"probe/T/x86_64 for aarch64: probe-ohpc is for x86_64, of rpmspec for aarch64",
			"probe/T/x86_64 for aarch64: probe-ohpc provides probe-ohpc(x86-64) = 2:1.0-1 in the plan only",
			"probe/T/x86_64 for aarch64: probe-ohpc provides probe-ohpc(aarch-64) = 2:1.0-1 of rpmspec only",
		}},
		"version": {first(func(j *rpmspec.Job) { j.Packages[1].EVR = "1.0-1" }), []string{
			"probe/T/x86_64: probe-ohpc-doc is version 1.0-1, of rpmspec 2:1.0-1",
		}},
		"package too many": {first(func(j *rpmspec.Job) { j.Packages = append(j.Packages, rpmspec.Package{Name: "probe-ohpc-phantom"}) }), []string{
			"probe/T/x86_64: probe-ohpc-phantom is not among what rpmspec names",
		}},
		"package too few": {first(func(j *rpmspec.Job) { j.Packages = j.Packages[:1] }), []string{
			"probe/T/x86_64: probe-ohpc-doc is not in the plan",
		}},
		"requirement twice": {first(func(j *rpmspec.Job) { j.BuildRequires = append(j.BuildRequires, "gcc >= 12") }), []string{
			"probe/T/x86_64: requires to be built gcc >= 12 in the plan only",
		}},
		"range": {first(func(j *rpmspec.Job) { j.Packages[0].Requires[1] = "b <= 3" }), []string{
			"probe/T/x86_64: probe-ohpc requires b <= 3 in the plan only",
			"probe/T/x86_64: probe-ohpc requires b < 3 of rpmspec only",
		}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, compare(t, tt.change).Differences) })
	}
	c := compare(t, first(func(j *rpmspec.Job) { delete(j.Macros, "tail"); j.Macros["tail"] = "bad name(" }))
	require.Len(t, c.Differences, 1)
	require.Contains(t, c.Differences[0], "probe/T/x86_64: rpmspec cannot read it: rpmspec --builtrpms: exit status 1: error: ")
}

func TestParsePlan(t *testing.T) {
	_, err := rpmspec.ParsePlan([]byte("["))
	var syntax *json.SyntaxError
	require.ErrorAs(t, err, &syntax)
	require.ErrorContains(t, err, "reading the plan: ")
}
