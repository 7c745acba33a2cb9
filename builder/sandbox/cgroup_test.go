package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

func TestFindCgroups(t *testing.T) {
	mountinfo := func(lines string) string {
		proc := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(proc, "mountinfo"), []byte(lines), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(proc, "cgroup"), []byte("1:pids:/else\n0::/user/session/ohpc-build-main\n"), 0o644))
		return proc
	}
	line := func(mount, kind, options string) string {
		return fmt.Sprintf("30 23 0:26 / %s rw,nosuid shared:9 - %s none %s\n", mount, kind, options)
	}
	v1 := t.TempDir()
	all := findCgroups(mountinfo(
		line(v1+"/memory", "cgroup", "rw,memory") + line(v1+"/pids", "cgroup", "rw,pids") + line(v1+"/cpu", "cgroup", "rw,cpu,cpuacct") +
			line(v1+"/systemd", "cgroup", "rw,name=systemd") + line("/none", "tmpfs", "rw"),
	))
	require.Equal(t, cgroups{usable: true, memory: true, pids: true, cpu: true, parent: "/ohpc-build"}, all)
	require.DirExists(t, filepath.Join(v1, "systemd", parentGroup))

	require.Equal(t, cgroups{usable: true, pids: true, parent: "/ohpc-build"}, findCgroups(mountinfo(line(v1+"/pids", "cgroup", "rw,pids"))))
	require.Equal(t, cgroups{}, findCgroups(mountinfo(line(v1+"/pids", "cgroup", "rw,pids")+line("/proc/none", "cgroup", "ro,memory"))))
	require.Equal(t, cgroups{}, findCgroups("/nowhere"))

	v2 := filepath.Join(t.TempDir(), "cgroup")
	require.NoError(t, os.MkdirAll(filepath.Join(v2, parentGroup), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(v2, parentGroup, "cgroup.controllers"), []byte("memory pids\n"), 0o644))
	some := findCgroups(mountinfo(line(v2, "cgroup2", "rw,nsdelegate")))
	require.Equal(t, cgroups{usable: true, memory: true, pids: true, parent: "/ohpc-build"}, some)
	require.Equal(t, Limits{Memory: 1, Pids: 2}, some.enforced(Limits{Memory: 1, Pids: 2, CPUs: 3}))
	require.Equal(t, []string{"cores"}, (&Runtime{cgroups: some}).NotEnforced())
	require.Empty(t, cgroups{}.path("id"))

	// A file in the way stands for a folder that is root's.
	root := filepath.Join(t.TempDir(), "cgroup")
	own := filepath.Join(root, "user/session")
	for _, dir := range []string{own, filepath.Join(own, "ohpc-build"), filepath.Join(own, leafGroup)} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, parentGroup), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(own, parentGroup, "cgroup.controllers"), []byte("cpu memory pids\n"), 0o644))
	given := findCgroups(mountinfo(line(root, "cgroup2", "rw,nsdelegate")))
	require.Equal(t, cgroups{usable: true, memory: true, pids: true, cpu: true, parent: "/user/session/ohpc-build"}, given)
	require.Equal(t, "/user/session/ohpc-build/id", given.path("id"))
	moved, err := os.ReadFile(filepath.Join(own, leafGroup, "cgroup.procs"))
	require.NoError(t, err)
	require.Equal(t, "0", string(moved), "this process left the group that hands down controllers")
}

// TestWithoutCgroups runs itself once more where they are read-only, as they are
// in many a container.
func TestWithoutCgroups(t *testing.T) {
	testenv.Root(t)
	testenv.Programs(t, "runc", "unshare", "busybox")
	if dir := os.Getenv("OHPC_TEST_READ_ONLY_CGROUPS"); dir != "" {
		r, err := New("runc", filepath.Join(dir, "state"))
		require.NoError(t, err)
		require.Equal(t, []string{"memory", "processes", "cores"}, r.NotEnforced())
		var out bytes.Buffer
		err = r.Run(t.Context(), Spec{
			Name: "test", Layers: []string{filepath.Join(dir, "root")}, Args: []string{"/busybox", "echo", "it runs"},
			Limits: Limits{Memory: 64 << 20, Pids: 10, CPUs: 1}, Stdout: &out, Stderr: &out,
		})
		require.NoError(t, err, out.String())
		require.Equal(t, "it runs\n", out.String())

		// What the kernel does not hold is looked after.
		require.Len(t, r.Gaps(), 3)
		run := func(script string) error {
			out.Reset()
			return r.Run(t.Context(), Spec{
				Name: "test", Layers: []string{filepath.Join(dir, "root")}, Args: []string{"/busybox", "sh", "-c", script}, UID: 54321, GID: 54321,
				Limits: Limits{Memory: 256 << 20, Pids: 30}, Timeout: time.Minute, Stdout: &out, Stderr: &out,
			})
		}
		var memory *MemoryError
		require.ErrorAs(t, run("for i in 1 2; do /busybox dd if=/dev/zero of=/dev/null bs=200M & done; wait"), &memory)
		require.Error(t, run("/busybox dd if=/dev/zero of=/dev/null bs=300M count=1"))
		require.Error(t, run("i=0; while [ $i -lt 60 ]; do /busybox sleep 30 & i=$((i+1)); done; echo all started"))
		require.NotContains(t, out.String(), "all started")
		var used Usage
		require.NoError(t, r.Run(t.Context(), Spec{
			Name: "test", Layers: []string{filepath.Join(dir, "root")}, Args: []string{"/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=3"}, Used: &used,
		}))
		require.Greater(t, used.Memory, int64(100<<20), "what is known of the largest process")
		require.NotZero(t, used.CPU)
		return
	}
	dir := t.TempDir()
	for _, sub := range []string{"proc", "sys", "dev"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "root", sub), 0o755))
	}
	path, err := exec.LookPath("busybox")
	require.NoError(t, err)
	program, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "root/busybox"), program, 0o755))
	const readOnly = `awk '$5 ~ "^/sys/fs/cgroup" { print $5 }' /proc/self/mountinfo | while read -r mount; do mount -o remount,bind,ro "$mount"; done; exec "$@"`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation=private", "--", "sh", "-c", readOnly, "read-only", os.Args[0], "-test.run", "^TestWithoutCgroups$")
	cmd.Env = append(os.Environ(), "OHPC_TEST_READ_ONLY_CGROUPS="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
