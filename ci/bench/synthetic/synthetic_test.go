package synthetic_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/ci/bench/synthetic"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/tree"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

const small = "../../../recipes/tree/testdata/openhpc"

func TestTree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	require.NoError(t, synthetic.Tree(small, dir, 60))
	before, err := synthetic.CountSpecs(small)
	require.NoError(t, err)
	after, err := synthetic.CountSpecs(dir)
	require.NoError(t, err)
	require.Equal(t, before+60, after)

	cat, err := tree.Load(dir, tree.Options{Targets: []*recipes.Target{{Name: "EL_9", Architectures: []string{"x86_64"}}}})
	require.NoError(t, err)
	for _, name := range []string{"hwloc20", "gsl20", "boost20"} {
		r, err := cat.Recipe(name)
		require.NoError(t, err, "the configuration lists it")
		variants, _ := cat.Expand(r, cat.Targets[0], "x86_64")
		require.NotEmpty(t, variants)
	}
	text, err := os.ReadFile(filepath.Join(dir, "components/parallel-libs/boost20/SPECS/boost20.spec"))
	require.NoError(t, err)
	require.Contains(t, string(text), "%define pname boost20\n")
	require.Contains(t, string(text), "\nBuildRequires: boost10-%{compiler_family}-%{mpi_family}%{PROJ_DELIM}\n")
}

func TestPackages(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, synthetic.Packages(dir, 2, 1000))
	files, err := filepath.Glob(filepath.Join(dir, "*.rpm"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	p, err := rpm.ReadFile(files[1])
	require.NoError(t, err)
	require.Equal(t, filepath.Base(files[1]), p.FileName())
	require.Equal(t, synthetic.FilesPerPackage, p.FileCount())
}
