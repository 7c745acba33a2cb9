package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
)

func TestRecipeNew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "catalog")
	require.NoError(t, os.CopyFS(dir, catalog.FS()))
	begin := func(args ...string) (int, string, string) {
		t.Helper()
		return run(t, append([]string{"recipe", "new", "--catalog", dir}, args...)...)
	}

	status, out, message := begin("fftw", "--group", "serial-libs", "--family", "compiler=all", "--summary", "Fourier transforms")
	require.Equal(t, exitOK, status, message)
	require.Equal(t, filepath.Join(dir, "components/serial-libs/fftw/SPECS/fftw.spec")+"\n"+filepath.Join(dir, "components/serial-libs/fftw/recipe.yaml")+"\n", out)
	status, _, message = begin("ohpc-{compiler}-all", "--kind", "meta-package", "--family", "compiler=gnu12", "--requires", "fftw-{compiler}-ohpc,scotch-{compiler}-ohpc")
	require.Equal(t, exitOK, status, message)

	c, err := load.Dir(dir)
	require.NoError(t, err)
	r, err := c.Recipe("fftw")
	require.NoError(t, err)
	require.Equal(t, "Fourier transforms", r.Summary)
	require.True(t, r.Families["compiler"].HasAll())
	r, err = c.Recipe("ohpc-gnu12-all")
	require.NoError(t, err)
	require.Len(t, r.Requires, 2)

	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"again":             {[]string{"fftw", "--group", "serial-libs"}, "components/serial-libs/fftw is there already; nothing was written"},
		"no name":           {nil, "recipe new takes one name"},
		"no group":          {[]string{"x"}, "give one, such as admin"},
		"unknown kind":      {[]string{"x", "--kind", "componnet"}, `--kind: must be component or meta-package, not "componnet" (did you mean "component"?)`},
		"malformed":         {[]string{"x", "--family", "compiler"}, "--family takes kind=all or kind=member"},
		"unknown family":    {[]string{"x", "--group", "g", "--family", "compilers=all"}, `did you mean "compiler"?`},
		"embedded":          {[]string{"x", "--catalog", ""}, "the embedded catalogue cannot be changed"},
		"two recipes' name": {[]string{"hwloc", "--group", "serial-libs"}, `there is another recipe "hwloc"`},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, message := begin(tt.args...)
			require.Equal(t, exitUsage, status, message)
			require.Contains(t, message, tt.want)
		})
	}
}

func TestRecipeSchema(t *testing.T) {
	for kind, title := range map[string]string{"": "recipe.yaml", "recipe": "recipe.yaml", "target": "targets/<target>.yaml", "pin": "pins/<name>.yaml", "family": "families/<family>.yaml", "catalog": "catalog.yaml"} {
		args := []string{"recipe", "schema"}
		if kind != "" {
			args = append(args, kind)
		}
		status, out, message := run(t, args...)
		require.Equal(t, exitOK, status, message)
		var schema struct {
			Schema string `json:"$schema"`
			Title  string
		}
		require.NoError(t, json.Unmarshal([]byte(out), &schema))
		require.Equal(t, "https://json-schema.org/draft/2020-12/schema", schema.Schema)
		require.Equal(t, title+" of an ohpc-build catalogue", schema.Title)
	}
	status, _, message := run(t, "recipe", "schema", "recipes")
	require.Equal(t, exitUsage, status)
	require.Equal(t, `there is no schema "recipes" (did you mean "recipe"?)`, message)
	status, _, message = run(t, "recipe", "schema", "recipe", "target")
	require.Equal(t, exitUsage, status)
	require.Contains(t, message, "takes one kind of file")
}
