package buildroot_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/bridge"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// testImage is the default target's image for this machine, from the state that
// tests and runs share. Only in CI is it made when it is not there.
func testImage(t testing.TB) buildroot.Image {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "mmdebstrap", "rpmbuild")
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	target, err := c.Target("Debian_12")
	require.NoError(t, err)
	from := target.Image.Bootstrap
	state := testenv.State(t)
	st, err := store.Open(filepath.Join(state, "store"))
	require.NoError(t, err)
	images := image.New(st, filepath.Join(state, "layers", "images"))
	b := debian.Bootstrap{Suite: from.Suite, Components: from.Components, Packages: from.Packages}
	if _, err := images.Find(b.Key(emulate.Host())); err != nil && os.Getenv("CI") != "true" {
		t.Skipf("%s holds no image of Debian_12 (ohpc-build matrix makes it): %v", state, err)
	}
	base, err := b.Image(t.Context(), images, emulate.Host(), t.Output())
	require.NoError(t, err)
	runtime, err := sandbox.New("runc", filepath.Join(state, "run"))
	require.NoError(t, err)
	img, err := bridge.Names(target.Bridge).Image(t.Context(), images, runtime, base, t.Output())
	require.NoError(t, err)
	root, err := images.Unpack(t.Context(), img)
	require.NoError(t, err)
	return buildroot.Image{Digest: root.Digest, Layers: root.Layers}
}

// workshop assembles roots in a state of its own.
type workshop struct {
	*buildroot.Assembler
	store   *store.Store
	runtime *sandbox.Runtime
	image   buildroot.Image
}

func newWorkshop(t testing.TB, img buildroot.Image, dir string) *workshop {
	t.Helper()
	st, err := store.Open(filepath.Join(dir, "store"))
	require.NoError(t, err)
	runtime, err := sandbox.New("runc", filepath.Join(dir, "run"))
	require.NoError(t, err)
	return &workshop{buildroot.New(st, runtime, filepath.Join(dir, "roots")), st, runtime, img}
}

const tool = `Name: %{tool}
Version: 1
Release: 1
Summary: A package for build roots
License: Apache-2.0
BuildArch: noarch
AutoReqProv: no
%{?needs:Requires: %{needs}}
%description
A test.
%install
mkdir -p %{buildroot}/opt/tools
echo %{tool} >%{buildroot}/opt/tools/%{tool}
%post
echo %{tool} >>/opt/tools.list
%files
/opt/tools
%changelog
* Tue Feb 20 2024 A Maintainer <m@example.org> - 1-1
- First
`

// tools builds packages that need each other in their order.
func tools(t testing.TB, names ...string) []string {
	t.Helper()
	var paths []string
	for i, name := range names {
		args := []string{"--define", "tool " + name}
		if i > 0 {
			args = append(args, "--define", "needs "+names[i-1])
		}
		for _, p := range rpmtest.BuildText(t, tool, "noarch", args...) {
			if strings.HasSuffix(p, ".noarch.rpm") {
				paths = append(paths, p)
			}
		}
	}
	require.Len(t, paths, len(names))
	return paths
}

func (w *workshop) put(t testing.TB, paths []string) []buildroot.Package {
	t.Helper()
	var packages []buildroot.Package
	for _, p := range paths {
		d, _, err := w.store.PutFile(t.Context(), p)
		require.NoError(t, err)
		packages = append(packages, buildroot.Package{File: filepath.Base(p), Digest: d})
	}
	return packages
}

// sh runs a script in a root.
func (w *workshop) sh(t testing.TB, layers []string, script string) string {
	t.Helper()
	var out bytes.Buffer
	err := w.runtime.Run(t.Context(), sandbox.Spec{
		Name: "look", Layers: layers, Args: []string{"/bin/sh", "-c", script},
		Stdout: &out, Stderr: &out, Timeout: time.Minute,
	})
	require.NoError(t, err, out.String())
	return out.String()
}

