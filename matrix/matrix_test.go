package matrix_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/host"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
)

// line is a matrix over a catalogue of the test's own, for the embedded target
// on this host's architecture, so that images are those of the default run.
type line struct {
	files fstest.MapFS
	opt   matrix.Options
}

func newLine(t *testing.T) *line {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "mmdebstrap")
	l := &line{files: fstest.MapFS{
		"catalog.yaml": {Data: []byte("release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n")},
	}}
	for _, file := range []string{"targets/Debian_12.yaml"} {
		data, err := fs.ReadFile(catalog.FS(), file)
		require.NoError(t, err)
		l.files[file] = &fstest.MapFile{Data: data}
	}
	l.opt = matrix.Options{
		Program: "test", Architectures: []string{emulate.Host()},
		State: testenv.State(t), Out: t.TempDir(), URL: "file:///srv/repos", Runtime: "runc",
		KeyName: "OpenHPC 3", KeyEmail: "root@localhost",
	}
	return l
}

// component adds a recipe with a spec whose sections are given. The spec holds
// the time, so that no earlier run's result is taken for this one's.
func (l *line) component(name, more, tags, sections string) {
	dir := "components/test/" + name
	l.files[dir+"/recipe.yaml"] = &fstest.MapFile{Data: []byte("name: " + name + "\nkind: component\ngroup: test\nsummary: A test\n" + more)}
	l.files[dir+"/SPECS/"+name+".spec"] = &fstest.MapFile{Data: fmt.Appendf(nil, `# %d
Name: %s-ohpc
Version: 1
Release: 1
Summary: A test
License: Apache-2.0
%s

%%description
A test.

%s

%%changelog
* Mon Oct 21 2024 ohpc-build - 1-1
- First version
`, time.Now().UnixNano(), name, tags, sections)}
}

// file is a section list of a package that holds one file, and the folders that would
// stay behind if nobody owned them.
func file(name, content string) string {
	return "%install\nmkdir -p %{buildroot}/opt/ohpc/test\necho '" + content + "' > %{buildroot}/opt/ohpc/test/" + name +
		"\n%files\n%dir /opt/ohpc\n%dir /opt/ohpc/test\n/opt/ohpc/test/" + name
}

// require says which checks must be green.
func (l *line) require(checks ...string) {
	const name = "targets/Debian_12.yaml"
	target, _, _ := strings.Cut(string(l.files[name].Data), "\nchecks:")
	l.files[name] = &fstest.MapFile{Data: []byte(target + "\nchecks: [" + strings.Join(checks, ", ") + "]\n")}
}

func (l *line) meta(name string, requires ...string) {
	l.files["meta/"+name+"/recipe.yaml"] = &fstest.MapFile{Data: []byte(
		"name: " + name + "\nkind: meta-package\nsummary: A test\nrequires: [" + strings.Join(requires, ", ") + "]\n")}
}

func (l *line) new(t *testing.T) *matrix.Matrix {
	t.Helper()
	c, err := load.FS(l.files)
	require.NoError(t, err)
	l.opt.Catalog = c
	m, err := matrix.New(l.opt)
	require.NoError(t, err)
	return m
}

func job(t *testing.T, r *report.Run, recipe string) report.Job {
	t.Helper()
	for _, j := range r.Jobs {
		if j.Recipe == recipe {
			return j
		}
	}
	t.Fatalf("no job of %s in the report", recipe)
	return report.Job{}
}

func TestABuildThatFails(t *testing.T) {
	l := newLine(t)
	l.component("broken", "", "", "%build\necho the reason is here\nfalse\n%files")
	l.component("above", "", "BuildRequires: broken-ohpc", file("above", "above"))
	l.component("beside", "", "", file("beside", "beside"))
	r, err := l.new(t).Run(t.Context())
	var failed *matrix.FailedError
	require.ErrorAs(t, err, &failed)
	broken := job(t, r, "broken")
	require.Equal(t, report.Fail, broken.Result)
	require.Contains(t, broken.Reason, "the reason is here", "the last lines of the log are shown")
	log, err := os.ReadFile(filepath.Join(l.opt.Out, "report", broken.Log))
	require.NoError(t, err)
	require.Contains(t, string(log), "the reason is here")
	require.Equal(t, report.Skip, job(t, r, "above").Result)
	require.Contains(t, job(t, r, "above").Reason, "broken")
	require.Equal(t, report.Built, job(t, r, "beside").Result, "what does not depend on a failure is built all the same")
	require.NoDirExists(t, filepath.Join(l.opt.Out, "repos", "OpenHPC"), "nothing is published")
	doc, err := os.ReadFile(filepath.Join(l.opt.Out, "report", "matrix.json"))
	require.NoError(t, err)
	require.Contains(t, string(doc), `"result": "fail"`)
}

