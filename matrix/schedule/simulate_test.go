package schedule_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/matrix/schedule"
)

// release is a graph like that of a release for several cells: in each cell some
// packages that nothing needs, compilers, MPI families made with each compiler, and
// libraries for each compiler and for each pair, in layers that need those before.
// A few builds take hours, most of them minutes. The same seed gives the same graph.
func release(n int, seed uint64) []schedule.Task {
	r := rand.New(rand.NewPCG(seed, 1))
	var tasks []schedule.Task
	for cell := 0; len(tasks) < n; cell++ {
		first := len(tasks)
		add := func(takes time.Duration, needs ...int) int {
			t := schedule.Task{ID: fmt.Sprintf("cell%d/%d", cell, len(tasks)-first), Takes: takes}
			for _, need := range needs {
				t.Needs = append(t.Needs, tasks[need].ID)
			}
			tasks = append(tasks, t)
			return len(tasks) - 1
		}
		minutes := func() time.Duration { // most of few, some of many
			return time.Duration((0.5 + 4*r.ExpFloat64()) * float64(time.Minute))
		}
		base := add(time.Minute)
		autotools := add(3*time.Minute, base)
		for range 30 {
			add(minutes(), base)
		}
		for c := range 2 {
			// One is built, the other comes ready-made and is only wrapped.
			compiler := add([]time.Duration{time.Hour, time.Minute}[c], base, autotools)
			serial := []int{compiler}
			for range 25 {
				serial = append(serial, add(minutes(), compiler, serial[r.IntN(len(serial))]))
			}
			for range 3 {
				mpi := add(time.Duration(10+r.IntN(10))*time.Minute, compiler, serial[r.IntN(3)])
				layer := []int{mpi}
				for range 24 {
					layer = append(layer, add(minutes(), mpi, serial[r.IntN(len(serial))], layer[r.IntN(len(layer))]))
				}
			}
		}
	}
	return tasks[:n]
}

// ratio is by how much the simulated run takes longer than any could.
func ratio(t testing.TB, tasks []schedule.Task, room schedule.Room) float64 {
	t.Helper()
	spans, err := schedule.Makespans(tasks, room)
	require.NoError(t, err)
	bound, err := schedule.Bound(tasks, room)
	require.NoError(t, err)
	return spans[0].Seconds() / bound.Seconds()
}

func TestARunTakesHardlyLongerThanItMust(t *testing.T) {
	for _, n := range []int{1180, 400} {
		for seed := range uint64(5) {
			tasks := release(n, seed)
			for _, slots := range []int{1, 2, 3, 4, 8, 16, 32, 64, 128, 1024} {
				r := ratio(t, tasks, schedule.Room{Slots: slots})
				require.GreaterOrEqual(t, r, 0.999999)
				require.LessOrEqual(t, r, 1.1, "%d tasks, seed %d, %d slots", n, seed, slots)
			}
		}
	}
}

