package schedule

import (
	"fmt"
	"strings"
)

// Resources are what a task uses while it runs, beside its slot, or what there is of
// them. Memory and Disk are in bytes.
type Resources struct {
	Memory, Disk int64
	Cores        int
}

// Room is what all tasks that run at a time may use together: so many slots, and
// resources, of which 0 stands for no limit.
type Room struct {
	Slots int
	Resources
}

func (r Resources) plus(o Resources) Resources {
	return Resources{r.Memory + o.Memory, r.Disk + o.Disk, r.Cores + o.Cores}
}

// fits says whether a room that is used so far has room for more.
func (r Room) fits(used, more Resources) bool {
	sum := used.plus(more)
	return (r.Memory == 0 || more.Memory == 0 || sum.Memory <= r.Memory) &&
		(r.Disk == 0 || more.Disk == 0 || sum.Disk <= r.Disk) &&
		(r.Cores == 0 || more.Cores == 0 || sum.Cores <= r.Cores)
}

// RoomError says that a task would never begin: it wants more than there is at all.
type RoomError struct {
	Task string
	Want Resources // only what is too much is set
	Has  Resources
}

func (e *RoomError) Error() string {
	var parts []string
	if e.Want.Memory > 0 {
		parts = append(parts, fmt.Sprintf("%s of memory, and there are %s", gib(e.Want.Memory), gib(e.Has.Memory)))
	}
	if e.Want.Disk > 0 {
		parts = append(parts, fmt.Sprintf("%s of disk, and there are %s", gib(e.Want.Disk), gib(e.Has.Disk)))
	}
	if e.Want.Cores > 0 {
		parts = append(parts, fmt.Sprintf("%d cores, and there are %d", e.Want.Cores, e.Has.Cores))
	}
	return e.Task + " needs " + strings.Join(parts, "; ")
}

func gib(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }

// Check says which of the tasks do not fit even when nothing else runs.
func Check(tasks []Task, room Room) []*RoomError {
	var all []*RoomError
	for _, t := range tasks {
		e := &RoomError{Task: t.ID, Has: room.Resources}
		if room.Memory > 0 && t.Uses.Memory > room.Memory {
			e.Want.Memory = t.Uses.Memory
		}
		if room.Disk > 0 && t.Uses.Disk > room.Disk {
			e.Want.Disk = t.Uses.Disk
		}
		if room.Cores > 0 && t.Uses.Cores > room.Cores {
			e.Want.Cores = t.Uses.Cores
		}
		if e.Want != (Resources{}) {
			all = append(all, e)
		}
	}
	return all
}
