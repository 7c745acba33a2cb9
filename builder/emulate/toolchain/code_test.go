package toolchain_test

import (
	"bytes"
	"debug/elf"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/emulate/toolchain"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
)

// foreign is the architecture of Debian_12 that the host does not have.
func foreign() string {
	if emulate.Host() == "x86_64" {
		return "aarch64"
	}
	return "x86_64"
}

// roots are the image of the default target and the native root for it, from the
// state that tests and runs share. Only in CI are they made when they are not
// there, as an emulated bootstrap takes minutes.
func roots(t *testing.T) (native, own toolchain.Root) {
	t.Helper()
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	target, err := c.Target("Debian_12")
	require.NoError(t, err)
	from := target.Image.Bootstrap
	state := testenv.State(t)
	st, err := store.Open(filepath.Join(state, "store"))
	require.NoError(t, err)
	images := image.New(st, filepath.Join(state, "layers", "images"))
	root := func(packages []string, arch string) toolchain.Root {
		b := debian.Bootstrap{Suite: from.Suite, Components: from.Components, Packages: packages}
		if _, err := images.Find(b.Key(arch)); err != nil && os.Getenv("CI") != "true" {
			t.Skipf("%s holds no root of Debian_12 for %s (ohpc-build matrix makes it): %v", state, arch, err)
		}
		img, err := b.Image(t.Context(), images, arch, io.Discard)
		require.NoError(t, err)
		r, err := images.Unpack(t.Context(), img)
		require.NoError(t, err)
		return toolchain.Root{Arch: arch, Digest: string(r.Digest), Layers: r.Layers}
	}
	return root(from.Toolchain[foreign()], emulate.Host()), root(from.Packages, foreign())
}

// TestSameCode compiles C, C++ and Fortran in a foreign root with the native tool
// chain and without, and compares all that comes out.
func TestSameCode(t *testing.T) {
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "mmdebstrap")
	if err := emulate.Preflight(t.Context(), foreign()); err != nil {
		testenv.Missing(t, err.Error())
	}
	native, own := roots(t)
	plan, err := toolchain.New(native, own, t.TempDir())
	require.NoError(t, err)
	require.NotEmpty(t, plan.Compilers, plan.Emulated)
	runtime, err := sandbox.New("runc", t.TempDir())
	require.NoError(t, err)

	run := func(mounts []sandbox.Mount, env []string, args ...string) (out string, dir string) {
		dir = t.TempDir()
		require.NoError(t, os.CopyFS(dir, os.DirFS("testdata")))
		require.NoError(t, os.Chmod(dir, 0o777))
		var log bytes.Buffer
		begin := time.Now()
		err := runtime.Run(t.Context(), sandbox.Spec{
			Name: "toolchain-test", Layers: own.Layers, Args: args, Cwd: "/build", UID: 1000, GID: 1000,
			Env:     append([]string{"LC_ALL=C.UTF-8"}, env...),
			Mounts:  append([]sandbox.Mount{{Source: dir, Destination: "/build"}}, mounts...),
			Timeout: 5 * time.Minute, Stdout: &log, Stderr: &log,
		})
		require.NoError(t, err, log.String())
		t.Logf("%s: %.1f s", strings.Join(args, " "), time.Since(begin).Seconds())
		return log.String(), dir
	}

	out, _ := run(plan.Mounts, plan.Env, "readelf", "-h", "/bin/sh")
	require.Contains(t, out, map[string]string{"x86_64": "X86-64", "aarch64": "AArch64"}[emulate.Host()])

	want, wantDir := run(nil, nil, "sh", "build.sh")
	got, gotDir := run(plan.Mounts, plan.Env, "sh", "build.sh")
	require.Equal(t, want, got)
	names := files(t, wantDir)
	require.Equal(t, names, files(t, gotDir))
	require.Greater(t, len(names), 20)
	for _, name := range names {
		requireSameCode(t, filepath.Join(wantDir, name), filepath.Join(gotDir, name))
	}
}

// files lists what a run left in out, relative to its folder.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "out"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			name, relErr := filepath.Rel(dir, path)
			names, err = append(names, name), relErr
		}
		return err
	}))
	return names
}

// requireSameCode compares two ELF files section by section. The version of the
// compiler in .comment may differ, and so may what the linker derives from it.
func requireSameCode(t *testing.T, want, got string) {
	t.Helper()
	w, err := elf.Open(want)
	require.NoError(t, err, want)
	defer w.Close()
	g, err := elf.Open(got)
	require.NoError(t, err, got)
	defer g.Close()
	require.Len(t, g.Sections, len(w.Sections), want)
	for i, s := range w.Sections {
		other := g.Sections[i]
		name := filepath.Base(want) + " " + s.Name
		require.Equal(t, s.Name, other.Name, name)
		require.Equal(t, []any{s.Type, s.Flags, s.Addr, s.Link, s.Info, s.Addralign}, []any{other.Type, other.Flags, other.Addr, other.Link, other.Info, other.Addralign}, name)
		if s.Name == ".comment" || s.Name == ".note.gnu.build-id" || s.Type == elf.SHT_NOBITS {
			continue
		}
		a, err := s.Data()
		require.NoError(t, err, name)
		b, err := other.Data()
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(a, b), "%s differs", name)
	}
}