// packed is a release whose tasks use memory, cores and disk.
func packed(n int, seed uint64) []schedule.Task {
	tasks := release(n, seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range tasks {
		tasks[i].Uses = schedule.Resources{Memory: gib << r.IntN(3), Cores: 1 + r.IntN(3), Disk: gib * int64(r.IntN(3))}
		if i%100 == 0 { // as one library is known to, for each of some families
			tasks[i].Uses.Memory = 70 * gib
		}
	}
	return tasks
}

func TestTasksThatUseMuchArePacked(t *testing.T) {
	tasks := packed(1180, 7)
	room := schedule.Room{Slots: 32, Resources: schedule.Resources{Memory: 256 * gib, Disk: 100 * gib, Cores: 48}}
	require.LessOrEqual(t, ratio(t, tasks, room), 1.1)
	// On smaller hosts only two, or one, of the largest run at a time. What runs beside
	// one of these on a host of 96 GiB has a quarter of the memory that it could use, and
	// one of them is a compiler that takes an hour: the bound takes for granted that just
	// then those are ready that use little.
	for gibs, most := range map[int64]float64{192: 1.1, 128: 1.1, 96: 1.13, 80: 1.1} {
		small := room
		small.Memory = gibs * gib
		r := ratio(t, tasks, small)
		t.Logf("%d GiB: %.3f", gibs, r)
		require.LessOrEqual(t, r, most, "%d GiB", gibs)
	}

	// At no time is more used than there is, and no slot twice.
	spans, err := schedule.Simulate(tasks, room)
	require.NoError(t, err)
	for i, a := range spans {
		used, slots := schedule.Resources{}, map[int]bool{}
		for k, b := range spans { // those that run when i begins
			if b.Begin <= a.Begin && a.Begin < b.End {
				used.Memory += tasks[k].Uses.Memory
				used.Disk += tasks[k].Uses.Disk
				used.Cores += tasks[k].Uses.Cores
				require.False(t, slots[b.Slot], "%s shares a slot", tasks[k].ID)
				slots[b.Slot] = true
			}
		}
		require.LessOrEqual(t, len(slots), room.Slots)
		require.LessOrEqual(t, used.Memory, room.Memory, tasks[i].ID)
		require.LessOrEqual(t, used.Disk, room.Disk, tasks[i].ID)
		require.LessOrEqual(t, used.Cores, room.Cores, tasks[i].ID)
	}
	again, err := schedule.Simulate(tasks, room)
	require.NoError(t, err)
	require.Equal(t, spans, again, "the same tasks run in the same way")
}

func TestBoundKnowsWhatDoesNotFitBesideEachOther(t *testing.T) {
	task := func(id string, takes time.Duration, memory int64, needs ...string) schedule.Task {
		return schedule.Task{ID: id, Takes: takes, Uses: schedule.Resources{Memory: memory}, Needs: needs}
	}
	for want, tasks := range map[time.Duration][]schedule.Task{
		30 * time.Minute: {task("a", 10*time.Minute, 6), task("b", 10*time.Minute, 6), task("c", 10*time.Minute, 6)},
		15 * time.Minute: {task("a", 10*time.Minute, 4), task("b", 10*time.Minute, 4), task("c", 10*time.Minute, 4)},
		25 * time.Minute: { // after what all need, and before what needs them
			task("base", 2*time.Minute, 0), task("a", 10*time.Minute, 6, "base"), task("b", 10*time.Minute, 6, "base"), task("meta", 3*time.Minute, 0, "a", "b"),
		},
		31 * time.Minute: { // the early one does not count
			task("early", time.Minute, 6), task("long", 20*time.Minute, 0), task("a", 5*time.Minute, 6, "long"), task("b", 6*time.Minute, 6, "long"),
		},
		0: nil,
	} {
		bound, err := schedule.Bound(tasks, schedule.Room{Slots: 8, Resources: schedule.Resources{Memory: 10}})
		require.NoError(t, err)
		require.Equal(t, want, bound)
	}
}

// TestALargeTaskDoesNotWaitForEver has many small ones that would always fit beside
// each other, and a large one that never does unless room is kept for it.
func TestALargeTaskDoesNotWaitForEver(t *testing.T) {
	tasks := []schedule.Task{{ID: "first", Takes: time.Minute, Uses: schedule.Resources{Memory: 1}}}
	for i := range 200 {
		tasks = append(tasks, schedule.Task{ID: fmt.Sprint(i), Takes: time.Duration(3+i%5) * time.Minute, Uses: schedule.Resources{Memory: 1}})
	}
	// It becomes ready when all slots are taken, and the end waits for it.
	tasks = append(tasks,
		schedule.Task{ID: "large", Needs: []string{"first"}, Takes: 10 * time.Minute, Uses: schedule.Resources{Memory: 4}},
		schedule.Task{ID: "last", Needs: []string{"large"}, Takes: 30 * time.Minute})
	spans, err := schedule.Simulate(tasks, schedule.Room{Slots: 4, Resources: schedule.Resources{Memory: 4}})
	require.NoError(t, err)
	large := spans[len(spans)-2]
	require.Less(t, large.Begin, 8*time.Minute, "it begins when those that ran have ended")

	// What ends before there is room for it may run meanwhile.
	tasks = []schedule.Task{
		{ID: "after long", Needs: []string{"long"}, Takes: 30 * time.Minute},
		{ID: "long", Takes: 10 * time.Minute, Uses: schedule.Resources{Memory: 3}},
		{ID: "large", Takes: 9 * time.Minute, Uses: schedule.Resources{Memory: 4}},
		{ID: "short", Takes: 5 * time.Minute, Uses: schedule.Resources{Memory: 1}},
		{ID: "too long", Takes: 6 * time.Minute, Uses: schedule.Resources{Memory: 1}},
	}
	spans, err = schedule.Simulate(tasks, schedule.Room{Slots: 4, Resources: schedule.Resources{Memory: 4}})
	require.NoError(t, err)
	require.Zero(t, spans[4].Begin)
	require.Equal(t, 10*time.Minute, spans[2].Begin, "it is not delayed")
	require.Equal(t, 19*time.Minute, spans[3].Begin)
}

func TestWhatDoesNotFitAtAll(t *testing.T) {
	room := schedule.Room{Slots: 2, Resources: schedule.Resources{Memory: 24 << 30, Cores: 2}}
	tasks := []schedule.Task{
		{ID: "trilinos", Uses: schedule.Resources{Memory: 70 << 30, Disk: 1 << 40}},
		{ID: "hwloc", Uses: schedule.Resources{Memory: 24 << 30, Cores: 2}},
		{ID: "llvm", Uses: schedule.Resources{Cores: 16}},
	}
	errs := schedule.Check(tasks, room)
	require.Len(t, errs, 2)
	require.EqualError(t, errs[0], "trilinos needs 70.0 GiB of memory, and there are 24.0 GiB")
	require.EqualError(t, errs[1], "llvm needs 16 cores, and there are 2")
	_, err := schedule.Run(t.Context(), tasks, room)
	var no *schedule.RoomError
	require.ErrorAs(t, err, &no)
	_, err = schedule.Simulate(tasks, room)
	require.ErrorAs(t, err, &no)
	_, err = schedule.Makespans(tasks, room)
	require.ErrorAs(t, err, &no)
}

// TestRunsAreAsSimulated runs what is simulated, in a bubble of time.
func TestRunsAreAsSimulated(t *testing.T) {
	tasks := release(300, 3)
	for i := range tasks {
		tasks[i].Uses.Memory = int64(1 + i%4)
	}
	for _, slots := range []int{1, 2, 7, 64} {
		room := schedule.Room{Slots: slots, Resources: schedule.Resources{Memory: 20}}
		simulated, err := schedule.Simulate(tasks, room)
		require.NoError(t, err)
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			ran := make([]schedule.Span, len(tasks))
			for i := range tasks {
				tasks[i].Run = func(_ context.Context, place schedule.Place) error {
					from := time.Since(begin)
					time.Sleep(tasks[i].Takes)
					ran[i] = schedule.Span{Begin: from, End: time.Since(begin), Slot: place.Slot}
					return nil
				}
			}
			failed, err := schedule.Run(t.Context(), tasks, room)
			require.NoError(t, err)
			require.Empty(t, failed)
			last := func(spans []schedule.Span) (end time.Duration) {
				for _, s := range spans {
					end = max(end, s.End)
				}
				return end
			}
			// Where several end at one moment, a run may see one after the other.
			require.InEpsilon(t, last(simulated).Seconds(), last(ran).Seconds(), 0.02, "%d slots", slots)
			if slots == 1 {
				require.Equal(t, simulated, ran)
			}
		})
	}
	_, err := schedule.Makespans([]schedule.Task{{ID: "a", Needs: []string{"a"}}}, schedule.Room{Slots: 1})
	require.ErrorContains(t, err, "in a circle")
	_, err = schedule.Bound([]schedule.Task{{ID: "a", Needs: []string{"a"}}}, schedule.Room{Slots: 1})
	require.ErrorContains(t, err, "in a circle")
}

