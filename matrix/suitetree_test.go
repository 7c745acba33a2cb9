package matrix_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// TestASuiteTree runs a tree of the shape of OpenHPC's on packages that call for some
// of its areas.
func TestASuiteTree(t *testing.T) {
	l := newLine(t)
	target := string(l.files["targets/Debian_12.yaml"].Data)
	target, _, _ = strings.Cut(target, "\nchecks:")
	l.files["targets/Debian_12.yaml"] = &fstest.MapFile{Data: []byte(target + "\nchecks: [suite]\n")}
	for _, name := range []string{"hwloc", "lmod", "beside", "gnu99-compilers"} {
		l.component(name, "noarch: any\n", "BuildArch: noarch", file(name, name))
	}
	l.opt.SuiteTree = "../validate/suitetree/testdata/tree"
	r, err := l.new(t).Run(t.Context())
	var failed *matrix.FailedError
	require.ErrorAs(t, err, &failed)
	require.Len(t, r.Checks, 1)
	c := r.Checks[0]
	require.Equal(t, "suite of tree of tests", c.Name+" of "+c.Subject)
	require.Equal(t, report.Fail, c.Result)
	require.Contains(t, c.Reason, "1 of 6 tests failed\ntools: modules.bats: this one fails: ")
	require.Contains(t, c.Reason, "the cause")
	results := map[string]report.Outcome{}
	for _, k := range c.Cases {
		_, name, _ := strings.Cut(k.Name, ".bats: ")
		results[name] = k.Result
		require.True(t, k.Result == report.Pass || k.Reason != "", k.Name)
	}
	require.Equal(t, map[string]report.Outcome{
		"it runs as the user of tests": report.Pass, "the package is installed": report.Pass, "others are not": report.Pass,
		"a device is found": report.Skip, "the families are those of the packages": report.Pass, "this one fails": report.Fail,
	}, results)
}