// TestSameRootInStepsAndInOneGo compares what rpm says of both, and all files.
func TestSameRootInStepsAndInOneGo(t *testing.T) {
	img := testImage(t)
	paths := tools(t, "chisel", "hammer", "saw", "vice")
	steps, whole := newWorkshop(t, img, t.TempDir()), newWorkshop(t, img, t.TempDir())
	packages := steps.put(t, paths)
	whole.put(t, paths)
	var stacked []string
	for n := 1; n <= len(packages); n++ {
		var err error
		stacked, err = steps.Layers(t.Context(), img, packages[:n])
		require.NoError(t, err)
		require.Len(t, stacked, n+len(img.Layers), "each step stands on the one before")
	}
	single, err := whole.Layers(t.Context(), img, packages)
	require.NoError(t, err)
	require.Len(t, single, 1+len(img.Layers))

	const look = `rpm --query --all | sort && rpm --verify chisel hammer saw vice && rpm --query --whatrequires saw &&
cat /opt/tools.list && find / -xdev -not -path '*/rpm/*' -not -path '/proc/*' -printf '%p %y %m %U %G %l\n' | sort`
	want := strings.Split(whole.sh(t, single, look), "\n")
	got := strings.Split(steps.sh(t, stacked, look), "\n")
	require.Greater(t, len(want), 10_000)
	for _, line := range []string{"vice-1-1.noarch", "saw", "/opt/tools/hammer f 644 0 0 "} {
		require.True(t, slices.Contains(want, line), line)
	}
	require.False(t, slices.ContainsFunc(want, func(l string) bool { return strings.HasPrefix(l, "/packages") }))
	for i := range min(len(want), len(got)) {
		require.Equal(t, want[i], got[i])
	}
	require.Len(t, got, len(want))
}

// TestManyRootsAtOnce has two programs make the same roots side by side.
func TestManyRootsAtOnce(t *testing.T) {
	img := testImage(t)
	paths := tools(t, "a", "b", "c")
	dir := t.TempDir()
	programs := []*workshop{newWorkshop(t, img, dir), newWorkshop(t, img, dir)}
	packages := programs[0].put(t, paths)
	var wg sync.WaitGroup
	for i := range 12 {
		n := 1 + i%len(packages)
		w := programs[i/3%2]
		wg.Go(func() {
			layers, err := w.Layers(t.Context(), img, packages[:n])
			if err != nil {
				t.Errorf("root of %d packages: %v", n, err)
				return
			}
			var out bytes.Buffer
			err = w.runtime.Run(t.Context(), sandbox.Spec{
				Name: "look", Layers: layers, Args: []string{"/bin/sh", "-c", "rpm -qa --qf '%{NAME}\\n' a b c | sort; rpm -qa | wc -l"},
				Stdout: &out, Stderr: &out, Timeout: time.Minute,
			})
			want := strings.Join([]string{"a\n", "b\n", "c\n"}[:n], "")
			if err != nil || !strings.HasPrefix(out.String(), want) {
				t.Errorf("root of %d packages: %v\n%s", n, err, out.String())
			}
		})
	}
	wg.Wait()
}

// BenchmarkWarmRoot measures from a job's start to that of the command in its
// container, with a root that was made before.
func BenchmarkWarmRoot(b *testing.B) {
	img := testImage(b)
	w := newWorkshop(b, img, b.TempDir())
	names := make([]string, 12)
	for i := range names {
		names[i] = fmt.Sprintf("tool%02d", i)
	}
	packages := w.put(b, tools(b, names...))
	for _, n := range []int{4, 8, len(packages)} {
		_, err := w.Layers(b.Context(), img, packages[:n])
		require.NoError(b, err)
	}
	var worst time.Duration
	for b.Loop() {
		begin := time.Now()
		layers, err := w.Layers(b.Context(), img, packages)
		require.NoError(b, err)
		pr, pw, err := os.Pipe()
		require.NoError(b, err)
		done := make(chan error, 1)
		go func() {
			done <- w.runtime.Run(b.Context(), sandbox.Spec{
				Name: "warm", Layers: layers, Args: []string{"/bin/echo", "ready"}, Stdout: pw, Timeout: time.Minute,
			})
			pw.Close()
		}()
		_, err = pr.Read(make([]byte, 1))
		require.NoError(b, err)
		worst = max(worst, time.Since(begin))
		b.StopTimer()
		require.NoError(b, <-done)
		pr.Close()
		b.StartTimer()
	}
	b.ReportMetric(worst.Seconds(), "worst-s")
}
