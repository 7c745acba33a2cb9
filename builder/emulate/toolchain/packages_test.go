package toolchain_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/emulate/toolchain"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

// TestSamePackages has the image's rpm and the native one write packages of one spec
// and install them. Neither the packages nor the roots may differ in a byte.
func TestSamePackages(t *testing.T) {
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "mmdebstrap")
	if err := emulate.Preflight(t.Context(), foreign()); err != nil {
		testenv.Missing(t, err.Error())
	}
	native, own := roots(t)
	plan, err := toolchain.New(native, own, t.TempDir())
	require.NoError(t, err)
	require.NotEmpty(t, plan.Install, plan.Emulated)
	runtime, err := sandbox.New("runc", t.TempDir())
	require.NoError(t, err)

	// Compilers and the like are the same both times: they are another test's.
	compilers := slices.DeleteFunc(slices.Clone(plan.Mounts), func(m sandbox.Mount) bool {
		base := filepath.Base(m.Destination)
		return strings.Contains(m.Destination, "/rpm-plugins/") || strings.HasPrefix(m.Destination, "/usr/lib/rpm/") ||
			strings.HasPrefix(base, "rpm") || slices.Contains([]string{"file", "debugedit", "sepdebugcrcfix"}, base)
	})
	require.Less(t, len(compilers), len(plan.Mounts))
	build := func(mounts []sandbox.Mount) map[string][]byte {
		dir := t.TempDir()
		require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/rpm")))
		require.NoError(t, os.Chmod(dir, 0o777))
		var log bytes.Buffer
		begin := time.Now()
		err := runtime.Run(t.Context(), sandbox.Spec{
			Name: "packages-test", Layers: own.Layers, Cwd: "/build", UID: 1000, GID: 1000, HostName: "build",
			Env:    append([]string{"LC_ALL=C.UTF-8", "HOME=/build"}, plan.Env...),
			Mounts: append([]sandbox.Mount{{Source: dir, Destination: "/build"}}, mounts...),
			Args: []string{
				"rpmbuild", "-ba", "--define", "_topdir /build", "--define", "_tmppath /build", "--define", "_specdir /build",
				"--define", "_buildhost ohpc-build", "--define", "source_date_epoch_from_changelog 1", "--define", "clamp_mtime_to_source_date_epoch 1",
				"--define", "use_source_date_epoch_as_buildtime 1", "--define", "_buildshell /bin/bash", "everything.spec", "installed.spec",
			},
			Timeout: 5 * time.Minute, Stdout: &log, Stderr: &log,
		})
		require.NoError(t, err, log.String())
		t.Logf("%.1f s", time.Since(begin).Seconds())
		return packages(t, dir)
	}
	want := build(compilers)
	got := build(plan.Mounts)
	var names []string
	for name, content := range want {
		names = append(names, name)
		require.True(t, bytes.Equal(content, got[name]), "%s differs", name)
	}
	slices.Sort(names)
	require.Len(t, got, len(want), names)
	release := "1~rc1-1." + foreign()
	require.Subset(t, names, []string{
		"everything-" + release + "." + foreign() + ".rpm", "everything-" + release + ".src.rpm",
		"everything-debuginfo-" + release + "." + foreign() + ".rpm", "everything-doc-" + release + ".noarch.rpm", "everything-static-" + release + "." + foreign() + ".rpm",
	})

	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	var set []buildroot.Package
	for _, name := range names {
		if !strings.HasPrefix(name, "installed-") || strings.HasSuffix(name, ".src.rpm") {
			continue
		}
		d, err := st.PutBytes(t.Context(), want[name])
		require.NoError(t, err)
		set = append(set, buildroot.Package{File: name, Digest: d})
	}
	root := func(native []sandbox.Mount) []string {
		assembler := buildroot.New(st, runtime, t.TempDir())
		image := buildroot.Image{Digest: store.Of([]byte(t.Name() + fmt.Sprint(len(native)))), Layers: own.Layers}
		begin := time.Now()
		layers, err := assembler.Layers(t.Context(), image, set, native...)
		require.NoError(t, err)
		t.Logf("%.1f s", time.Since(begin).Seconds())
		var installed bytes.Buffer
		require.NoError(t, runtime.Run(t.Context(), sandbox.Spec{
			Name: "packages-test", Layers: layers, Args: []string{"sh", "-c", "rpm -qa | sort; rpm -qa --dump | sort"}, Stdout: &installed,
		}))
		return append(contents(t, layers[0]), strings.Split(installed.String(), "\n")...)
	}
	require.Equal(t, root(nil), root(plan.Install))
}

// packages are the packages below a folder, by name.
func packages(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".rpm" {
			found[filepath.Base(path)], err = os.ReadFile(path)
		}
		return err
	}))
	return found
}

// contents lists all of a layer but times, and but for what is in rpm's database.
func contents(t *testing.T, dir string) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		rel, _ := filepath.Rel(dir, path)
		var capabilities [64]byte
		n, _ := unix.Lgetxattr(path, "security.capability", capabilities[:])
		line := fmt.Sprintf("%s %s %d:%d %x", rel, fi.Mode(), st.Uid, st.Gid, capabilities[:max(n, 0)])
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			line += " " + target
		case fi.Mode().IsRegular() && !strings.HasPrefix(rel, "var/lib/rpm/"):
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(store.Of(content))
		}
		all = append(all, line)
		return nil
	}))
	return all
}
