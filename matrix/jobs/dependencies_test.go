package jobs_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/bridge"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/matrix/execute"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/recipes/source"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

type index struct{}

func (index) Index(ctx context.Context, dir string, files []string) error {
	var entries []rpmmd.Entry
	for _, file := range files {
		p, err := rpm.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		entries = append(entries, rpmmd.Entry{Package: p, Location: file, SHA256: store.Of(text).Hex()})
	}
	_, err := rpmmd.Write(ctx, dir, entries, rpmmd.Options{})
	return err
}

type silent struct{}

func (silent) Begin(string)       {}
func (silent) End(string, string) {}

// world is a cell whose image has a repository configured, and what works on it.
type world struct {
	t       *testing.T
	store   *store.Store
	sandbox *sandbox.Runtime
	catalog *recipes.Catalog
	cell    *jobs.Cell
	server  *httptest.Server
	dir     string // of the repository
	in      jobs.Input
}

func spec(name, tags string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("Name: " + name + "-ohpc\nVersion: 1\nRelease: 1\nSummary: A test\nLicense: Apache-2.0\nBuildArch: noarch\n" + tags +
		"\n%description\nA test.\n%install\nmkdir -p %{buildroot}/opt\ncp /opt/thing %{buildroot}/opt/" + name + " || echo none >%{buildroot}/opt/" + name +
		"\n%files\n/opt/" + name + "\n%changelog\n* Mon Oct 21 2024 ohpc-build - 1-1\n- First version\n")}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "mmdebstrap")
	target, err := catalog.FS().Open("targets/Debian_12.yaml")
	require.NoError(t, err)
	var text bytes.Buffer
	_, err = text.ReadFrom(target)
	require.NoError(t, err)
	c, err := load.FS(fstest.MapFS{
		"catalog.yaml":                           {Data: []byte("release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n")},
		"targets/Debian_12.yaml":                 {Data: text.Bytes()},
		"components/test/mine/recipe.yaml":       {Data: []byte("name: mine\nkind: component\ngroup: test\nsummary: A test\n")},
		"components/test/mine/SPECS/mine.spec":   spec("mine", "BuildRequires: thing >= 2, lower-ohpc"),
		"components/test/lower/recipe.yaml":      {Data: []byte("name: lower\nkind: component\ngroup: test\nsummary: A test\n")},
		"components/test/lower/SPECS/lower.spec": spec("lower", "Requires: below"),
		"components/test/lost/recipe.yaml":       {Data: []byte("name: lost\nkind: component\ngroup: test\nsummary: A test\n")},
		"components/test/lost/SPECS/lost.spec":   spec("lost", "BuildRequires: thing > 9"),
	})
	require.NoError(t, err)
	w := &world{t: t, catalog: c, dir: t.TempDir()}
	state := testenv.State(t)
	shared, err := store.Open(filepath.Join(state, "store"))
	require.NoError(t, err)
	w.store, err = store.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	w.sandbox, err = sandbox.New("runc", filepath.Join(state, "run"))
	require.NoError(t, err)
	images := image.New(shared, filepath.Join(state, "layers", "images"))
	at, err := c.Target("Debian_12")
	require.NoError(t, err)
	b := at.Image.Bootstrap
	img, err := debian.Bootstrap{Suite: b.Suite, Components: b.Components, Packages: b.Packages}.Image(t.Context(), images, emulate.Host(), t.Output())
	require.NoError(t, err)
	img, err = bridge.Names(at.Bridge).Image(t.Context(), images, w.sandbox, img, t.Output())
	require.NoError(t, err)
	root, err := images.Unpack(t.Context(), img)
	require.NoError(t, err)

	w.publish("thing", "1", "one")
	w.publish("thing", "2", "two")
	w.publish("below", "1", "below")
	w.server = httptest.NewServer(http.FileServer(http.Dir(w.dir)))
	t.Cleanup(w.server.Close)
	layer := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(layer, "etc/yum.repos.d"), 0o755))
	definition := "[dist]\nname=The distribution\nbaseurl=" + w.server.URL + "\nenabled=1\ngpgcheck=0\n"
	require.NoError(t, os.WriteFile(filepath.Join(layer, "etc/yum.repos.d/dist.repo"), []byte(definition), 0o644))
	w.cell = &jobs.Cell{Target: at, Arch: emulate.Host(), Image: buildroot.Image{
		Digest: store.Of([]byte(root.Digest + "with a repository")), Layers: append([]string{layer}, root.Layers...),
	}}
	w.cell.Reader = jobs.Reader{Image: w.cell.Image, Arch: w.cell.Arch, Target: at.Name}
	w.in = jobs.Input{Catalog: c, Cells: []*jobs.Cell{w.cell}, Resolver: resolve.New(w.store, w.sandbox, index{})}
	return w
}

// publish adds a package to the distribution.
func (w *world) publish(name, version, content string) {
	var b bytes.Buffer
	require.NoError(w.t, write.Write(&b, write.Package{
		Name: name, Version: version, Release: "1", Arch: "noarch", Summary: name, Description: name, License: "Apache-2.0",
		SourceRPM: name + "-" + version + "-1.src.rpm", BuildTime: time.Unix(1700000000, 0), BuildHost: "test",
		Files: []write.File{{Path: "/opt/" + name, Data: []byte(content)}},
	}))
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, name+"-"+version+"-1.noarch.rpm"), b.Bytes(), 0o644))
	all, err := filepath.Glob(filepath.Join(w.dir, "*.rpm"))
	require.NoError(w.t, err)
	for i := range all {
		all[i] = filepath.Base(all[i])
	}
	require.NoError(w.t, index{}.Index(w.t.Context(), w.dir, all))
}

