package matrix

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
)

// idle are meta-packages in a chain, each for many compilers, that are all built.
type idle struct {
	catalog    *recipes.Catalog
	store      *store.Store
	state, out string
	jobs       int
}

func newIdle(t *testing.T, length int) *idle {
	t.Helper()
	const members = 50
	files := fstest.MapFS{}
	add := func(name, format string, args ...any) {
		files[name] = &fstest.MapFile{Data: fmt.Appendf(nil, format, args...)}
	}
	target, err := fs.ReadFile(catalog.FS(), "targets/Debian_12.yaml")
	require.NoError(t, err)
	add("targets/Debian_12.yaml", "%s", target)
	add("catalog.yaml", "release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n")
	add("meta/base/recipe.yaml", "name: base\nkind: meta-package\nsummary: The lowest\nrequires: [bash]\n")
	family := "name: compiler\ndefine: compiler_family\nsummary: Compilers\nmembers:\n"
	for m := range members {
		family += fmt.Sprintf("  - name: c%02d\n    summary: A compiler\n    recipe: base\n", m)
	}
	add("families/compiler.yaml", "%s", family)
	needs := "base"
	for r := range length {
		name := fmt.Sprintf("m%03d-{compiler}", r)
		add(fmt.Sprintf("meta/m%03d-compiler/recipe.yaml", r),
			"name: %q\nkind: meta-package\nsummary: One of many\nfamilies:\n  compiler: all\nrequires: [%q, bash]\n", name, needs)
		needs = name
	}
	c, err := load.FS(files)
	require.NoError(t, err)
	i := &idle{catalog: c, state: t.TempDir(), out: t.TempDir(), jobs: length*members + 1}
	i.store, err = store.Open(filepath.Join(i.state, "store"))
	require.NoError(t, err)
	i.build(t)
	return i
}

// build gives all jobs results of one package: records as the store writes them, but
// for waiting for the disk.
func (i *idle) build(t *testing.T) {
	t.Helper()
	d, err := i.store.PutBytes(t.Context(), []byte("a package"))
	require.NoError(t, err)
	require.NoError(t, i.store.PutRecord("results", "first", 0)) // makes the folder
	m := i.matrix(t)
	require.NoError(t, m.makePlan(t.Context()))
	require.Len(t, m.jobs.Plan.Jobs, i.jobs)
	for _, j := range m.jobs.Plan.Jobs {
		value, err := json.Marshal(builder.Result{Packages: []buildroot.Package{{File: j.Recipe + "-1-1.noarch.rpm", Digest: d}}})
		require.NoError(t, err)
		record := fmt.Appendf(nil, `{"sha256":%q,"value":%s}`, store.Of(value), value)
		path := filepath.Join(i.state, "store", "records", "results", store.Of([]byte(j.Key)).Hex()+".json")
		require.NoError(t, os.WriteFile(path, record, 0o644))
	}
}

func (i *idle) matrix(t *testing.T) *Matrix {
	t.Helper()
	m, err := New(Options{Program: "test", Catalog: i.catalog, Architectures: []string{emulate.Host()}, State: i.state, Out: i.out})
	require.NoError(t, err)
	m.store = i.store
	return m
}

// run takes the jobs from the plan to the report, as a build does on a host that is ready.
func (i *idle) run(t *testing.T) *Matrix {
	t.Helper()
	m := i.matrix(t)
	require.NoError(t, m.makePlan(t.Context()))
	require.NoError(t, m.buildAndLook(t.Context()))
	r, err := m.finish(nil)
	require.NoError(t, err)
	require.Len(t, r.Jobs, i.jobs)
	for _, j := range r.Jobs {
		require.Equal(t, report.Reused, j.Result, j.ID)
	}
	require.True(t, r.Previous == nil || r.Previous.Empty())
	return m
}

// memory is what a run allocated, in number and in bytes, and what it holds at its end,
// for each job.
type memory struct{ number, bytes, held float64 }

func (i *idle) measure(t *testing.T) memory {
	t.Helper()
	i.run(t) // what there is once, and the report that is compared with
	var before, after, end runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools let go of
	runtime.ReadMemStats(&before)
	m := i.run(t)
	runtime.ReadMemStats(&after)
	runtime.GC()
	runtime.GC() // what finalizers and pools let go of
	runtime.ReadMemStats(&end)
	runtime.KeepAlive(m)
	each := func(a, b uint64) float64 { return (float64(b) - float64(a)) / float64(i.jobs) }
	return memory{each(before.Mallocs, after.Mallocs), each(before.TotalAlloc, after.TotalAlloc), each(before.HeapAlloc, end.HeapAlloc)}
}

// TestNothingToDoGrowsWithTheJobs: a run with nothing to do takes for each of many jobs
// what it takes for each of few, and holds little. What is allocated is counted, as no
// clock on a busy machine can be relied on.
func TestNothingToDoGrowsWithTheJobs(t *testing.T) {
	few, many := newIdle(t, 10).measure(t), newIdle(t, 60).measure(t)
	t.Logf("for each job of few: %+v, of many: %+v", few, many)
	const more = 1.25 // maps and slices grow in steps
	require.Less(t, many.number, more*few.number)
	require.Less(t, many.bytes, more*few.bytes)
	require.Less(t, many.held, 2500.0, "bytes: a hundred thousand jobs are held in a quarter of a gibibyte")
}
