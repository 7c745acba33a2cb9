package hints_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/hints"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

const spec = `Name: thing
Version: 1
Release: 1
Summary: A package
License: Apache-2.0
BuildArch: noarch
Provides: something = 1
Requires: other >= 2
%description
A test.
%install
mkdir -p %{buildroot}/opt/thing
touch %{buildroot}/opt/thing/file
%files
/opt/thing
`

// TestRPM asks the rpm of an image, with one package installed, and compares that
// with what the package's own header says.
func TestRPM(t *testing.T) {
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "rpmbuild")
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	target, err := c.Target("Debian_12")
	require.NoError(t, err)
	from := target.Image.Bootstrap
	st, err := store.Open(filepath.Join(testenv.State(t), "store"))
	require.NoError(t, err)
	images := image.New(st, filepath.Join(testenv.State(t), "layers", "images"))
	b := debian.Bootstrap{Suite: from.Suite, Components: from.Components, Packages: from.Packages}
	if _, err := images.Find(b.Key(emulate.Host())); err != nil && os.Getenv("CI") != "true" {
		t.Skipf("%s holds no image of Debian_12 (ohpc-build matrix makes it): %v", testenv.State(t), err)
	}
	img, err := b.Image(t.Context(), images, emulate.Host(), io.Discard)
	require.NoError(t, err)
	root, err := images.Unpack(t.Context(), img)
	require.NoError(t, err)
	dir := t.TempDir()
	runtime, err := sandbox.New("runc", filepath.Join(dir, "run"))
	require.NoError(t, err)

	path := rpmtest.BuildText(t, spec, "noarch")[0]
	upper := filepath.Join(dir, "upper")
	require.NoError(t, runtime.Run(t.Context(), sandbox.Spec{
		Name: "install", Layers: root.Layers, Upper: upper, Args: []string{"rpm", "--install", "--nodeps", "/mnt/" + filepath.Base(path)},
		Mounts:     []sandbox.Mount{{Source: filepath.Dir(path), Destination: "/mnt", ReadOnly: true}},
		Privileges: sandbox.PackageManager, Stdout: t.Output(), Stderr: t.Output(),
	}))
	packages, err := hints.RPM(t.Context(), runtime, append([]string{upper}, root.Layers...))
	require.NoError(t, err)
	header, err := rpm.ReadFile(path)
	require.NoError(t, err)
	want := hints.OfHeader(header)
	require.Len(t, packages, 1)
	got := packages[0]
	require.Equal(t, []string{"/opt/thing", "/opt/thing/file"}, got.Files)
	require.Equal(t, []string{"/opt/thing/file"}, want.Files)
	require.Equal(t, "thing", got.Name)
	require.ElementsMatch(t, []string{"something", "thing"}, got.Provides)
	require.ElementsMatch(t, want.Provides, got.Provides)
	require.Equal(t, []string{"other"}, got.Requires)

	r := hints.NewRoot(append([]string{upper}, root.Layers...), packages)
	defer r.Close()
	requires := []hints.Requirement{{Text: "something >= 1"}}
	require.Len(t, r.Unused(requires, []string{"/opt/other"}, nil), 1)
	require.Empty(t, r.Unused(requires, []string{"/opt/thing/file"}, nil))
}
