package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/schedule"
)

var errBroken = errors.New("broken")

// trace runs tasks that note their order.
type trace struct {
	mu    sync.Mutex
	order []string
}

func (tr *trace) task(id string, err error, needs ...string) schedule.Task {
	return schedule.Task{ID: id, Needs: needs, Run: func(context.Context, schedule.Place) error {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.order = append(tr.order, id)
		return err
	}}
}

func TestNeedsRunFirstAndOthersKeepTheirOrder(t *testing.T) {
	var tr trace
	failed, err := schedule.Run(t.Context(), []schedule.Task{
		tr.task("meta", nil, "scotch", "hwloc"),
		tr.task("hwloc", nil),
		tr.task("scotch", nil, "gnu12"),
		tr.task("gnu12", nil),
		tr.task("lmod", nil),
	}, schedule.Room{Slots: 1})
	require.NoError(t, err)
	require.Empty(t, failed)
	require.Equal(t, []string{"hwloc", "gnu12", "scotch", "meta", "lmod"}, tr.order)
}

func TestAFailureStopsOnlyWhatNeedsIt(t *testing.T) {
	var tr trace
	failed, err := schedule.Run(t.Context(), []schedule.Task{
		tr.task("gnu12", errBroken),
		tr.task("scotch", nil, "gnu12"),
		tr.task("meta", nil, "scotch", "hwloc"),
		tr.task("hwloc", nil),
	}, schedule.Room{Slots: 2})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"gnu12", "hwloc"}, tr.order)
	require.Len(t, failed, 3)
	require.ErrorIs(t, failed["gnu12"], errBroken)
	var need *schedule.NeedError
	require.ErrorAs(t, failed["scotch"], &need)
	require.Equal(t, "gnu12", need.Need)
	require.ErrorAs(t, failed["meta"], &need)
	require.Equal(t, "scotch", need.Need)
	require.ErrorIs(t, schedule.FirstCause(failed), errBroken)
}

func TestSlotsAreFilledAndNotExceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		var tasks []schedule.Task
		for i := range 12 {
			tasks = append(tasks, schedule.Task{ID: fmt.Sprint(i), Run: func(context.Context, schedule.Place) error {
				if n := running.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(time.Second)
				running.Add(-1)
				return nil
			}})
		}
		begin := time.Now()
		failed, err := schedule.Run(t.Context(), tasks, schedule.Room{Slots: 3})
		require.NoError(t, err)
		require.Empty(t, failed)
		require.EqualValues(t, 3, most.Load())
		require.Equal(t, 4*time.Second, time.Since(begin))
	})
}

func TestTasksAreToldHowManyRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make([]schedule.Place, 4)
		task := func(i int, takes time.Duration, needs ...string) schedule.Task {
			return schedule.Task{ID: fmt.Sprint(i), Needs: needs, Takes: takes, Run: func(_ context.Context, place schedule.Place) error {
				got[i] = place
				time.Sleep(takes)
				return nil
			}}
		}
		failed, err := schedule.Run(t.Context(), []schedule.Task{
			task(0, 3*time.Minute), task(1, 2*time.Minute), task(2, time.Minute), task(3, time.Minute, "0", "1", "2"),
		}, schedule.Room{Slots: 2})
		require.NoError(t, err)
		require.Empty(t, failed)
		require.Equal(t, []schedule.Place{{Slot: 0, Number: 2}, {Slot: 1, Number: 2}, {Slot: 1, Number: 2}, {Slot: 0, Number: 1}}, got)
	})
}

func TestTheEndOfTheContextEndsTheRest(t *testing.T) {
	var tr trace
	ctx, cancel := context.WithCancelCause(t.Context())
	failed, err := schedule.Run(ctx, []schedule.Task{
		{ID: "first", Run: func(ctx context.Context, _ schedule.Place) error {
			cancel(errBroken)
			<-ctx.Done()
			return ctx.Err()
		}},
		tr.task("second", nil),
		tr.task("third", nil, "second"),
	}, schedule.Room{Slots: 1})
	require.NoError(t, err)
	require.Empty(t, tr.order)
	require.ErrorIs(t, failed["first"], context.Canceled)
	require.ErrorIs(t, failed["second"], errBroken)
	require.Len(t, failed, 3)
}

func TestErrorsInTheGraph(t *testing.T) {
	var tr trace
	for name, tc := range map[string]struct {
		tasks []schedule.Task
		want  string
	}{
		"twice":   {[]schedule.Task{tr.task("a", nil), tr.task("a", nil)}, "two tasks are named a"},
		"unknown": {[]schedule.Task{tr.task("a", nil, "b")}, "a needs b, which does not exist"},
		"itself":  {[]schedule.Task{tr.task("a", nil, "a")}, "in a circle: a → a"},
		"shortest circle": {[]schedule.Task{
			tr.task("a", nil, "b"), tr.task("b", nil, "c"), tr.task("c", nil, "a", "b"), tr.task("d", nil, "a"), tr.task("e", nil),
		}, "in a circle: b → c → b"},
	} {
		t.Run(name, func(t *testing.T) {
			failed, err := schedule.Run(t.Context(), tc.tasks, schedule.Room{Slots: 1})
			require.ErrorContains(t, err, tc.want)
			require.Nil(t, failed)
			require.Empty(t, tr.order)
		})
	}
}
