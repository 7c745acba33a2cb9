package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/ci/bench/rpmspec"
)

func TestChoose(t *testing.T) {
	for only, want := range map[string][]string{
		"":              {"plan-first", "plan-again", "plan-touched", "plan-identical", "plan-right", "meta", "noop", "repodata", "sign", "publish"},
		"emulation":     {"emulation-native", "emulation-plain"},
		"plan-r":        {"plan-right"},
		"meta,plan-i":   {"plan-identical", "meta"},
		"nothing-is-so": nil,
	} {
		var got []string
		for _, bm := range choose(only) {
			got = append(got, bm.name)
		}
		require.Equal(t, want, got, only)
	}
}

func TestUsage(t *testing.T) {
	status, err := run(t.Context(), options{only: "nothing"}, nil)
	require.Equal(t, 2, status)
	require.ErrorContains(t, err, `there is no benchmark "nothing"; there are plan-first, `)
	status, err = run(t.Context(), options{}, []string{"plan"})
	require.Equal(t, 2, status)
	require.ErrorContains(t, err, `there is no benchmark "plan"`)
	status, err = run(t.Context(), options{program: filepath.Join(t.TempDir(), "none"), state: t.TempDir()}, nil)
	require.Equal(t, 2, status)
	require.ErrorContains(t, err, "make build makes it")
}

func TestNsPerOp(t *testing.T) {
	got, err := nsPerOp([]byte("cpu: x\nBenchmarkA \t 1\t 3000000000 ns/op\nBenchmarkA-2   1  1000000000 ns/op\t 5 B/op\nBenchmarkA 1 1500000000.5 ns/op\nok\n"))
	require.NoError(t, err)
	require.InDelta(t, 1.5, got, 1e-6)
	_, err = nsPerOp([]byte("--- SKIP: BenchmarkA\nok\n"))
	require.EqualError(t, err, "go test ran no benchmark: --- SKIP: BenchmarkA\nok")
}

func TestSpecsToTouch(t *testing.T) {
	mpi := map[string]string{"mpi_family": "mpich"}
	p := &rpmspec.Plan{Jobs: []rpmspec.Job{
		{Spec: "", Recipe: "a-list"},
		{Spec: "b.spec"},
		{Spec: "a.spec"},
		{Spec: "many.spec", Variant: "x", Defines: mpi},
		{Spec: "many.spec", Variant: "y", Defines: mpi},
		{Spec: "many.spec", Variant: "z", Defines: mpi},
		{Spec: "mpi.spec", Variant: "x", Defines: mpi},
		{Spec: "compiler.spec", Variant: "x"},
	}}
	require.Equal(t, []touchable{{"many.spec", "most", 3}, {"mpi.spec", "mpi", 1}, {"a.spec", "standalone", 1}}, specsToTouch(p))
	require.Empty(t, specsToTouch(&rpmspec.Plan{}))
}

func TestTouch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.spec")
	require.NoError(t, os.WriteFile(path, []byte("Name: x\n"), 0o600))
	require.NoError(t, touch(path, 1))
	require.NoError(t, touch(path, 2))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "# touched 2\n# touched 1\nName: x\n", string(text), "each time it is another file")
}

// A cold state folder has the images, and not what was learned of specs.
func TestLinkImages(t *testing.T) {
	const blob = "aa11111111111111111111111111111111111111111111111111111111111111"
	write := func(root, path, text string) {
		path = filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	top := t.TempDir()
	b := &bench{state: filepath.Join(top, "state")}
	write(b.state, "store/records/image/1.json", `{"sha256":"sha256:bb`+blob[2:]+`","value":{"digest":"sha256:`+blob+`","again":"sha256:`+blob+`"}}`)
	write(b.state, "store/records/spec/1.json", "an answer")
	write(b.state, "store/objects/sha256/aa/"+blob, "the image")
	write(b.state, "store/objects/sha256/cc/cc"+blob[2:], "a spec")
	write(b.state, "layers/images/x/bin/sh", "a shell")

	cold := filepath.Join(top, "cold")
	require.NoError(t, b.linkImages(cold))
	var found []string
	require.NoError(t, filepath.WalkDir(cold, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, err := filepath.Rel(cold, path)
			found = append(found, rel)
			return err
		}
		return err
	}))
	require.Equal(t, []string{"layers/images", "store/objects/sha256/aa/" + blob, "store/records/image/1.json"}, found)
	text, err := os.ReadFile(filepath.Join(cold, "layers/images/x/bin/sh"))
	require.NoError(t, err)
	require.Equal(t, "a shell", string(text))
}
