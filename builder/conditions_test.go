package builder

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

func TestConditionsReachTheBuild(t *testing.T) {
	var got sandbox.Spec
	var owner uint32
	b, job := newBuilder(t, func(top string, s sandbox.Spec) error {
		got = s
		fi, err := os.Stat(filepath.Join(top, "SOURCES/a.tar"))
		require.NoError(t, err)
		owner = fi.Sys().(*syscall.Stat_t).Uid
		write(t, filepath.Join(top, "RPMS/a-1-1.x86_64.rpm"), "binary")
		return nil
	})
	dir := t.TempDir()
	c := Conditions{HostName: "elsewhere", User: "other", UID: 4711, Home: "/build/tmp", Zone: "XYZ-3", Jobs: 7, Env: []string{"A=b"}, Dir: dir}
	_, err := b.BuildUnder(t.Context(), job, c, io.Discard)
	require.NoError(t, err)
	require.Equal(t, "elsewhere", got.HostName)
	require.EqualValues(t, 4711, got.UID)
	require.EqualValues(t, 4711, got.GID)
	require.EqualValues(t, 4711, owner)
	require.Subset(t, got.Env, []string{"USER=other", "LOGNAME=other", "HOME=/build/tmp", "TZ=XYZ-3", "RPM_BUILD_NCPUS=7", "A=b"})
	require.Contains(t, got.Args, "_smp_build_ncpus 7")
	require.Equal(t, dir, filepath.Dir(filepath.Dir(got.Mounts[0].Source)))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)

	_, err = b.Build(t.Context(), job, io.Discard)
	require.NoError(t, err)
	require.Equal(t, "build", got.HostName)
	require.True(t, slices.Contains(got.Env, "RPM_BUILD_NCPUS=2") && slices.Contains(got.Env, "TZ=UTC"))
	require.Equal(t, b.store.Dir(), filepath.Dir(filepath.Dir(filepath.Dir(got.Mounts[0].Source))))
}
