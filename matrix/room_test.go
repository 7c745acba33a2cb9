package matrix

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/schedule"
	"github.com/ohpc-build/ohpc-build/matrix/trial"
	"github.com/ohpc-build/ohpc-build/recipes/source"
)

// needing is a run whose jobs use so much.
func needing(t *testing.T, slots int, uses map[string]schedule.Resources) *Matrix {
	t.Helper()
	var all []*plan.Job
	for name, u := range uses {
		all = append(all, &plan.Job{ID: plan.ID(name, "", "Debian_12", "x86_64"), Recipe: name, Target: "Debian_12", Arch: "x86_64", Reason: plan.ReasonNew, Uses: u})
	}
	p, err := plan.New(all)
	require.NoError(t, err)
	return &Matrix{opt: Options{State: t.TempDir(), Jobs: slots}, jobs: &jobs.Set{Plan: p}}
}

func TestWhatThisHostCanNeverHoldIsToldBeforeAnythingIsBuilt(t *testing.T) {
	m := needing(t, 2, map[string]schedule.Resources{
		"hwloc": {Memory: 512 << 20}, "trilinos": {Memory: 70 << 40}, "llvm": {Disk: 70 << 50, Cores: 4096},
	})
	err := m.Fits()
	var host *HostError
	require.ErrorAs(t, err, &host)
	require.Len(t, host.Problems, 2)
	require.ErrorContains(t, err, "trilinos/Debian_12/x86_64 needs 71680.0 GiB of memory, and builds may use ")
	require.ErrorContains(t, err, "fewer --jobs do not help: it takes a host with 81920 GiB, or less in needs.memory of the recipe")
	require.ErrorContains(t, err, "llvm/Debian_12/x86_64 needs 73400320.0 GiB of disk, and builds may use ")
	require.ErrorContains(t, err, "or name a folder on another file system with --state")
	require.NoError(t, needing(t, 1, map[string]schedule.Resources{"llvm": {Cores: 4096}}).Fits(), "fewer cores take longer, that is all")

	// What has a result need not fit.
	m.jobs.Plan.Job("trilinos/Debian_12/x86_64").Reason = plan.ReasonReused
	m.jobs.Plan.Job("llvm/Debian_12/x86_64").Reason = plan.ReasonReused
	require.NoError(t, m.Fits())
}

// TestJobsThatSayNothingFillTheSlots has as many at a time as there are slots, however
// many these are.
func TestJobsThatSayNothingFillTheSlots(t *testing.T) {
	for _, slots := range []int{1, 3, 64, 100_000} {
		uses := map[string]schedule.Resources{}
		for i := range 80 {
			uses[fmt.Sprint("job", i)] = schedule.Resources{}
		}
		m := needing(t, slots, uses)
		tasks, room := m.tasks(m.jobs.Plan)
		for i := range tasks {
			tasks[i].Takes = time.Minute
		}
		spans, err := schedule.Makespans(tasks, room)
		require.NoError(t, err)
		require.Equal(t, time.Duration((80+slots-1)/slots)*time.Minute, spans[0], "%d slots", slots)
	}
	m := needing(t, 2, map[string]schedule.Resources{"greedy": {Cores: 4096}})
	tasks, _ := m.tasks(m.jobs.Plan)
	require.Equal(t, runtime.NumCPU(), tasks[0].Uses.Cores)
}

func TestCoresAreSharedAmongThoseThatRun(t *testing.T) {
	room := schedule.Room{Slots: 8, Resources: schedule.Resources{Cores: 8}}
	for _, tc := range []struct{ needs, number, want int }{
		{0, 1, 8}, {0, 2, 4}, {0, 3, 3}, {0, 8, 1}, {0, 20, 1}, {4, 1, 4}, {4, 8, 4}, {64, 8, 8},
	} {
		j := &plan.Job{Uses: schedule.Resources{Cores: tc.needs}}
		require.Equal(t, tc.want, coresOf(j, room, schedule.Place{Number: tc.number}), "%+v", tc)
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

func TestFaultsOfTheInfrastructure(t *testing.T) {
	fetch := func(err error) error {
		return fmt.Errorf("hwloc: %w", &source.FetchError{Source: "x", Tries: []source.Try{{Place: "a", Err: &source.StatusError{Code: 404}}, {Place: "b", Err: err}}})
	}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"a server's trouble":              {fetch(&source.StatusError{Code: 503}), true},
		"the network's trouble":           {fetch(errors.New("connection reset by peer")), true},
		"a file that is gone":             {fetch(&source.StatusError{Code: 404}), false},
		"something else was served":       {fetch(&source.DigestError{}), false},
		"no file":                         {fetch(os.ErrNotExist), false},
		"a container that did not start":  {fmt.Errorf("x: %w", &sandbox.StartError{}), true},
		"a container that was killed":     {&builder.KilledError{}, true},
		"a check that lost its container": {fmt.Errorf("x: %w", &trial.FaultError{Err: &sandbox.ExitError{Code: 137}}), true},
		"a build":                         {&builder.BuildError{Err: &sandbox.ExitError{Code: 1}}, false},
		"a build that lost its memory":    {&builder.BuildError{Err: &sandbox.ExitError{Code: 137, Used: sandbox.Usage{Killed: 1}}}, false},
		"a build that takes too long":     {&builder.TimeLimitError{}, false},
		"a disk that is full":             {fmt.Errorf("%w: %w", &sandbox.StartError{}, unix.ENOSPC), false},
		"a registry's trouble":            {fmt.Errorf("x: %w", &transport.Error{StatusCode: 503}), true},
		"an image that is gone":           {&transport.Error{StatusCode: 404}, false},
		"a registry that is not there":    {&url.Error{Op: "Get", URL: "x", Err: &net.DNSError{}}, true},
		"a mirror's trouble":              {fmt.Errorf("the image of x: %w", &debian.Error{Err: errors.New("exit status 25"), Tail: "E: Failed to fetch http://x/InRelease  503  Later"}), true},
		"a package that there is not":     {&debian.Error{Err: errors.New("exit status 25"), Tail: "E: Unable to locate package scotchh"}, false},
		"a download in trouble":           {&debian.DownloadError{Tail: "E: Failed to fetch http://x/a.deb  Hash Sum mismatch"}, true},
		"a signature that is refused":     {&debian.DownloadError{Tail: "E: The repository 'http://x bookworm InRelease' is not signed."}, false},
		"a limit of ours":                 {&debian.Error{Err: context.DeadlineExceeded}, false},
		"what a description does not say": {errors.New("its key is not that of its parts"), false},
	} {
		require.Equal(t, tc.want, passing(tc.err), name)
	}
	require.False(t, (&sandbox.ExitError{Code: 137, Used: sandbox.Usage{Killed: 1}}).Killed(), "the kernel did it, for memory")
	require.True(t, (&sandbox.ExitError{Code: 137}).Killed())
	require.False(t, (&sandbox.ExitError{Code: 1}).Killed())
}
