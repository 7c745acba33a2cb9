package spec_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// host runs rpmspec on this machine, without a container: it is rpm's answers
// that are tested here, and every spec is the test's own.
type host struct{ runs atomic.Int32 }

func (h *host) Run(ctx context.Context, dir string, args []string) error {
	h.runs.Add(1)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C.UTF-8"}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return nil // that a command fails is not the runner's failure
	}
	return err
}

func hostArch(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("rpmspec"); err != nil {
		if os.Getenv("CI") == "true" {
			require.NoError(t, err)
		}
		t.Skipf("rpmspec is not installed: %v", err)
	}
	return map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
}

type bench struct {
	*spec.Evaluator
	store *store.Store
	host  *host
	arch  string
	t     *testing.T
}

func newBench(t *testing.T) *bench {
	t.Helper()
	arch := hostArch(t)
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	h := &host{}
	return &bench{spec.New(st, h, spec.Image{Digest: store.Of([]byte("the host")), Arch: arch}), st, h, arch, t}
}

func (b *bench) file(name, text string) spec.File {
	d, err := b.store.PutBytes(b.t.Context(), []byte(text))
	require.NoError(b.t, err)
	return spec.File{Name: name, Digest: d}
}

// query makes a query of the body of a spec, which comes after its obligatory
// tags.
func (b *bench) query(body string, sources ...spec.File) spec.Query {
	const head = "Name: probe\nVersion: 1.0\nRelease: 1%{?dist}\nSummary: s\nLicense: MIT\n"
	return spec.Query{
		Path: "components/x/probe/SPECS/probe.spec", Arch: b.arch,
		Spec: b.file("probe.spec", head+body), Sources: sources,
		Defines: []spec.Define{{Name: "dist", Value: ".300.ohpc"}},
	}
}

func (b *bench) one(q spec.Query) (*spec.Result, error) {
	answers, err := b.Evaluate(b.t.Context(), []spec.Query{q}, nil)
	require.NoError(b.t, err)
	require.Len(b.t, answers, 1)
	return answers[0].Result, answers[0].Err
}

func TestPackages(t *testing.T) {
	b := newBench(t)
	r, err := b.one(b.query(`
Epoch: 2
Source0: https://example.org/probe-1.0.tar.gz#/renamed.tar.gz
Source7: probe.conf
Patch1: fix.patch
BuildRequires: gcc >= 12, pkgconfig(zlib), (make or gmake)
BuildConflicts: evil < 3
Requires: it's
Requires: (x if y)
Requires(post): /bin/sh
Provides: virtual = 3:1-2
Obsoletes: old < 1
Conflicts: rival
Recommends: friend
ExcludeArch: sparc
%description
d
%package devel
Summary: it's "quoted" $(and) \escaped
Requires: %{name} = %{epoch}:%{version}
BuildArch: noarch
%description devel
d
%package phantom
Summary: has no files and is never written
%description phantom
d
%files
%files devel
`))
	require.NoError(t, err)
	require.Len(t, r.Packages, 2, "a subpackage without %%files is never produced")

	probe := r.Packages[0]
	require.Equal(t, "probe", probe.Name)
	require.EqualValues(t, 2, probe.Epoch)
	require.Equal(t, "1.0", probe.Version)
	require.Equal(t, "1.300.ohpc", probe.Release)
	require.Equal(t, b.arch, probe.Arch)
	require.Contains(t, probe.Provides, rpm.Dependency{Name: "probe", Flags: rpm.Equal, Version: "2:1.0-1.300.ohpc"})
	require.Contains(t, probe.Provides, rpm.Dependency{Name: "virtual", Flags: rpm.Equal, Version: "3:1-2"})
	require.ElementsMatch(t, []rpm.Dependency{{Name: "it's"}, {Name: "(x if y)"}, {Name: "/bin/sh", Flags: rpm.ScriptPost}}, probe.Requires)
	require.Equal(t, []rpm.Dependency{{Name: "old", Flags: rpm.Less, Version: "1"}}, probe.Obsoletes)
	require.Equal(t, []rpm.Dependency{{Name: "rival"}}, probe.Conflicts)
	require.Equal(t, []rpm.Dependency{{Name: "friend"}}, probe.Recommends)

	devel := r.Packages[1]
	require.Equal(t, "probe-devel", devel.Name)
	require.Equal(t, "noarch", devel.Arch)
	require.Equal(t, `it's "quoted" $(and) \escaped`, devel.Summary)
	require.Equal(t, []rpm.Dependency{{Name: "probe", Flags: rpm.Equal, Version: "2:1.0"}}, devel.Requires)

	require.ElementsMatch(t, []rpm.Dependency{
		{Name: "gcc", Flags: rpm.Greater | rpm.Equal, Version: "12"}, {Name: "pkgconfig(zlib)"}, {Name: "(make or gmake)"},
	}, r.Source.Requires)
	require.Equal(t, []rpm.Dependency{{Name: "evil", Flags: rpm.Less, Version: "3"}}, r.Source.Conflicts)
	require.ElementsMatch(t, []string{"renamed.tar.gz", "probe.conf"}, r.Source.Sources)
	require.Equal(t, []string{"fix.patch"}, r.Source.Patches)
	require.Equal(t, []string{"sparc"}, r.Source.ExcludeArch)
}

