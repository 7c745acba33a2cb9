package schedule

import (
	"fmt"
	"slices"
	"strings"
)

// Resources are what a task uses while it runs, beside its slot, or what there is of
// them. Memory and Disk are in bytes.
type Resources struct {
	Memory int64 `json:"memory,omitempty"`
	Disk   int64 `json:"disk,omitempty"`
	Cores  int   `json:"cores,omitempty"`
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

// vector has a number for each resource: memory, disk and cores.
type vector [3]float64

func (v vector) dot(o vector) float64 { return v[0]*o[0] + v[1]*o[1] + v[2]*o[2] }

func (v vector) times(o vector) vector { return vector{v[0] * o[0], v[1] * o[1], v[2] * o[2]} }

func (v vector) minus(o vector) vector { return vector{v[0] - o[0], v[1] - o[1], v[2] - o[2]} }

// shares are parts of what there is; 0 of what has no limit.
func (r Room) shares(u Resources) vector {
	share := func(used, has int64) float64 {
		if has == 0 {
			return 0
		}
		return float64(used) / float64(has)
	}
	return vector{share(u.Memory, r.Memory), share(u.Disk, r.Disk), share(int64(u.Cores), int64(r.Cores))}
}

// scarcity is how much of each resource all tasks use, as long as they run, in
// proportion to that of which they use most.
func scarcity(tasks []Task, room Room) vector {
	var all vector
	for _, t := range tasks {
		shares := room.shares(t.Uses)
		for i := range all {
			all[i] += t.Takes.Seconds() * shares[i]
		}
	}
	if top := slices.Max(all[:]); top > 0 {
		for i := range all {
			all[i] /= top
			if all[i] < 0.5 { // there is always enough of it
				all[i] = 0
			}
		}
	}
	return all
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
