package host

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/schedule"
)

// needing is a plan whose jobs use so much.
func needing(t *testing.T, uses map[string]schedule.Resources) *plan.Plan {
	t.Helper()
	var all []*plan.Job
	for name, u := range uses {
		all = append(all, &plan.Job{ID: plan.ID(name, "", "Debian_12", "x86_64"), Recipe: name, Target: "Debian_12", Arch: "x86_64", Reason: plan.ReasonNew, Uses: u})
	}
	p, err := plan.New(all)
	require.NoError(t, err)
	return p
}

func TestWhatThisHostCanNeverHoldIsToldBeforeAnythingIsBuilt(t *testing.T) {
	p := needing(t, map[string]schedule.Resources{
		"hwloc": {Memory: 512 << 20}, "trilinos": {Memory: 70 << 40}, "llvm": {Disk: 70 << 50, Cores: 4096},
	})
	state := t.TempDir()
	err := Fits(p, state, 2)
	var host *Error
	require.ErrorAs(t, err, &host)
	require.Len(t, host.Problems, 2)
	require.ErrorContains(t, err, "trilinos/Debian_12/x86_64 needs 71680.0 GiB of memory, and builds may use ")
	require.ErrorContains(t, err, "fewer --jobs do not help: it takes a host with 81920 GiB, or less in needs.memory of the recipe")
	require.ErrorContains(t, err, "llvm/Debian_12/x86_64 needs 73400320.0 GiB of disk, and builds may use ")
	require.ErrorContains(t, err, "or name a folder on another file system with --state")
	require.NoError(t, Fits(needing(t, map[string]schedule.Resources{"llvm": {Cores: 4096}}), state, 1), "fewer cores take longer, that is all")

	// What has a result need not fit.
	p.Job("trilinos/Debian_12/x86_64").Reason = plan.ReasonReused
	p.Job("llvm/Debian_12/x86_64").Reason = plan.ReasonReused
	require.NoError(t, Fits(p, state, 2))
}

// TestJobsThatSayNothingFillTheSlots has as many at a time as there are slots, however
// many these are.
func TestJobsThatSayNothingFillTheSlots(t *testing.T) {
	for _, slots := range []int{1, 3, 64, 100_000} {
		uses := map[string]schedule.Resources{}
		for i := range 80 {
			uses[fmt.Sprint("job", i)] = schedule.Resources{}
		}
		room := Room(t.TempDir(), slots)
		tasks := Tasks(needing(t, uses), room)
		for i := range tasks {
			tasks[i].Takes = time.Minute
		}
		spans, err := schedule.Makespans(tasks, room)
		require.NoError(t, err)
		require.Equal(t, time.Duration((80+slots-1)/slots)*time.Minute, spans[0], "%d slots", slots)
	}
	greedy := needing(t, map[string]schedule.Resources{"greedy": {Cores: 4096}})
	tasks := Tasks(greedy, Room(t.TempDir(), 2))
	require.Equal(t, runtime.NumCPU(), tasks[0].Uses.Cores)
}

func TestCoresAreSharedAmongThoseThatRun(t *testing.T) {
	room := schedule.Room{Slots: 8, Resources: schedule.Resources{Cores: 8}}
	for _, tc := range []struct{ needs, number, want int }{
		{0, 1, 8}, {0, 2, 4}, {0, 3, 3}, {0, 8, 1}, {0, 20, 1}, {4, 1, 4}, {4, 8, 4}, {64, 8, 8},
	} {
		j := &plan.Job{Uses: schedule.Resources{Cores: tc.needs}}
		require.Equal(t, tc.want, Cores(j, room, schedule.Place{Number: tc.number}), "%+v", tc)
	}
}

func TestTheMemoryOfAControlGroup(t *testing.T) {
	whole := hostMemory(t.TempDir())
	require.Greater(t, whole, int64(1<<28))
	for name, files := range map[string]map[string]string{
		"version 2": {
			"proc/self/cgroup": "0::/user.slice/build.service\n",
			"sys/fs/cgroup/user.slice/build.service/memory.max": "max\n",
			"sys/fs/cgroup/user.slice/memory.max":               "134217728\n",
		},
		"version 1": {
			"proc/self/cgroup":                           "5:cpu,cpuacct:/\n4:memory:/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n", // mounted as the container sees it
		},
		"hybrid": {
			"proc/self/cgroup": "4:memory:/a\n0::/\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "134217728\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   "9223372036854771712\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range files {
				path = filepath.Join(root, path)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
			}
			require.EqualValues(t, 128<<20, hostMemory(root))
		})
	}
}