func TestIncludesAndDefines(t *testing.T) {
	b := newBench(t)
	macros := b.file("OHPC_macros", "%global PROJ_DELIM -ohpc\nSource42: OHPC_macros\n")
	q := b.query(`
%include %{_sourcedir}/OHPC_macros
Provides: name%{PROJ_DELIM}-%{compiler_family}
Provides: spaced(%{words})
%description
%files
`, macros)
	q.Defines = append(q.Defines, spec.Define{Name: "compiler_family", Value: "gnu12"}, spec.Define{Name: "words", Value: "a;b|c"})
	r, err := b.one(q)
	require.NoError(t, err)
	var names []string
	for _, p := range r.Packages[0].Provides {
		names = append(names, p.Name)
	}
	require.Contains(t, names, "name-ohpc-gnu12")
	require.Contains(t, names, "spaced(a;b|c)")
	require.Equal(t, []string{"OHPC_macros"}, r.Source.Sources)
}

func TestForeignArchitecture(t *testing.T) {
	b := newBench(t)
	q := b.query("%ifarch aarch64\nProvides: arm\n%endif\n%ifarch ppc64le\nProvides: power\n%endif\n%description\n%files\n")
	for arch, want := range map[string]string{"aarch64": "arm", "ppc64le": "power"} {
		q.Arch = arch
		r, err := b.one(q)
		require.NoError(t, err)
		require.Equal(t, arch, r.Packages[0].Arch)
		require.Contains(t, r.Packages[0].Provides, rpm.Dependency{Name: want})
	}
}

func TestSkips(t *testing.T) {
	b := newBench(t)
	for tags, want := range map[string]string{
		"ExclusiveArch: s390x ppc64": "ExclusiveArch: s390x ppc64",
		"ExcludeArch: " + b.arch:     "ExcludeArch: " + b.arch,
		"BuildArch: s390x":           "No compatible architectures found for build",
	} {
		q := b.query(tags + "\n%description\n%files\n")
		for range 2 { // asked, and remembered
			_, err := b.one(q)
			var skip *spec.SkipError
			require.ErrorAs(t, err, &skip, tags)
			require.Equal(t, &spec.SkipError{File: q.Path, Arch: b.arch, Reason: want}, skip)
		}
	}
	r, err := b.one(b.query("ExclusiveArch: s390x " + b.arch + "\n%description\n%files\n"))
	require.NoError(t, err)
	require.Len(t, r.Packages, 1)
}

func TestParseErrors(t *testing.T) {
	b := newBench(t)
	tests := map[string]struct{ body, want string }{
		"unknown tag":     {"Reqires: x\n%description\n", "components/x/probe/SPECS/probe.spec:6: Unknown tag: Reqires: x"},
		"missing include": {"%include %{_sourcedir}/nothing\n%description\n", "probe.spec:6: it includes nothing, which lies neither"},
		"open if":         {"%if 1\n%description\n%files\n", "components/x/probe/SPECS/probe.spec:6: Unclosed %if"},
		"many errors":     {"Requires: a >\n%description\n%files\n", "probe.spec:6: Version required: Requires: a >"},
		"text around it":  {"%(echo error: line 99: not rpm >&2; echo '# x')\nBad: tag\n%description\n", "Unknown tag: Bad: tag"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := b.query(tt.body)
			for range 2 { // asked, and remembered
				_, err := b.one(q)
				var parse *spec.ParseError
				require.ErrorAs(t, err, &parse)
				require.ErrorContains(t, err, tt.want)
				require.NotContains(t, err.Error(), "can't parse", "rpm's last line says nothing")
			}
		})
	}
}

func TestWarningsAreKept(t *testing.T) {
	b := newBench(t)
	r, err := b.one(b.query("# in %{_bindir}\n%description\n%files\n"))
	require.NoError(t, err)
	require.NotEmpty(t, r.Warnings)
	require.Contains(t, r.Warnings[0], "Macro expanded in comment on line 6")
}

