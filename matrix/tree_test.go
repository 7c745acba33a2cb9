package matrix_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/lint"
	"github.com/ohpc-build/ohpc-build/recipes/targets"
	"github.com/ohpc-build/ohpc-build/recipes/tree"
)

// distributions are those that OpenHPC is built for. Their images are not here.
var distributions = []string{"EL_9", "Leap_15", "openEuler_22.03"}

// grove is a matrix over the small OpenHPC tree.
func grove(t *testing.T, targetNames []string, names ...string) matrix.Options {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "mmdebstrap")
	known, err := targets.Merge(nil, nil, nil)
	require.NoError(t, err)
	c, err := tree.Load("../recipes/tree/testdata/openhpc", tree.Options{
		Targets: known, Defines: map[string]string{"ohpc_repo": "https://repos.example.org"},
	})
	require.NoError(t, err)
	return matrix.Options{
		Program: "test", Catalog: c, Targets: targetNames, Recipes: names, State: testenv.State(t), Out: t.TempDir(),
		URL: "https://repos.example.org", Runtime: "runc", KeyName: "OpenHPC 3", KeyEmail: "root@localhost",
	}
}

func planOf(t *testing.T, opt matrix.Options) *plan.Plan {
	t.Helper()
	m, err := matrix.New(opt)
	require.NoError(t, err)
	p, err := m.Plan(t.Context())
	require.NoError(t, err)
	return p
}

func TestPlanOfATree(t *testing.T) {
	opt := grove(t, distributions)
	p := planOf(t, opt)

	cells := map[string]int{}
	for _, j := range p.Jobs {
		cells[j.Target+"/"+j.Arch]++
		require.NotEmpty(t, j.Spec)
		require.Contains(t, j.Files, "components/OHPC_macros")
	}
	require.Len(t, cells, 6, "each cell has jobs though no image of its own is here")

	// One spec that cannot be read is one failure in each cell, no more.
	var failed []string
	for _, f := range p.Failures {
		failed = append(failed, f.Recipe)
		require.NotEmpty(t, f.Messages)
	}
	require.Equal(t, []string{"dimemas"}, slices.Compact(slices.Sorted(slices.Values(failed))))

	// A noarch spec that says the same everywhere is built once for both.
	filesystem := p.Job("ohpc-filesystem/EL_9/x86_64")
	require.NotNil(t, filesystem)
	require.Equal(t, []string{"aarch64"}, filesystem.Shared)
	require.Nil(t, p.Job("ohpc-filesystem/EL_9/aarch64"))

	// Macros of the distribution reach the spec, the image's own do not.
	hdf5 := p.Job("hdf5@gnu14/Leap_15/x86_64")
	require.NotNil(t, hdf5)
	require.Contains(t, hdf5.Needs, "gnu-compilers/Leap_15/x86_64")
	require.Equal(t, map[string]string{"compiler_family": "gnu14"}, hdf5.Defines)
	for _, made := range hdf5.Produces {
		require.Contains(t, made.EVR, "27.ohpc", "Leap's own default of dist")
	}

	reasons := map[string]string{}
	for _, k := range p.Skips {
		reasons[k.Recipe+" "+k.Variant+" "+k.Target+"/"+k.Arch] = k.Reason
	}
	require.Contains(t, reasons["RC1  EL_9/x86_64"], "is in none of the [groups] of misc/obs/config.2.x")
	require.Contains(t, reasons["hdf5 intel EL_9/aarch64"], "is left out on aarch64 by misc/obs/config.2.x [3.2.0]")
	require.Contains(t, reasons["geopm gnu14-openmpi5 EL_9/aarch64"], "ExclusiveArch: x86_64")

	var first, second, plain bytes.Buffer
	require.NoError(t, p.JSON(&first, true))
	require.NoError(t, planOf(t, opt).JSON(&second, true))
	require.Equal(t, first.String(), second.String())

	opt.RpmspecOnly = true
	require.NoError(t, planOf(t, opt).JSON(&plain, true))
	require.Equal(t, first.String(), plain.String(), "the short cut says what rpmspec says")
}

// TestTreeToRepository takes some of the tree all the way.
func TestTreeToRepository(t *testing.T) {
	opt := grove(t, []string{"Debian_12"}, "ohpc-filesystem", "ohpc-release", "hwloc")
	opt.Architectures = []string{emulate.Host()}
	m, err := matrix.New(opt)
	require.NoError(t, err)
	r, err := m.Run(t.Context())
	require.NoError(t, err, r.Failures())
	for _, recipe := range opt.Recipes {
		require.Contains(t, []any{report.Built, report.Reused}, job(t, r, recipe).Result)
	}
	published, err := filepath.Glob(filepath.Join(opt.Out, "repos", "OpenHPC", "3", "Debian_12", "*", "hwloc-ohpc-*.rpm"))
	require.NoError(t, err)
	require.NotEmpty(t, published)
	for _, c := range r.Checks {
		if c.Name != "upgrade" { // nothing was published yet
			require.Equal(t, report.Pass, c.Result, c.Subject)
		}
	}
}

