package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

func TestUsageOfBothVersions(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"version 2": {
			"memory.peak": "536870912\n", "memory.events": "low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\noom_group_kill 0\n",
			"cpu.stat": "usage_usec 1500000\nuser_usec 1\nsystem_usec 1\n", "pids.events": "max 7\n",
		},
		"version 1": {
			"memory.max_usage_in_bytes": "536870912\n", "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
			"cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n", "cpuacct.usage": "1500000000\n", "pids.events": "max 7\n",
		},
	} {
		dir := t.TempDir()
		for file, text := range files {
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
		}
		require.Equal(t, Usage{Memory: 512 << 20, CPU: 1500 * time.Millisecond, Killed: 2, Refused: 7}, group{t.TempDir(), dir}.usage(), name)
	}
	require.Zero(t, group{t.TempDir()}.usage())
}

func TestWhatEndedACommand(t *testing.T) {
	limits := Limits{Memory: 512 << 20, Pids: 64}
	for want, e := range map[string]ExitError{
		"exit status 3":     {Code: 3, Limits: limits, Used: Usage{Memory: 1 << 20}},
		"ended by signal 9": {Code: 137, Limits: limits, Used: Usage{Memory: 1 << 20}},
		"killed by its memory limit of 512 MiB (peak 511.8 MiB, oom_kill 1; exit status 1)": {
			Code: 1, Limits: limits, Used: Usage{Memory: 511<<20 + 819<<10, Killed: 1},
		},
		"killed because the host ran out of memory (peak 100 MiB, oom_kill 1; ended by signal 9)": {
			Code: 137, Limits: limits, Used: Usage{Memory: 100 << 20, Killed: 1},
		},
		"exit status 2; it reached its limit of 64 processes, and 3 more were refused": {
			Code: 2, Limits: limits, Used: Usage{Refused: 3},
		},
	} {
		require.EqualError(t, &e, want)
	}
}

// TestDiskOfTheEnemy measures folders made to mislead.
func TestDiskOfTheEnemy(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write := func(path string, size int) {
		require.NoError(t, os.WriteFile(path, make([]byte, size), 0o644))
	}
	write(filepath.Join(outside, "large"), 8<<20)
	write(filepath.Join(dir, "one"), 1<<20)
	d := disk{dirs: []string{dir}, root: os.Getpid()}
	honest, err := d.used(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, honest, int64(1<<20))
	require.Less(t, honest, int64(1<<20+64<<10))

	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link")))
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644))
	require.NoError(t, os.Link(filepath.Join(dir, "one"), filepath.Join(dir, "same")))
	require.NoError(t, os.Truncate(filepath.Join(dir, "one"), 1<<40))
	used, err := d.used(t.Context())
	require.NoError(t, err)
	require.Less(t, used, honest+64<<10, "neither what links point to, nor holes, nor a file once for each name")

	// Nothing has its name, but a process has it open.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `exec 3>"$1/gone"; rm "$1/gone"; head -c 4M /dev/zero >&3; echo; exec sleep 600`, "sh", dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
	used, err = d.used(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, used, honest+4<<20)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	deep := dir
	fd, err := unix.Open(deep, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	for range maxDepth + 2 {
		require.NoError(t, unix.Mkdirat(fd, "d", 0o755))
		next, err := unix.Openat(fd, "d", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Close(fd))
		fd = next
	}
	require.NoError(t, unix.Close(fd))
	_, err = d.used(t.Context())
	require.ErrorContains(t, err, "nested")
}

func TestAFullFileSystem(t *testing.T) {
	testenv.Root(t)
	dir := t.TempDir()
	require.NoError(t, unix.Mount("none", dir, "tmpfs", 0, "size=400m"))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	w := diskWatch{disk: disk{dirs: []string{dir}, root: os.Getpid()}, limit: 1 << 30}
	require.NoError(t, w.look(t.Context()), "whoever wrote nothing is not at fault")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), make([]byte, reserve/4), 0o644))
	w.next = time.Time{}
	var full *DiskError
	require.ErrorAs(t, w.look(t.Context()), &full)
	require.True(t, full.Full)
	require.ErrorContains(t, full, "cache gc")
}

func TestMemoryOfAProcessTree(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `(head -c 64M /dev/zero; sleep 600) | tail -c 64M & echo; wait`)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, lookAtMemory(os.Getpid(), 1<<30))
	var memory *MemoryError
	require.Eventually(t, func() bool {
		err = lookAtMemory(os.Getpid(), 48<<20)
		return err != nil
	}, 10*time.Second, 20*time.Millisecond)
	require.ErrorAs(t, err, &memory)
	require.Greater(t, memory.Used, int64(48<<20))
	for _, pid := range descendants(os.Getpid()) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	_ = cmd.Wait()
}