// A broken spec, one that never ends and one that kills its container do not
// touch their neighbours.
func TestNeighbours(t *testing.T) {
	b := newBench(t)
	good := "Provides: n@\n%description\n%files\n"
	var queries []spec.Query
	for i := range 7 {
		queries = append(queries, b.query(strings.ReplaceAll(good, "@", string(rune('0'+i)))))
	}
	queries[2] = b.query("Nonsense\n%description\n")
	queries[4] = b.query("%(kill -9 $PPID $(ps -o ppid= -p $PPID))\n%(ps -o pid=,args= | grep 'for query i[n]' | while read pid rest; do kill -9 $pid; done)\n%description\n")
	answers, err := b.Evaluate(t.Context(), queries, nil)
	require.NoError(t, err)
	for i, a := range answers {
		if i == 2 || i == 4 {
			require.Error(t, a.Err)
			continue
		}
		require.NoError(t, a.Err)
		require.Contains(t, a.Result.Packages[0].Provides, rpm.Dependency{Name: "n" + string(rune('0'+i))})
	}
}

func TestAnswersAreRemembered(t *testing.T) {
	b := newBench(t)
	macros := b.file("macros", "%global word one\n")
	q := b.query("%include %{_sourcedir}/macros\nProvides: %{word}\n%description\n%files\n", macros, b.file("other", "x"))
	first, err := b.one(q)
	require.NoError(t, err)
	require.EqualValues(t, 1, b.host.runs.Load())

	q.Path = "elsewhere/probe.spec"
	q.Sources[0], q.Sources[1] = q.Sources[1], q.Sources[0]
	again, err := b.one(q)
	require.NoError(t, err)
	require.EqualValues(t, 1, b.host.runs.Load(), "neither path nor order change an answer")
	require.Equal(t, first, again)

	changes := map[string]func(q spec.Query) spec.Query{
		"an included file": func(q spec.Query) spec.Query {
			q.Sources = []spec.File{b.file("macros", "%global word two\n")}
			return q
		},
		"a define":     func(q spec.Query) spec.Query { q.Defines = []spec.Define{{Name: "dist", Value: ".1"}}; return q },
		"architecture": func(q spec.Query) spec.Query { q.Arch = "s390x"; return q },
		"the spec": func(q spec.Query) spec.Query {
			q.Spec = b.query("Provides: three\n%description\n%files\n").Spec
			return q
		},
	}
	for name, change := range changes {
		before := b.host.runs.Load()
		_, err := b.one(change(q))
		require.NoError(t, err)
		require.Equal(t, before+1, b.host.runs.Load(), name)
	}
	other := spec.New(b.store, b.host, spec.Image{Digest: store.Of([]byte("another image")), Arch: b.arch})
	before := b.host.runs.Load()
	_, err = other.Evaluate(t.Context(), []spec.Query{q}, nil)
	require.NoError(t, err)
	require.Equal(t, before+1, b.host.runs.Load(), "image")
}

// What a container leaves in its folder is not trusted.
func TestHostileFolder(t *testing.T) {
	b := newBench(t)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("N 'stolen' 0 '1' '1' 'noarch' ''\n"), 0o600))
	for name, body := range map[string]string{
		"link": "%(rm -f 0/builtrpms.out; ln -s " + secret + " 0/builtrpms.out)\n%description\n%files\n",
		"fifo": "%(rm -f 0/builtrpms.out; mkfifo 0/builtrpms.out)\n%description\n%files\n",
	} {
		answers, err := b.Evaluate(t.Context(), []spec.Query{b.query(body)}, nil)
		require.Nil(t, answers, name)
		require.ErrorContains(t, err, "a spec replaced builtrpms.out by something that is no file", name)
	}
}

func TestQueriesAreChecked(t *testing.T) {
	b := newBench(t)
	for name, change := range map[string]func(*spec.Query){
		"path for a spec":   func(q *spec.Query) { q.Spec.Name = "../x.spec" },
		"path for a source": func(q *spec.Query) { q.Sources = []spec.File{{Name: "a/b"}} },
		"macro with body":   func(q *spec.Query) { q.Defines = []spec.Define{{Name: "a b", Value: "c"}} },
		"two arguments":     func(q *spec.Query) { q.Defines = []spec.Define{{Name: "a", Value: "b\x00--eval\x00%(id)"}} },
		"option for arch":   func(q *spec.Query) { q.Arch = "-x" },
	} {
		q := b.query("%description\n%files\n")
		change(&q)
		_, err := b.Evaluate(t.Context(), []spec.Query{q}, nil)
		require.ErrorContains(t, err, "evaluating components/x/probe/SPECS/probe.spec: ", name)
	}
	require.Zero(t, b.host.runs.Load())
}

type broken struct{}

func (broken) Run(context.Context, string, []string) error { return errors.New("no runc here") }

func TestRunnerFails(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	d, err := st.PutBytes(t.Context(), []byte("Name: x\n"))
	require.NoError(t, err)
	e := spec.New(st, broken{}, spec.Image{Arch: "x86_64"})
	_, err = e.Evaluate(t.Context(), []spec.Query{{Path: "x.spec", Spec: spec.File{Name: "x.spec", Digest: d}, Arch: "x86_64"}}, nil)
	require.EqualError(t, err, "evaluating specs: running rpmspec: no runc here")
}