func TestFailFast(t *testing.T) {
	var tr trace
	release := make(chan struct{})
	failed, err := schedule.Run(t.Context(), []schedule.Task{
		{ID: "bad", Run: func(context.Context, schedule.Place) error { close(release); return errBroken }},
		{ID: "runs", Run: func(context.Context, schedule.Place) error { <-release; return nil }},
		tr.task("above", nil, "bad"),
		tr.task("beside", nil),
		tr.task("later", nil, "runs"),
	}, schedule.Room{Slots: 2}, schedule.FailFast())
	require.NoError(t, err)
	require.LessOrEqual(t, len(tr.order), 1, "what has begun may have been the one beside")
	require.NotContains(t, tr.order, "above")
	require.ErrorIs(t, failed["bad"], errBroken)
	require.NotContains(t, failed, "runs", "what runs is left to end")
	var stopped *schedule.StoppedError
	require.ErrorAs(t, failed["later"], &stopped)
	require.Equal(t, "bad", stopped.Failed)
	var need *schedule.NeedError
	require.ErrorAs(t, failed["above"], &need)
	require.ErrorIs(t, schedule.FirstCause(failed), errBroken)
}

// TestBoundKnowsWhatFitsBesideLargeTasks has one that leaves room for two small ones, of
// the ten that run side by side otherwise.
func TestBoundKnowsWhatFitsBesideLargeTasks(t *testing.T) {
	tasks := []schedule.Task{{ID: "large", Takes: 10 * time.Minute, Uses: schedule.Resources{Memory: 8}}}
	for i := range 90 {
		tasks = append(tasks, schedule.Task{ID: fmt.Sprint(i), Takes: time.Minute, Uses: schedule.Resources{Memory: 1, Cores: 1}})
	}
	room := schedule.Room{Slots: 100, Resources: schedule.Resources{Memory: 10, Cores: 10}}
	bound, err := schedule.Bound(tasks, room)
	require.NoError(t, err)
	require.Equal(t, 17*time.Minute, bound, "20 beside it, and 70 in 7 minutes")
	require.InDelta(t, 1, ratio(t, tasks, room), 1e-9)
}

// processor is how much processor time the tests have taken so far: other than the time
// of day it does not depend on what else runs.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestAHundredThousandTasksOnAHost(t *testing.T) {
	begin := processor(t)
	room := schedule.Room{Slots: 64, Resources: schedule.Resources{Memory: 512 * gib, Disk: 1000 * gib, Cores: 128}}
	require.LessOrEqual(t, ratio(t, packed(100_000, 1), room), 1.1)
	took := processor(t) - begin
	t.Logf("simulated in %s", took)
	require.Less(t, took, 20*time.Second)
}

func TestAHundredThousandTasks(t *testing.T) {
	tasks := release(100_000, 1)
	begin := processor(t)
	require.LessOrEqual(t, ratio(t, tasks, schedule.Room{Slots: 64}), 1.1)
	for i := range tasks {
		tasks[i].Run = func(context.Context, schedule.Place) error { return nil }
	}
	failed, err := schedule.Run(t.Context(), tasks, schedule.Room{Slots: 64})
	require.NoError(t, err)
	require.Empty(t, failed)
	took := processor(t) - begin
	t.Logf("simulated and run in %s", took)
	require.Less(t, took, 15*time.Second)
}
