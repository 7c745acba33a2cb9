package matrix_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/standing"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// TestStanding lets a cell gain and lose its standing, and looks at what the published
// tree and the package that tells it say each time.
func TestStanding(t *testing.T) {
	l := newLine(t)
	l.require("closure", "suite")
	l.component("teller", "noarch: any\nsources:\n  - {file: standing, generated: status}\ntests: [tests/x.bats]\n",
		"BuildArch: noarch\nSource0: standing",
		"%install\ninstall -D -m 0644 %{SOURCE0} %{buildroot}/opt/ohpc/test/standing\n%files\n/opt/ohpc/test/standing")
	spec := l.files["components/test/teller/SPECS/teller.spec"]
	spec.Data = bytes.Replace(spec.Data, []byte("Release: 1\n"), []byte("Release: 1%{?ohpc_serial:.%{ohpc_serial}}\n"), 1)
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
	current := func(c layout.Channel) snapshot.Snapshot {
		t.Helper()
		tree, err := channel.Open(filepath.Join(l.opt.Out, "repos"), channel.Options{})
		require.NoError(t, err)
		defer tree.Close()
		s, err := tree.Current(layout.Pointer{Release: "3", Channel: c, Target: "Debian_12"})
		require.NoError(t, err)
		return s
	}
	offers := func(c layout.Channel, want string) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(current(c).Dir, "noarch", "*.rpm"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		require.Equal(t, "teller-ohpc-"+want+".noarch.rpm", filepath.Base(files[0]))
	}
	upgraded := func(r *report.Run, to string) {
		t.Helper()
		for _, manager := range []string{"dnf", "zypper"} {
			i := slices.IndexFunc(r.Checks, func(c report.Check) bool { return c.Subject == "all packages with "+manager })
			require.Equal(t, report.Pass, r.Checks[i].Result, r.Checks[i].Reason)
			log, err := os.ReadFile(filepath.Join(l.opt.Out, "report", r.Checks[i].Log))
			require.NoError(t, err)
			require.Contains(t, string(log), "after: teller-ohpc-"+to+".noarch\n", manager)
		}
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
	offers(layout.Release, "1-1")

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

	// It is newer than the one before, and the same run once more changes nothing.
	offers(layout.Release, "1-1.1")
	was := current(layout.Release).ID
	r, _, err = try("false")
	require.ErrorAs(t, err, &failed)
	require.Equal(t, report.Reused, job(t, r, "teller").Result)
	require.Equal(t, was, current(layout.Release).ID)

	// What passes gains its standing by itself, and clients get the package.
	l.opt.Allow.TechPreview = false
	l.require("closure", "upgrade", "suite")
	r, told, err = try(": again")
	require.NoError(t, err)
	require.Equal(t, report.Supported, published().Status)
	require.Contains(t, told, "Status: "+arch+" supported\n")
	offers(layout.Release, "1-1.2")
	upgraded(r, "1-1.2")
	l.require("closure", "suite")

	// What another channel tells has a number of its own, and can follow in this one.
	l.opt.Allow.TechPreview, l.opt.Channel = true, layout.Factory
	_, _, err = try("false")
	require.ErrorAs(t, err, &failed)
	offers(layout.Factory, "1-1.3")
	offers(layout.Release, "1-1.2")
	changes, err := diff.Snapshots(t.Context(), current(layout.Release), current(layout.Factory))
	require.NoError(t, err)
	require.NotEmpty(t, changes.Upgraded)
	require.NoError(t, changes.Refuse("release", diff.Allow{}))
	l.opt.Allow.TechPreview, l.opt.Channel = false, layout.Release

	// A check that does not count leaves no standing, and release does not lose one.
	l.files["components/test/teller/tests/x.bats"] = &fstest.MapFile{Data: []byte("@test 'one' { skip 'no GPU'; }\n")}
	_, err = l.new(t).Run(t.Context())
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, "what is supported there would not be any more: Debian_12/"+arch+" (suite of teller x.bats: skipped)")
	require.ErrorContains(t, err, "--allow-tech-preview")
	require.Equal(t, report.Supported, published().Status)
}