// TestATreeWithoutAnImage is refused where something has to be built.
func TestATreeWithoutAnImage(t *testing.T) {
	opt := grove(t, []string{"EL_9"}, "hwloc")
	opt.Architectures = []string{emulate.Host()}
	for _, known := range opt.Catalog.Targets {
		if known.Name == "EL_9" {
			known.Image = recipes.Image{Reference: filepath.Join(t.TempDir(), "no-such-layout")}
		}
	}
	m, err := matrix.New(opt)
	require.NoError(t, err)
	_, err = m.Build(t.Context())
	require.ErrorContains(t, err, "the image of EL_9/")
}

func TestLintOfATree(t *testing.T) {
	opt := grove(t, []string{"EL_9"})
	m, err := matrix.New(opt)
	require.NoError(t, err)
	readings, base, err := m.Read(t.Context())
	require.NoError(t, err)
	in := lint.Input{Catalog: opt.Catalog, Base: base}
	for _, r := range readings {
		text, err := opt.Catalog.Read(r.Variant.Recipe.Spec)
		require.NoError(t, err)
		in.Evaluated = append(in.Evaluated, lint.Evaluated{Variant: r.Variant, Path: r.Path, Text: text, Result: r.Result, Err: r.Err})
	}
	findings, err := lint.Check(in)
	require.NoError(t, err)
	typo := slices.IndexFunc(findings, func(f lint.Finding) bool {
		return f.Rule == "unknown-requirement" && f.File == "components/parallel-libs/ptscotch/SPECS/ptscotch.spec"
	})
	require.GreaterOrEqual(t, typo, 0)
	require.Equal(t, 16, findings[typo].Line)
	require.Contains(t, findings[typo].Message, "scocth-")
	require.Contains(t, findings[typo].Hint, "scotch-")
}

// TestSourcesOfATree fetches what only a spec's address names. The first answer
// counts.
func TestSourcesOfATree(t *testing.T) {
	opt := grove(t, []string{"Debian_12"}, "remote")
	content, asked := "first", 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		fmt.Fprint(w, content)
	}))
	defer server.Close()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("misc/obs/config.3.x", "[3.0.0]\ncompiler_families=[\"gnu14\"]\nmpi_families=[\"openmpi5\"]\n")
	write("components/OHPC_macros", "%global PROJ_DELIM -ohpc\n")
	spec := func(note string) {
		write("components/admin/remote/SPECS/remote.spec", `# `+note+`
%include %{_sourcedir}/OHPC_macros
Name: remote%{PROJ_DELIM}
Version: 1
Release: 1
Summary: A test
License: MIT
Source0: `+server.URL+`/archive/%{version}.txt#/remote-%{version}.txt
%description
A test.
%install
mkdir -p %{buildroot}/opt/ohpc/remote
cp %{SOURCE0} %{buildroot}/opt/ohpc/remote/
%files
/opt/ohpc/remote
%changelog
* Mon Oct 21 2024 ohpc-build - 1-1
- First version
`)
	}
	build := func() (*report.Run, error) {
		c, err := tree.Load(dir, tree.Options{Targets: opt.Catalog.Targets})
		require.NoError(t, err)
		opt := opt
		opt.Catalog, opt.Architectures = c, []string{emulate.Host()}
		m, err := matrix.New(opt)
		require.NoError(t, err)
		return m.Build(t.Context())
	}

	spec(time.Now().String())
	r, err := build()
	require.NoError(t, err)
	require.Equal(t, report.Built, job(t, r, "remote").Result)
	require.Equal(t, 1, asked)

	r, err = build()
	require.NoError(t, err)
	require.Equal(t, report.Reused, job(t, r, "remote").Result)

	content = "something else"
	spec(time.Now().String())
	r, err = build()
	require.NoError(t, err, "the store still has what came first")
	require.Equal(t, report.Built, job(t, r, "remote").Result)
	require.Equal(t, 1, asked, "what is known is not asked for again")

	// A new address is another file; a source without one cannot be had.
	text, err := os.ReadFile(filepath.Join(dir, "components/admin/remote/SPECS/remote.spec"))
	require.NoError(t, err)
	write("components/admin/remote/SPECS/remote.spec", strings.Replace(string(text), server.URL+"/archive/%{version}.txt#/", "", 1))
	r, err = build()
	require.Error(t, err)
	require.Contains(t, job(t, r, "remote").Reason, "source remote-1.txt is not in components/admin/remote/SOURCES")
}
