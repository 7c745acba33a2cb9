package matrix_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// results are the outcomes of checks by name and subject.
func results(r *report.Run) map[string]report.Outcome {
	all := map[string]report.Outcome{}
	for _, c := range r.Checks {
		all[c.Name+" "+c.Subject] = c.Result
	}
	return all
}

// TestRebuiltOverAnOlderRepository is the story that this project began with: one
// package is rebuilt, and must come over the old ones by an ordinary upgrade. In the
// first repository there are packages that exclude each other, too.
func TestRebuiltOverAnOlderRepository(t *testing.T) {
	l := newLine(t)
	l.component("server", "", "Requires: common-ohpc", file("server", "one"))
	l.component("common", "", "", file("common", "one"))
	l.component("rival", "", "Conflicts: server-ohpc", file("rival", "one"))
	r, err := l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	got := results(r)
	for _, subject := range []string{"server with dnf", "rival with dnf", "server with zypper", "rival with zypper"} {
		require.Equal(t, report.Pass, got["install "+subject], "what excludes each other is tried alone")
	}
	base := filepath.Join(l.opt.Out, "repos/OpenHPC/3/Debian_12")
	before, err := os.Readlink(base)
	require.NoError(t, err)

	// Under the same version the users would never get it.
	l.component("server", "", "Requires: common-ohpc", file("server", "two"))
	l.opt.Overlay, l.opt.Channel, l.opt.Recipes = matrix.Overlay{On: base}, layout.Updates, []string{"server"}
	_, err = l.new(t).Run(t.Context())
	var failed *matrix.FailedError
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, "server-ohpc-1-1."+emulate.Host()+" is not newer than server-ohpc-1-1."+emulate.Host()+" of "+base)
	require.ErrorContains(t, err, "raise the version or the release")

	spec := l.files["components/test/server/SPECS/server.spec"]
	// Users have the repository from a web server.
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(l.opt.Out, "repos"))))
	defer server.Close()
	l.opt.Overlay.On = server.URL + "/OpenHPC/3/Debian_12"
	spec.Data = []byte(strings.Replace(string(spec.Data), "Release: 1\n", "Release: 2\n", 1))
	r, err = l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	l.opt.Overlay.On = base
	require.Equal(t, 2, r.Snapshots[0].Packages, "the rebuilt one and its source, nothing else")
	require.Equal(t, "repos/OpenHPC/3/updates/Debian_12", r.Snapshots[0].Path)
	got = results(r)
	for _, check := range []string{
		"closure all packages", "install server with dnf", "install server with zypper", "upgrade all packages with dnf", "upgrade all packages with zypper",
	} {
		require.Equal(t, report.Pass, got[check], check)
	}
	after, err := os.Readlink(base)
	require.NoError(t, err)
	require.Equal(t, before, after, "the base stays as it is")

	// The next overlay does not take the first one away,
	rebuild := func(name, release string) {
		spec := l.files["components/test/"+name+"/SPECS/"+name+".spec"]
		spec.Data = regexp.MustCompile(`Release: \d+\n`).ReplaceAll(spec.Data, []byte("Release: "+release+"\n"))
	}
	host := "." + emulate.Host() + ".rpm"
	rebuild("rival", "2")
	l.opt.Recipes = []string{"rival"}
	r, err = l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	require.Equal(t, []string{"rival-ohpc-1-2.src.rpm", "rival-ohpc-1-2" + host, "server-ohpc-1-2.src.rpm", "server-ohpc-1-2" + host}, published(t, l))
	require.Equal(t, report.Pass, results(r)["upgrade all packages with dnf"])

	// but it holds nothing any more that the repository below has by now.
	l.opt.Recipes, l.opt.Channel, l.opt.Overlay = nil, layout.Release, matrix.Overlay{}
	r, err = l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	rebuild("rival", "3")
	l.opt.Recipes, l.opt.Channel, l.opt.Overlay = []string{"rival"}, layout.Updates, matrix.Overlay{On: base}
	r, err = l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	require.Equal(t, []string{"rival-ohpc-1-3.src.rpm", "rival-ohpc-1-3" + host}, published(t, l))
	l.opt.Recipes = []string{"server"}

	// What neither has is missing from the union.
	spec.Data = []byte(strings.Replace(strings.Replace(string(spec.Data), "Release: 2\n", "Release: 4\n", 1), "Requires: common-ohpc", "Requires: common-ohpc >= 2", 1))
	r, err = l.new(t).Run(t.Context())
	require.ErrorAs(t, err, &failed)
	require.Equal(t, report.Fail, results(r)["closure all packages"])
	require.Equal(t, report.Fail, results(r)["upgrade all packages with dnf"])
}

