package host

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/matrix/cache"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// smallDisk is a state folder that soon is full.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		testenv.Missing(t, "mounting a small file system: "+err.Error())
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func used(t *testing.T, dir string) int64 {
	t.Helper()
	var s unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &s))
	return int64(s.Blocks-s.Bfree) * s.Bsize
}

// files are all regular files below dir.
func files(t *testing.T, dir string) (found []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.Contains(path, "/sessions/") && !strings.HasSuffix(path, ".lock") {
			found = append(found, path)
		}
		return err
	}))
	return found
}

const bigPackage = `Name: big
Version: 1
Release: 1
Summary: A package that is larger than it looks
License: Apache-2.0
BuildArch: noarch
AutoReqProv: no
%description
A test.
%install
mkdir -p %{buildroot}/opt
truncate -s 100M %{buildroot}/opt/big
%files
/opt/big
%changelog
* Tue Feb 20 2024 A Maintainer <m@example.org> - 1-1
- First
`

// TestFullDisk fills the disk wherever something large is written: the error says
// so, and nothing is left.
func TestFullDisk(t *testing.T) {
	testenv.Programs(t, "runc", "rpmbuild", "busybox")
	state := smallDisk(t, 64)
	st, err := store.Open(filepath.Join(state, "store"))
	require.NoError(t, err)
	runtime, err := sandbox.New("runc", filepath.Join(state, "run"))
	require.NoError(t, err)
	images := image.New(st, filepath.Join(state, "layers", "images"))
	rootsDir := filepath.Join(state, "layers", "roots")
	roots := buildroot.New(st, runtime, rootsDir)
	// Something that can go.
	_, err = st.PutBytes(t.Context(), bytes.Repeat([]byte("x"), 5<<20))
	require.NoError(t, err)
	base := buildroot.Image{Digest: "sha256:base", Layers: []string{busyboxRoot(t)}}
	big, _, err := st.PutFile(t.Context(), rpmtest.BuildText(t, bigPackage, "noarch")[0])
	require.NoError(t, err)
	unpacks, err := images.Append(t.Context(), "big", nil, "x86_64", "big", bigArchive(t))
	require.NoError(t, err)

	before, usedBefore := files(t, state), used(t, state)
	run := func(upper string, args ...string) error {
		var out bytes.Buffer
		err := runtime.Run(t.Context(), sandbox.Spec{Name: "full", Layers: base.Layers, Upper: upper, Args: args, Stdout: &out, Stderr: &out, Timeout: time.Minute})
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out.String())
		}
		return err
	}
	for name, fill := range map[string]func(ctx context.Context) error{
		"object": func(ctx context.Context) error {
			_, _, err := st.Put(ctx, io.LimitReader(rand.Reader, 100<<20))
			return err
		},
		"copy out of the store": func(ctx context.Context) error {
			var errs []error
			for i := range 20 {
				path := filepath.Join(state, fmt.Sprint("copy", i))
				defer os.Remove(path)
				d, err := st.PutBytes(ctx, bytes.Repeat([]byte("x"), 5<<20))
				if err == nil {
					err = st.CopyTo(d, path)
				}
				if err != nil {
					require.NoFileExists(t, path)
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
		"image layer": func(ctx context.Context) error {
			_, err := images.Unpack(ctx, unpacks)
			return err
		},
		"container": func(context.Context) error {
			return run("", "/bin/dd", "if=/dev/zero", "of=/big", "bs=1M", "count=100")
		},
		"build root": func(ctx context.Context) error {
			_, err := roots.Layers(ctx, buildroot.Image{Digest: "sha256:system", Layers: systemLayers(t)},
				[]buildroot.Package{{File: "big-1-1.noarch.rpm", Digest: big}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := ExplainFull(fill(t.Context()), state, t.TempDir())
			var full *FullError
			require.ErrorAs(t, err, &full, "%v", err)
			require.Greater(t, full.Freeable, int64(5<<20))
			require.True(t, strings.HasPrefix(full.Dir, state), full.Dir)
			require.ErrorContains(t, err, "the disk is full: the file system of "+state)
			require.ErrorContains(t, err, "ohpc-build cache gc --state "+state)
			require.Equal(t, before, files(t, state), "half-written files")
			require.InDelta(t, usedBefore, used(t, state), 64<<10)
			entries, err := os.ReadDir(rootsDir)
			require.True(t, errors.Is(err, fs.ErrNotExist) || len(entries) == 0)
		})
	}

	// With not a block left, the cache can still be emptied.
	filler, err := os.Create(filepath.Join(state, "filler"))
	require.NoError(t, err)
	_, err = io.Copy(filler, io.LimitReader(rand.Reader, 100<<20))
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorIs(t, st.PutRecord("results", "x", strings.Repeat("x", 64<<10)), unix.ENOSPC)
	require.NoError(t, filler.Close())
	sessions, err := filepath.Glob(filepath.Join(state, "store/sessions/*"))
	require.NoError(t, err)
	for _, s := range sessions {
		require.NoError(t, os.Remove(s))
	}
	c, err := cache.Open(state)
	require.NoError(t, err)
	done, err := c.Collect(t.Context(), cache.Limits{MaxBytes: 1})
	require.NoError(t, err)
	require.Greater(t, done.Before-done.After, int64(5<<20))
}

func TestOtherErrorsAreNotOfAFullDisk(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{nil, errors.New("rpmbuild failed"), &FullError{Dir: dir, Err: unix.ENOSPC}} {
		require.Equal(t, err, ExplainFull(err, dir, dir))
	}
	if n, err := cache.Free(dir); err == nil && n >= minimumFree {
		failed := errors.New("1 of 2 jobs failed; the first: x: write error: No space left on device")
		require.Equal(t, failed, ExplainFull(failed, dir, dir), "a package's test has said so: there is room")
	}
	absent := &fs.PathError{Op: "write", Path: filepath.Join(dir, "gone/with/its/folder"), Err: unix.EDQUOT}
	err := ExplainFull(fmt.Errorf("writing: %w", absent), dir, dir)
	require.ErrorContains(t, err, "the disk is full: the file system of "+dir+" has")
	require.ErrorContains(t, err, "make room there")
}

func busyboxRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"bin", "proc", "sys", "dev"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	program, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bin/busybox"), program, 0o755))
	require.NoError(t, os.Symlink("busybox", filepath.Join(dir, "bin/dd")))
	return dir
}

// systemLayers are those of some image of this machine's architecture that tests and
// runs share.
func systemLayers(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(testenv.State(t), "layers/images/*"))
	require.NoError(t, err)
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "usr/bin/rpm")); err == nil {
			if _, err := os.Stat(filepath.Join(dir, "usr/bin/x86_64-linux-gnu-gcc")); err == nil {
				return []string{dir}
			}
		}
	}
	t.Skip("there is no unpacked image of Debian_12 (ohpc-build matrix makes it)")
	return nil
}

// bigArchive is a layer whose blob is small.
func bigArchive(t *testing.T) io.Reader {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	const size = 100 << 20
	require.NoError(t, tw.WriteHeader(&tar.Header{Name: "big", Mode: 0o644, Size: size, Typeflag: tar.TypeReg}))
	_, err := tw.Write(make([]byte, size))
	require.NoError(t, err)
	require.NoError(t, tw.Close())
	return &b
}
