package builder

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

// fakeSandbox does to the job's folder what the container would.
type fakeSandbox struct {
	run func(top string, s sandbox.Spec) error
}

func (f fakeSandbox) Run(_ context.Context, s sandbox.Spec) error {
	return f.run(s.Mounts[0].Source, s)
}

type noRoots struct{}

func (noRoots) Layers(_ context.Context, image buildroot.Image, _ []buildroot.Package, _ ...sandbox.Mount) ([]string, error) {
	return image.Layers, nil
}

func newBuilder(t *testing.T, run func(top string, s sandbox.Spec) error) (*Builder, Job) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("laying out a build for another user needs root")
	}
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	spec, err := st.PutBytes(t.Context(), []byte("Name: a\n"))
	require.NoError(t, err)
	source, err := st.PutBytes(t.Context(), []byte("source"))
	require.NoError(t, err)
	return New(st, fakeSandbox{run}, noRoots{}), Job{
		ID: "a/Debian_12/x86_64", Arch: "x86_64",
		Image: buildroot.Image{Layers: []string{"/layer"}},
		Spec:  File{"a.spec", spec}, Sources: []File{{"a.tar", source}},
		Defines: []Define{{"dist", ".300.ohpc"}},
		Limits:  Limits{Time: time.Minute, Cores: 2, Memory: 1 << 30},
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

func TestWhatIsHandedToTheSandbox(t *testing.T) {
	var got sandbox.Spec
	b, job := newBuilder(t, func(top string, s sandbox.Spec) error {
		got = s
		for _, name := range []string{"SPECS/a.spec", "SOURCES/a.tar"} {
			fi, err := os.Stat(filepath.Join(top, name))
			require.NoError(t, err)
			require.Zero(t, fi.Mode()&0o022)
		}
		write(t, filepath.Join(top, "RPMS/x86_64/a-1-1.x86_64.rpm"), "binary")
		write(t, filepath.Join(top, "SRPMS/a-1-1.src.rpm"), "source")
		_, err := io.WriteString(s.Stdout, "building\n")
		return err
	})
	var log strings.Builder
	result, err := b.Build(t.Context(), job, &log)
	require.NoError(t, err)
	require.Equal(t, "building\n", log.String())
	require.Equal(t, []buildroot.Package{
		{File: "a-1-1.src.rpm", Digest: store.Of([]byte("source"))},
		{File: "a-1-1.x86_64.rpm", Digest: store.Of([]byte("binary"))},
	}, result.Packages)
	kept, err := b.store.ReadAll(result.Log, 1000)
	require.NoError(t, err)
	require.Equal(t, "building\n", string(kept))

	require.EqualValues(t, buildUser, got.UID)
	require.Equal(t, sandbox.None, got.Privileges)
	require.False(t, got.Network)
	require.Equal(t, time.Minute, got.Timeout)
	require.EqualValues(t, 1<<30, got.Limits.Memory)
	require.Contains(t, got.Args, "dist .300.ohpc")
	require.Contains(t, got.Args, "clamp_mtime_to_source_date_epoch 1")
	left, err := os.ReadDir(filepath.Join(b.store.Dir(), "tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestWhatABuildMayNotLeave(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret.rpm")
	write(t, secret, "the host's")
	for name, tc := range map[string]struct {
		leave func(top string)
		want  string
	}{
		"nothing": {func(string) {}, "wrote no package"},
		"a link to a file of the host": {func(top string) {
			require.NoError(t, os.Symlink(secret, filepath.Join(top, "RPMS/a-1-1.x86_64.rpm")))
		}, "wrote no package"},
		"a folder that leads out": {func(top string) {
			require.NoError(t, os.Remove(filepath.Join(top, "RPMS")))
			require.NoError(t, os.Symlink(filepath.Dir(secret), filepath.Join(top, "RPMS")))
		}, "collecting packages"},
		"two of one name": {func(top string) {
			write(t, filepath.Join(top, "RPMS/x86_64/a-1-1.noarch.rpm"), "one")
			write(t, filepath.Join(top, "RPMS/noarch/a-1-1.noarch.rpm"), "two")
		}, "two packages named a-1-1.noarch.rpm"},
	} {
		t.Run(name, func(t *testing.T) {
			b, job := newBuilder(t, func(top string, _ sandbox.Spec) error {
				tc.leave(top)
				return nil
			})
			_, err := b.Build(t.Context(), job, io.Discard)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestWhoseFaultItIs(t *testing.T) {
	var end error
	b, job := newBuilder(t, func(_ string, s sandbox.Spec) error {
		_, _ = io.WriteString(s.Stdout, "the last line\n")
		return end
	})
	end = &sandbox.ExitError{Code: 1}
	_, err := b.Build(t.Context(), job, io.Discard)
	var build *BuildError
	require.ErrorAs(t, err, &build)
	require.Equal(t, "the last line", build.Tail)

	end = sandbox.ErrTimeout
	_, err = b.Build(t.Context(), job, io.Discard)
	var limit *TimeLimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, time.Minute, limit.Limit)

	end = &sandbox.StartError{Name: "a", Message: "no room"}
	_, err = b.Build(t.Context(), job, io.Discard)
	require.Error(t, err)
	require.False(t, errors.As(err, &build) || errors.As(err, &limit), "the machine's fault is not the package's")
}

func TestJobsThatAreRefused(t *testing.T) {
	b, job := newBuilder(t, func(string, sandbox.Spec) error { return nil })
	for _, change := range []func(*Job){
		func(j *Job) { j.Spec.Name = "../a.spec" },
		func(j *Job) { j.Spec.Name = "" },
		func(j *Job) { j.Sources = []File{{Name: "a/b", Digest: j.Spec.Digest}} },
		func(j *Job) { j.Defines = []Define{{"a(o)", "b"}} },
		func(j *Job) { j.Defines = []Define{{"", "b"}} },
	} {
		bad := job
		change(&bad)
		_, err := b.Build(t.Context(), bad, io.Discard)
		require.Error(t, err)
	}
}

func TestALogThatFloods(t *testing.T) {
	var kept strings.Builder
	var ended error
	l := newLog(&kept, 1<<20, func(err error) { ended = err })
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range 4096 {
		require.NoError(t, ended, "a long log is no reason to end a build")
		n, err := l.Write(line)
		require.NoError(t, err)
		require.Equal(t, len(line), n)
	}
	_, err := l.Write([]byte("the end\n"))
	require.NoError(t, err)
	require.Less(t, kept.Len(), 1<<20+200)
	require.EqualError(t, ended, "it flooded its log: it printed more than 4 MiB and was ended")
	require.Contains(t, kept.String(), "the log passed 1 MiB")
	require.True(t, strings.HasSuffix(l.Tail(), "the end"), "the end is remembered all the same")
	require.LessOrEqual(t, len(l.tail), tailBytes)

	_, err = l.Write([]byte(strings.Repeat("line\n", 10_000)))
	require.NoError(t, err)
	require.Len(t, strings.Split(l.Tail(), "\n"), tailLines)
}