func TestASpecThatDoesNotParse(t *testing.T) {
	l := newLine(t)
	l.component("unreadable", "", "%if", "%files")
	l.component("beside", "", "", file("beside", "beside"))
	l.component("elsewhere", "exclude: [{arch: "+emulate.Host()+", reason: it is of no use here}]\n", "", file("elsewhere", "elsewhere"))
	r, err := l.new(t).Run(t.Context())
	var failed *matrix.FailedError
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, "1 of 2 jobs have a spec that cannot be read; the first: unreadable/Debian_12/")
	unreadable := job(t, r, "unreadable")
	require.Equal(t, report.Fail, unreadable.Result)
	require.Contains(t, unreadable.Reason, "components/test/unreadable/SPECS/unreadable.spec:")
	require.Equal(t, report.Built, job(t, r, "beside").Result, "what does not depend on a failure is built all the same")
	require.Contains(t, job(t, r, "elsewhere").Reason, "it is of no use here")
	for _, j := range r.Jobs {
		require.Equal(t, "test", j.Group, "%s stands where the others of its folder do", j.ID)
	}
	require.NoDirExists(t, filepath.Join(l.opt.Out, "repos", "OpenHPC"), "nothing is published")
}

func TestABuildRequirementThatNobodyHas(t *testing.T) {
	l := newLine(t)
	l.component("wanting", "", "BuildRequires: no-such-thing-devel", "%files")
	r, err := l.new(t).Build(t.Context())
	require.Error(t, err)
	reason := job(t, r, "wanting").Reason
	require.Contains(t, reason, "components/test/wanting/SPECS/wanting.spec:7: ")
	require.Contains(t, reason, "unresolvable BuildRequires: no-such-thing-devel; looked in the image, the packages of this run, no repository")
}

func TestSourcesThatCannotBeHad(t *testing.T) {
	l := newLine(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/changed.tar" {
			fmt.Fprint(w, "not what was agreed on")
			return
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	sum := strings.Repeat("0123456789abcdef", 4)
	l.component("changed", "sources:\n  - file: changed.tar\n    url: "+server.URL+"/changed.tar\n    sha256: "+sum+"\n", "Source0: changed.tar", "%files")
	l.component("gone", "sources:\n  - file: gone.tar\n    url: "+server.URL+"/gone.tar\n    mirrors: ["+server.URL+"/mirror/gone.tar]\n    sha256: "+sum+"\n", "Source0: gone.tar", "%files")
	r, err := l.new(t).Build(t.Context())
	require.Error(t, err)
	changed := job(t, r, "changed").Reason
	require.Contains(t, changed, server.URL+"/changed.tar")
	require.Contains(t, changed, "the recipe says "+sum)
	gone := job(t, r, "gone").Reason
	require.Contains(t, gone, server.URL+"/gone.tar")
	require.Contains(t, gone, server.URL+"/mirror/gone.tar", "every place that was tried is named")
}

// watch tells when a job begins.
type watch struct {
	matrix.NoProgress
	name  string
	begun chan struct{}
	once  sync.Once
}

type watchStage struct {
	matrix.Stage
	*watch
}

func (w *watch) Stage(name string, total int) matrix.Stage {
	return watchStage{w.NoProgress.Stage(name, total), w}
}

func (s watchStage) Begin(what string) {
	if strings.HasPrefix(what, s.name+"/") {
		s.once.Do(func() { close(s.begun) })
	}
}

func TestInterruptKeepsWhatIsFinished(t *testing.T) {
	l := newLine(t)
	const marker = "3613.75"
	l.component("first", "", "", file("first", "first"))
	l.component("second", "", "BuildRequires: first-ohpc", "%build\nsleep "+marker+"\n%files")
	w := &watch{name: "second", begun: make(chan struct{})}
	l.opt.Progress = w
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	var at time.Time
	go func() {
		<-w.begun
		require.Eventually(t, func() bool { return running(marker) > 0 }, time.Minute, 50*time.Millisecond)
		at = time.Now()
		cancel(why)
	}()
	_, err := l.new(t).Run(ctx)
	require.ErrorIs(t, err, why)
	require.Less(t, time.Since(at), 5*time.Second)
	require.Zero(t, running(marker), "no process of the build is left")

	l.opt.Progress = nil
	l.opt.Recipes = []string{"first"}
	r, err := l.new(t).Build(t.Context())
	require.NoError(t, err)
	require.Equal(t, report.Reused, job(t, r, "first").Result)
}

// running counts the processes whose command line holds a word.
func running(word string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	count := 0
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && bytes.Contains(line, []byte(word)) {
			count++
		}
	}
	return count
}