func (w *world) plan() (*jobs.Set, error) {
	return jobs.New(w.t.Context(), w.in, w.store, w.sandbox, source.New(w.store), slog.New(slog.DiscardHandler), silent{})
}

// run builds a job as package matrix does.
func (w *world) run(s *jobs.Set, recipe string) (*builder.Result, error) {
	j := s.Plan.Job(fmt.Sprintf("%s/Debian_12/%s", recipe, w.cell.Arch))
	require.NotNil(w.t, j)
	if err := s.Prepare(w.t.Context(), j); err != nil {
		return nil, err
	}
	result, job, parts, err := s.Find(j)
	if err != nil || result != nil {
		return result, err
	}
	if err := s.Fetch(w.t.Context(), j); err != nil {
		return nil, err
	}
	state := w.t.TempDir()
	file, err := execute.Write(state, s.Describe(j, job, parts))
	if err != nil {
		return nil, err
	}
	build := builder.New(w.store, w.sandbox, buildroot.New(w.store, w.sandbox, filepath.Join(w.store.Dir(), "..", "roots")))
	outcome, err := execute.NewLocal(state, w.store, build).Execute(w.t.Context(), file, w.t.Output())
	if err != nil {
		return nil, err
	}
	s.Adopt(j, outcome.Result)
	return outcome.Result, nil
}

func (w *world) lock(s *jobs.Set, recipe string) *resolve.Lock {
	return s.Lock(s.Plan.Job(fmt.Sprintf("%s/Debian_12/%s", recipe, w.cell.Arch)))
}

func files(l *resolve.Lock) []string {
	var all []string
	for _, p := range l.Packages {
		all = append(all, p.File)
	}
	return all
}

func TestPackagesOfTheDistribution(t *testing.T) {
	w := newWorld(t)
	s, err := w.plan()
	require.NoError(t, err)
	_, err = w.run(s, "lower")
	require.NoError(t, err)
	require.Empty(t, w.lock(s, "lower").Packages)

	// A spec's requirement that nobody meets is told with its line.
	_, err = w.run(s, "lost")
	var wrong *jobs.RequirementError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, []string{"components/test/lost/SPECS/lost.spec:7"}, wrong.Where)
	require.ErrorContains(t, err, "unresolvable BuildRequires: thing > 9; looked in the image, the packages of this run, dist ("+w.server.URL)

	s, err = w.plan()
	require.NoError(t, err)
	mine := s.Plan.Job("mine/Debian_12/" + w.cell.Arch)
	require.Empty(t, mine.Key)
	require.Equal(t, "new, dependencies to be resolved", mine.Reason)
	first, err := w.run(s, "mine")
	require.NoError(t, err)
	l := w.lock(s, "mine")
	require.Equal(t, []string{"below-1-1.noarch.rpm", "lower-ohpc-1-1.noarch.rpm", "thing-2-1.noarch.rpm"}, files(l))
	require.Equal(t, "dnf", l.Manager)
	require.Equal(t, w.server.URL+"/thing-2-1.noarch.rpm", l.Packages[2].Origin.URL)

	// What was resolved stays, whatever the distribution has by now.
	w.publish("thing", "3", "three")
	s, err = w.plan()
	require.NoError(t, err)
	require.Equal(t, "reused", s.Plan.Job(mine.ID).Reason)
	again, err := w.run(s, "mine")
	require.NoError(t, err)
	require.Equal(t, first.Packages, again.Packages)
	require.Equal(t, l, w.lock(s, "mine"))

	w.in.Refresh = true
	s, err = w.plan()
	require.NoError(t, err)
	fresh, err := w.run(s, "mine")
	require.NoError(t, err)
	require.Contains(t, files(w.lock(s, "mine")), "thing-3-1.noarch.rpm")
	require.NotEqual(t, first.Packages, fresh.Packages)
	w.in.Refresh = false

	// The lock repeats the first one, in a store that never saw it.
	text, err := l.JSON()
	require.NoError(t, err)
	locked, err := resolve.ReadLock(text)
	require.NoError(t, err)
	lower := w.store
	w.store, err = store.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	w.in.Locked = map[string]*resolve.Lock{mine.ID: locked}
	s, err = w.plan()
	require.NoError(t, err)
	_, err = w.run(s, "lower") // makes the same again
	require.NoError(t, err)
	repeated, err := w.run(s, "mine")
	require.NoError(t, err)
	require.Equal(t, first.Packages, repeated.Packages)

	// An own package that is gone is named.
	w.store, err = store.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	gone := *locked
	gone.Packages = append([]resolve.Package(nil), locked.Packages...)
	gone.Packages[1].Digest = store.Of([]byte("never made"))
	w.in.Locked[mine.ID] = &gone
	s, err = w.plan()
	require.NoError(t, err)
	_, err = w.run(s, "lower")
	require.NoError(t, err)
	_, err = w.run(s, "mine")
	var missing *jobs.GoneError
	require.ErrorAs(t, err, &missing)
	require.ErrorContains(t, err, "lower-ohpc-1-1.noarch.rpm")
	require.ErrorContains(t, err, "job lower/Debian_12/")

	// A lock of something else is refused, and the difference told.
	w.store = lower
	gone = *locked
	gone.Requires = []string{"thing >= 1"}
	w.in.Locked[mine.ID] = &gone
	_, err = w.plan()
	var refused *jobs.RecipeError
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, "it did not require thing >= 2")
	require.ErrorContains(t, err, "it no longer requires thing >= 1")
}
