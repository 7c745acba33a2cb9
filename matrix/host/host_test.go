package host

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

func TestSpace(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, checkSpace(dir, 1))
	err := checkSpace(dir, 1<<60)
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "GiB free, a run wants 1073741824.0")
	require.ErrorContains(t, err, "--state")
	require.Error(t, checkSpace(dir+"/absent", 1))
}

func TestOwner(t *testing.T) {
	testenv.Root(t)
	dir := t.TempDir()
	require.NoError(t, checkOwner(dir))
	require.NoError(t, os.Chown(dir, 61234, 61234))
	require.ErrorContains(t, checkOwner(dir), "the state folder "+dir+" belongs to another user (number 61234)")
	require.Error(t, checkOwner(dir+"/absent"))
}

func TestFileSystem(t *testing.T) {
	testenv.Root(t)
	dir := t.TempDir()
	require.NoError(t, checkFileSystem(dir))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	// A file system without owners and attributes of its own.
	require.Error(t, checkFileSystem("/proc/self"))
}

func TestGroupsRemedy(t *testing.T) {
	require.Contains(t, groupsRemedy(true, true), "run: systemd-run --user --scope")
	require.Contains(t, groupsRemedy(true, false), "run ohpc-build as root")
	require.Contains(t, groupsRemedy(false, true), "make /sys/fs/cgroup writable")
	require.Equal(t, groupsRemedy(false, true), groupsRemedy(false, false))
}