// expectations notes how long jobs are expected to take.
type expectations struct {
	matrix.NoProgress
	of map[string]time.Duration
}

type expectingStage struct {
	matrix.Stage
	*expectations
}

func (e *expectations) Stage(name string, total int) matrix.Stage {
	return expectingStage{e.NoProgress.Stage(name, total), e}
}

func (s expectingStage) Expect(what string, d time.Duration) {
	if s.of == nil {
		s.of = map[string]time.Duration{}
	}
	s.of[what] = d
}

func TestTheWholeLine(t *testing.T) {
	l := newLine(t)
	l.component("tool", "tests: [tests/run.sh]\n", "Requires: bash", file("tool", "built"))
	l.files["components/test/tool/tests/run.sh"] = &fstest.MapFile{Data: []byte("set -e\ngrep built /opt/ohpc/test/tool\n[ \"$(id -u)\" != 0 ]\n")}
	l.meta("ohpc-test", "tool-ohpc")
	times := &expectations{}
	l.opt.Progress = times
	r, err := l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	require.Positive(t, times.of["tool/Debian_12/"+emulate.Host()], "who watches is told how long a job is expected to take")
	require.Equal(t, "meta-packages", job(t, r, "ohpc-test").Group)
	built := job(t, r, "tool")
	for _, c := range r.Checks {
		require.GreaterOrEqual(t, c.Begin, built.Begin+built.Seconds, "%s was made after what it checks", c.ID())
		require.True(t, c.Reused || c.Begin+c.Seconds <= r.Seconds, c.ID())
	}
	l.opt.Progress = nil
	require.Equal(t, report.Pass, r.Result)
	require.Equal(t, report.Supported, r.Cells[0].Status)
	require.Len(t, r.Snapshots, 1)
	tree := filepath.Join(l.opt.Out, r.Snapshots[0].Path)
	for _, name := range []string{"repodata/repomd.xml", "repodata/repomd.xml.asc", "OpenHPC.repo", "RPM-GPG-KEY-OpenHPC-3", "src/tool-ohpc-1-1.src.rpm"} {
		require.FileExists(t, filepath.Join(tree, name))
	}

	again, err := l.new(t).Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, report.Reused, job(t, again, "tool").Result)
	for _, c := range again.Checks {
		require.True(t, c.Reused || c.Void, c.Name) // the channel has these very packages: nothing to upgrade
	}
	require.Equal(t, r.Snapshots[0].ID, again.Snapshots[0].ID, "nothing changed, nothing is published anew")

	// A change of the spec is a reason that is told.
	spec := l.files["components/test/tool/SPECS/tool.spec"]
	spec.Data = bytes.Replace(spec.Data, []byte("'built'"), []byte("'built again'"), 1)
	p, err := l.new(t).Plan(t.Context())
	require.NoError(t, err)
	require.Equal(t, "spec changed", p.Jobs[len(p.Jobs)-1].Reason)
}

func TestADamagedResultIsMadeAnew(t *testing.T) {
	l := newLine(t)
	l.component("damaged", "", "", file("damaged", "damaged"))
	r, err := l.new(t).Build(t.Context())
	require.NoError(t, err)
	first := job(t, r, "damaged")
	require.Equal(t, report.Built, first.Result)

	hex := strings.TrimPrefix(first.Packages[0].Digest, "sha256:")
	object := filepath.Join(l.opt.State, "store/objects/sha256", hex[:2], hex)
	require.NoError(t, os.Chmod(object, 0o644))
	require.NoError(t, os.WriteFile(object, []byte("rotten"), 0o644))
	r, err = l.new(t).Build(t.Context())
	require.NoError(t, err)
	again := job(t, r, "damaged")
	require.Equal(t, report.Built, again.Result)
	require.Equal(t, "its result is no longer in the store", again.Reason)
	require.Equal(t, first.Packages, again.Packages, "the same build gives the same bytes")
}

