package locks

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

func lock(job string) *resolve.Lock {
	return &resolve.Lock{Version: resolve.LockVersion, Job: job, Target: "Debian_12", Arch: "x86_64", Image: store.Of([]byte("image")), Requires: []string{"gcc"}}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report", "locks")
	for _, job := range []string{"hwloc/Debian_12/x86_64", "pmix@gnu14/Debian_12/x86_64"} {
		require.NoError(t, Write(dir, lock(job)))
	}
	all, err := Read(dir)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, lock("hwloc/Debian_12/x86_64").Requires, all["hwloc/Debian_12/x86_64"].Requires)

	file := filepath.Join(dir, "hwloc_Debian_12_x86_64.json")
	one, err := Read(file)
	require.NoError(t, err)
	require.Len(t, one, 1)

	// What is as it was is left alone.
	before := time.Unix(1_700_000_000, 0)
	require.NoError(t, os.Chtimes(file, before, before))
	require.NoError(t, Write(dir, lock("hwloc/Debian_12/x86_64")))
	fi, err := os.Stat(file)
	require.NoError(t, err)
	require.True(t, fi.ModTime().Equal(before))
	changed := lock("hwloc/Debian_12/x86_64")
	changed.Requires = []string{"gcc", "make"}
	require.NoError(t, Write(dir, changed))
	one, err = Read(file)
	require.NoError(t, err)
	require.Equal(t, changed.Requires, one[changed.Job].Requires)

	none, err := Read("")
	require.NoError(t, err)
	require.Nil(t, none)
}

func TestWhatIsNoLock(t *testing.T) {
	dir := t.TempDir()
	text, err := lock("hwloc/Debian_12/x86_64").JSON()
	require.NoError(t, err)
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, text, 0o644))
		return path
	}
	write("twice/a.json", text)
	write("twice/b.json", text)
	write("odd/folder.json/x", nil)
	large := write("large.json", text)
	require.NoError(t, os.Truncate(large, maxLock+1))
	for path, want := range map[string]string{
		filepath.Join(dir, "absent"):            "reading the lock: ",
		filepath.Join(dir, "odd/folder.json"):   "has no lock files: a build writes them to report/locks of its output folder",
		filepath.Join(dir, "odd"):               "it is no file of at most 16777216 bytes",
		filepath.Join(dir, "twice"):             "b.json is a second lock of hwloc/Debian_12/x86_64",
		large:                                   "it is no file of at most 16777216 bytes",
		write("other.json", []byte(`{"a": 1}`)): "other.json: ",
	} {
		_, err := Read(path)
		require.ErrorContains(t, err, want)
	}
}

func TestALockThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(dir, nil, 0o644))
	require.ErrorContains(t, Write(dir, lock("hwloc/Debian_12/x86_64")), "writing the lock of hwloc/Debian_12/x86_64: ")
}
