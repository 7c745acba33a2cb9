package matrix_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// check finds the check of a recipe.
func check(t *testing.T, r *report.Run, name, subject string) report.Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name == name && c.Subject == subject {
			return c
		}
	}
	t.Fatalf("no check %s of %s in the report", name, subject)
	return report.Check{}
}

func TestVerify(t *testing.T) {
	l := newLine(t)
	l.component("steady", "", "", file("steady", "steady"))
	l.component("fickle", "needs:\n  disk: 64MiB\n", "", `%install
dir=%{buildroot}/opt/ohpc/test
mkdir -p $dir many
date +%%F > $dir/date
date -u +%%s > $dir/second
hostname > $dir/host 2>/dev/null || cat /proc/sys/kernel/hostname > $dir/host
id -u > $dir/user
echo %{?_smp_mflags} > $dir/jobs
echo $HOME > $dir/home
for i in 1 2 3 4 5 6 7 8 9; do touch many/$i; done
ls -U many > $dir/order
echo always > $dir/same
%files
/opt/ohpc/test`)
	l.component("fussy", "", "", "%build\n[ $(id -u) = 1000 ]\n"+file("fussy", "fussy"))
	l.meta("ohpc-test", "steady-ohpc")
	r, err := l.new(t).Verify(t.Context())
	var failed *matrix.FailedError
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, "2 of 4 jobs do not make the same packages when they are built again: fickle/")
	require.Equal(t, report.Fail, r.Result)
	require.Equal(t, report.TechPreview, r.Cells[0].Status)
	for _, name := range []string{"steady", "ohpc-test"} {
		c := check(t, r, report.Reproducible, name)
		require.Equal(t, report.Pass, c.Result, c.Reason)
		require.Contains(t, c.Reason, "2 packages the same")
	}
	fussy := check(t, r, report.Reproducible, "fussy")
	require.Equal(t, report.Fail, fussy.Result)
	require.Contains(t, fussy.Reason, "the second build, under other conditions: fussy/")
	require.FileExists(t, filepath.Join(l.opt.Out, "report", fussy.Log))
	fickle := check(t, r, report.Reproducible, "fickle")
	require.Equal(t, report.Fail, fickle.Result)
	require.Contains(t, fickle.Reason, "1 of 2 packages differ", "the source package is the same")
	for _, name := range []string{"date", "second", "host", "user", "jobs", "home"} {
		require.Contains(t, fickle.Reason, "/opt/ohpc/test/"+name+", lines:")
	}
	require.NotContains(t, fickle.Reason, "/opt/ohpc/test/same")
	require.Regexp(t, `-j\d+\n +\+-j\d+\n`, fickle.Reason)
	require.Contains(t, fickle.Reason, "-1000\n    +2000", "both values are shown")
	all, err := os.ReadFile(filepath.Join(l.opt.Out, "report", fickle.Log))
	require.NoError(t, err)
	if !strings.Contains(string(all), "folder order: not varied") {
		require.Contains(t, fickle.Reason, "/opt/ohpc/test/order, lines:")
	}
	require.Contains(t, string(all), "time zone: UTC, ")
	doc, err := os.ReadFile(filepath.Join(l.opt.Out, "report", "matrix.json"))
	require.NoError(t, err)
	require.True(t, json.Valid(doc))

	// What was built is not built again, but for the second time; and only what is named.
	l.opt.Recipes = []string{"steady"}
	r, err = l.new(t).Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, report.Reused, job(t, r, "steady").Result)
	require.Len(t, r.Checks, 1)
}

// TestACommentStopsAtItsPackage: the spec is another and so is the source package,
// but what dependents are built with is the same.
func TestACommentStopsAtItsPackage(t *testing.T) {
	l := newLine(t)
	l.component("below", "", "", file("below", "below"))
	l.component("above", "", "BuildRequires: below-ohpc", "%build\ncat /opt/ohpc/test/below\n"+file("above", "above"))
	l.component("top", "", "BuildRequires: above-ohpc", file("top", "top"))
	first, err := l.new(t).Build(t.Context())
	require.NoError(t, err)
	for _, name := range []string{"below", "above", "top"} {
		require.Equal(t, report.Built, job(t, first, name).Result)
	}

	l.component("below", "", "", "# one more comment\n"+file("below", "below"))
	second, err := l.new(t).Build(t.Context())
	require.NoError(t, err)
	below := job(t, second, "below")
	require.Equal(t, report.Built, below.Result)
	require.Equal(t, "spec changed", below.Reason)
	require.Equal(t, report.Reused, job(t, second, "above").Result)
	require.Equal(t, report.Reused, job(t, second, "top").Result)
	before := job(t, first, "below")
	require.NotEqual(t, digestOf(t, before, ".src.rpm"), digestOf(t, below, ".src.rpm"))
	require.Equal(t, digestOf(t, before, ""), digestOf(t, below, ""))

	// A change that reaches the package does not stop there, but at the next one
	// that comes out the same.
	l.component("below", "", "", file("below", "changed"))
	third, err := l.new(t).Build(t.Context())
	require.NoError(t, err)
	require.Equal(t, report.Built, job(t, third, "below").Result)
	require.Equal(t, report.Built, job(t, third, "above").Result)
	require.Equal(t, "dependency changed: below (1 file differs)", job(t, third, "above").Reason)
	require.Equal(t, report.Reused, job(t, third, "top").Result)
}

// digestOf is that of a job's package with a suffix, or of the one that is no source
// package.
func digestOf(t *testing.T, j report.Job, suffix string) string {
	t.Helper()
	for _, p := range j.Packages {
		if strings.HasSuffix(p.File, ".src.rpm") == (suffix == ".src.rpm") {
			return p.Digest
		}
	}
	t.Fatalf("%s has no such package", j.ID)
	return ""
}