func TestARunOfSomeRecipesKeepsTheOthers(t *testing.T) {
	l := newLine(t)
	l.component("one", "", "", file("one", "one"))
	l.component("two", "", "", file("two", "two"))
	r, err := l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	require.Equal(t, 4, r.Snapshots[0].Packages)

	// The one is changed and named, the other is taken along as it was.
	l.component("one", "", "", file("one", "changed"))
	l.opt.Recipes = []string{"one"}
	r, err = l.new(t).Run(t.Context())
	require.NoError(t, err, r.Failures())
	require.Equal(t, 4, r.Snapshots[0].Packages)
	require.Equal(t, report.Built, job(t, r, "one").Result)
	require.Equal(t, report.Reused, job(t, r, "two").Result)

	// The other is changed too, but not named: it cannot be taken along.
	published, err := os.Readlink(filepath.Join(l.opt.Out, "repos/OpenHPC/3/Debian_12"))
	require.NoError(t, err)
	l.component("two", "", "", file("two", "changed"))
	_, err = l.new(t).Run(t.Context())
	var failed *matrix.FailedError
	require.ErrorAs(t, err, &failed)
	require.ErrorContains(t, err, "removed: two-ohpc.")
	require.ErrorContains(t, err, "this run is of some recipes")
	now, err := os.Readlink(filepath.Join(l.opt.Out, "repos/OpenHPC/3/Debian_12"))
	require.NoError(t, err)
	require.Equal(t, published, now)
}

func TestWhatCannotBeInstalledIsNotPublished(t *testing.T) {
	l := newLine(t)
	l.component("dangling", "", "Requires: no-such-thing >= 2", file("dangling", "dangling"))
	r, err := l.new(t).Run(t.Context())
	var failed *matrix.FailedError
	require.ErrorAs(t, err, &failed)
	require.NoDirExists(t, filepath.Join(l.opt.Out, "repos", "OpenHPC"))
	reasons := map[string]string{}
	for _, c := range r.Checks {
		reasons[c.Name+" "+c.Subject] = string(c.Result) + ": " + c.Reason
	}
	require.Contains(t, reasons["closure all packages"], "dangling-ohpc-1-1."+emulate.Host()+" requires no-such-thing >= 2, which nothing provides")
	require.Contains(t, reasons["install dangling with dnf"], "fail: it could not be installed")
	require.Contains(t, reasons["install dangling with dnf"], "nothing provides no-such-thing >= 2")
	require.Contains(t, reasons["install dangling with zypper"], "no-such-thing >= 2")
	require.Equal(t, "skip: nothing is published in channel release yet", reasons["upgrade all packages with dnf"])
}

func TestOptionsThatNameNothing(t *testing.T) {
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		change func(*matrix.Options)
		want   string
	}{
		"recipe":       {func(o *matrix.Options) { o.Recipes = []string{"scoth"} }, `no recipe "scoth" (did you mean "scotch"?)`},
		"target":       {func(o *matrix.Options) { o.Targets = []string{"Debian_13"} }, `no target "Debian_13"`},
		"architecture": {func(o *matrix.Options) { o.Architectures = []string{"amd64"} }, `no target has the architecture "amd64"`},
		"family":       {func(o *matrix.Options) { o.Families = map[string]string{"compilr": "gnu12"} }, `no family "compilr" (did you mean "compiler"?)`},
		"member":       {func(o *matrix.Options) { o.Families = map[string]string{"compiler": "gnu21"} }, `"gnu21" (did you mean "gnu12"?)`},
	} {
		t.Run(name, func(t *testing.T) {
			opt := matrix.Options{Catalog: c, State: t.TempDir(), Out: t.TempDir()}
			tc.change(&opt)
			_, err := matrix.New(opt)
			var usage *matrix.UsageError
			require.ErrorAs(t, err, &usage)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestWhatTheHostLacksIsToldAtOnce(t *testing.T) {
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	m, err := matrix.New(matrix.Options{Catalog: c, State: t.TempDir(), Out: t.TempDir(), Runtime: "no-such-runtime"})
	require.NoError(t, err)
	t.Setenv("PATH", t.TempDir())
	err = m.CheckHost(t.Context())
	var lacks *host.Error
	require.ErrorAs(t, err, &lacks)
	require.ErrorContains(t, err, "no-such-runtime is not installed")
	require.ErrorContains(t, err, "mmdebstrap is not installed")
}