// published are the files of packages that channel updates offers.
func published(t *testing.T, l *line) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(l.opt.Out, "repos/OpenHPC/3/updates/Debian_12/*/*.rpm"))
	require.NoError(t, err)
	for i, f := range files {
		files[i] = filepath.Base(f)
	}
	slices.Sort(files)
	return files
}

func TestWhatCannotBeAnOverlay(t *testing.T) {
	l := newLine(t)
	l.component("one", "", "", file("one", "one"))
	l.opt.Recipes = []string{"one"}
	l.new(t)
	refused := func(want string) {
		t.Helper()
		m, err := matrix.New(l.opt)
		if err == nil {
			_, err = m.Run(t.Context())
		}
		require.ErrorAs(t, err, new(*matrix.UsageError))
		require.ErrorContains(t, err, want)
	}
	l.opt.Overlay.On = t.TempDir()
	refused("name the folder that holds repodata")
	_, err := rpmmd.Write(t.Context(), l.opt.Overlay.On, nil, rpmmd.Options{})
	require.NoError(t, err)
	refused("its metadata are not signed")
	require.NoError(t, os.WriteFile(filepath.Join(l.opt.Overlay.On, rpmmd.RepomdFile+".asc"), []byte("no signature"), 0o644))
	refused("name the public key that it is signed with")
	l.opt.Overlay.On = "http://127.0.0.1:1/nothing"
	refused("connection refused")
	l.opt.Recipes = nil
	refused("name the recipes")
}

// TestTheSameRunAgain has nothing to upgrade: not at first, as nothing is published,
// nor then, as these packages are. Neither is missing from the cells' standing.
func TestTheSameRunAgain(t *testing.T) {
	l := newLine(t)
	l.component("one", "", "", file("one", "one"))
	for range 2 {
		r, err := l.new(t).Run(t.Context())
		require.NoError(t, err, r.Failures())
		require.Equal(t, report.Skip, results(r)["upgrade all packages with dnf"])
		require.NotContains(t, r.Cells[0].Brief, "upgrade")
		require.NotContains(t, r.Cells[0].Missing, "upgrade of all packages with dnf: skipped")
	}
}

// TestAnOverlayWithoutTests comes after one with tests, in the channel that users rely
// on: it proves nothing less. A whole repository without tests has proven nothing.
func TestAnOverlayWithoutTests(t *testing.T) {
	l := newLine(t)
	l.require("closure", "suite")
	const test = "tests: [tests/x.bats]\n"
	release := func(name, more, n string) {
		l.component(name, more, "", file(name, n))
		spec := l.files["components/test/"+name+"/SPECS/"+name+".spec"]
		spec.Data = []byte(strings.Replace(string(spec.Data), "Release: 1\n", "Release: "+n+"\n", 1))
	}
	release("plain", "", "1")
	l.opt.Allow.TechPreview = true
	r, err := l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	require.Equal(t, "suite: not run", r.Cells[0].Brief, "no overlay")

	l.files["components/test/tried/tests/x.bats"] = &fstest.MapFile{Data: []byte("@test 'one' { cat /opt/ohpc/test/tried; }\n# " + l.opt.Out)}
	release("tried", test, "1")
	l.opt.Allow.TechPreview = false
	r, err = l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	require.Equal(t, report.Supported, r.Cells[0].Status)

	l.opt.Overlay, l.opt.Channel = matrix.Overlay{On: filepath.Join(l.opt.Out, "repos/OpenHPC/3/Debian_12")}, layout.Updates
	for i, name := range []string{"tried", "plain", "tried", "plain"} {
		more := ""
		if name == "tried" {
			more = test
		}
		l.opt.Recipes = []string{name}
		release(name, more, strconv.Itoa(i+2))
		r, err = l.new(t).Run(t.Context())
		require.NoError(t, err, r.Failures())
		require.Equal(t, report.Supported, r.Cells[0].Status, r.Cells[0].Brief)
		if name == "plain" {
			n := slices.IndexFunc(r.Checks, func(c report.Check) bool { return c.Name == "suite" })
			require.Equal(t, report.Skip, r.Checks[n].Result, "it is told why")
			require.Equal(t, "the overlay has nothing to check for this cell", r.Checks[n].Reason)
		}
	}
	require.Len(t, published(t, l), 4)
}
