package buildroot_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

// TestNativeFilesStayOutside: what a root is made with is not in it, and a package
// that has a file in its place is installed all the same.
func TestNativeFilesStayOutside(t *testing.T) {
	img := testImage(t)
	packages := tools(t, "first", "second")
	foreign := filepath.Join(t.TempDir(), "native")
	require.NoError(t, os.WriteFile(foreign, []byte("native\n"), 0o755))
	mount := func(at string) sandbox.Mount {
		return sandbox.Mount{Source: foreign, Destination: at, ReadOnly: true}
	}
	for name, native := range map[string][]sandbox.Mount{
		"beside the packages":    {mount("/lib-of-natives/a.so"), mount("/usr/lib/natives/b/c.so"), mount("/usr/bin/diff")},
		"in a package's own way": {mount("/opt/tools/second")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkshop(t, img, t.TempDir())
			layers, err := w.Layers(t.Context(), img, w.put(t, packages), native...)
			require.NoError(t, err)
			require.Len(t, layers, 1+len(img.Layers), "the layer of mount points is part of the root")
			for _, m := range native {
				content, _ := os.ReadFile(filepath.Join(layers[0], m.Destination))
				require.NotContains(t, string(content), "native")
			}
			for _, left := range []string{"lib-of-natives", "usr/lib/natives", "usr/bin", "packages"} {
				require.NoFileExists(t, filepath.Join(layers[0], left))
				require.NoDirExists(t, filepath.Join(layers[0], left))
			}
			require.Equal(t, "first\nsecond\nfirst\nsecond\n", w.sh(t, layers, "cat /opt/tools/first /opt/tools/second /opt/tools.list"))
		})
	}
}
