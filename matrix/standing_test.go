package matrix_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/standing"
)

// TestStanding lets a cell gain and lose its standing, and looks at what the published
// tree and the package that tells it say each time.
func TestStanding(t *testing.T) {
	l := newLine(t)
	l.require("closure", "suite")
	l.component("teller", "noarch: any\nsources:\n  - {file: standing, generated: status}\ntests: [tests/x.bats]\n",
		"BuildArch: noarch\nSource0: standing",
		"%install\ninstall -D -m 0644 %{SOURCE0} %{buildroot}/opt/ohpc/test/standing\n%files\n/opt/ohpc/test/standing")
	arch := emulate.Host()
	// What the tests do; that they print what the package tells is in the log.
	try := func(test string) (*report.Run, string, error) {
		t.Helper()
		l.files["components/test/teller/tests/x.bats"] = &fstest.MapFile{Data: []byte("@test 'one' { cat /opt/ohpc/test/standing >&3; }\n@test 'two' { " + test + "; }\n# " + l.opt.Out)} // no other run's result counts
		r, err := l.new(t).Run(t.Context())
		told := "the log of " + test
		for _, c := range r.Checks {
			if c.Name == "suite" && c.Log != "" {
				b, err := os.ReadFile(filepath.Join(l.opt.Out, "report", c.Log))
				require.NoError(t, err)
				told = string(b)
			}
		}
		return r, told, err
	}
	published := func() standing.Cell {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(l.opt.Out, "repos/OpenHPC/3/Debian_12.status.json"))
		require.NoError(t, err)
		d, err := standing.Decode(b)
		require.NoError(t, err)
		require.Len(t, d.Cells, 1)
		var now struct{ Snapshot string }
		require.NoError(t, json.Unmarshal(b, &now))
		link, err := os.Readlink(filepath.Join(l.opt.Out, "repos/OpenHPC/3/Debian_12"))
		require.NoError(t, err)
		require.Equal(t, filepath.Base(link), now.Snapshot, "it is of what is published")
		return d.Cells[0]
	}

	// The first one is supported at once, and made once.
	r, told, err := try("true")
	require.NoError(t, err)
	require.Equal(t, report.Supported, published().Status)
	require.Contains(t, told, "OpenHPC 3 for Debian_12\nStatus: "+arch+" supported\n")
	require.Equal(t, report.Built, job(t, r, "teller").Result)

	// A suite with a case that is skipped is still green, and nothing is made again.
	r, _, err = try("skip 'no GPU'")
	require.NoError(t, err)
	require.Equal(t, report.Supported, published().Status)
	require.Equal(t, report.Reused, job(t, r, "teller").Result)

	// A failed check publishes nothing.
	_, _, err = try("false")
	var failed *matrix.FailedError
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, "nothing was published")
	require.Equal(t, report.Supported, published().Status)

	// Unless that is meant; then the package says so, and the run has failed all the same.
	l.opt.Allow.TechPreview = true
	r, told, err = try("false")
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, "it was published all the same, as --allow-tech-preview says")
	require.Equal(t, report.TechPreview, published().Status)
	require.Equal(t, []string{"suite of teller x.bats"}, published().Missing)
	require.Contains(t, told, "Status: "+arch+" tech preview (suite: 1 failed)\n")
	require.Equal(t, report.Built, job(t, r, "teller").Result)
	require.Equal(t, report.TechPreview, r.Cells[0].Status)

	// What passes gains its standing by itself.
	l.opt.Allow.TechPreview = false
	_, told, err = try(": again")
	require.NoError(t, err)
	require.Equal(t, report.Supported, published().Status)
	require.Contains(t, told, "Status: "+arch+" supported\n")

	// A check that does not count leaves no standing, and release does not lose one.
	l.files["components/test/teller/tests/x.bats"] = &fstest.MapFile{Data: []byte("@test 'one' { skip 'no GPU'; }\n")}
	_, err = l.new(t).Run(t.Context())
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, "what is supported there would not be any more: Debian_12/"+arch+" (suite of teller x.bats: skipped)")
	require.ErrorContains(t, err, "--allow-tech-preview")
	require.Equal(t, report.Supported, published().Status)
}
