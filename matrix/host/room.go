package host

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/schedule"
)

// What a job is held to use whose recipe does not say, at most; no more than its share
// of what there is, so that jobs that say nothing are as many at a time as there are
// slots.
const (
	usualMemory = 1 << 30
	usualDisk   = 1 << 30
)

// diskReserve is what builds leave free on the state folder's file system, in bytes.
const diskReserve = 1 << 30

// Room is what so many builds at a time may use on this host together, with their state
// folder there.
func Room(state string, slots int) schedule.Room {
	room := schedule.Room{Slots: slots, Resources: schedule.Resources{Cores: runtime.NumCPU()}}
	// Builds without a limit of their own get as much (package sandbox).
	room.Memory = hostMemory("/") / 8 * 7
	var fs unix.Statfs_t
	if err := unix.Statfs(state, &fs); err == nil {
		room.Disk = max(int64(fs.Bavail)*fs.Bsize-diskReserve, 1)
	}
	return room
}

// Tasks are jobs for the scheduler, in that room: those that do not say what they use
// are held to their shares of it.
func Tasks(p *plan.Plan, room schedule.Room) []schedule.Task {
	share := schedule.Resources{
		Memory: min(room.Memory/int64(room.Slots), usualMemory),
		Disk:   min(room.Disk/int64(room.Slots), usualDisk),
		Cores:  room.Cores / room.Slots,
	}
	tasks := p.Tasks()
	for i := range tasks {
		u := &tasks[i].Uses
		if u.Memory == 0 {
			u.Memory = share.Memory
		}
		if u.Disk == 0 {
			u.Disk = share.Disk
		}
		if u.Cores == 0 {
			u.Cores = share.Cores
		}
		u.Cores = min(u.Cores, room.Cores) // what it can make use of, not what it must have
	}
	return tasks
}

// Cores is how many cores a job gets that begins now: as many as its recipe can make
// use of, otherwise its share among those that run. The last job of a chain, alone,
// has all; and those that begin while it runs have their shares all the same, as
// processors can be shared and memory cannot.
func Cores(j *plan.Job, room schedule.Room, place schedule.Place) int {
	if j.Uses.Cores > 0 {
		return min(j.Uses.Cores, room.Cores)
	}
	return (room.Cores + place.Number - 1) / place.Number
}

// Fits says which of the plan's jobs could never run on this host, with that state folder
// and so many at a time. The error is an *Error. Jobs that have results need not fit.
func Fits(p *plan.Plan, state string, slots int) error {
	room := Room(state, slots)
	tasks := Tasks(p.ToRun(), room)
	type need struct {
		recipe string
		want   schedule.Resources
	}
	jobs := map[need][]string{}
	var order []need
	for _, e := range schedule.Check(tasks, room) {
		n := need{p.Job(e.Task).Recipe, e.Want}
		if jobs[n] == nil {
			order = append(order, n)
		}
		jobs[n] = append(jobs[n], e.Task)
	}
	var problems []error
	for _, n := range order {
		problems = append(problems, tooLarge(jobs[n], n.want, room, state))
	}
	if len(problems) > 0 {
		return &Error{Problems: problems}
	}
	return nil
}

// tooLarge says of jobs what they need, what there is, and what would do.
func tooLarge(ids []string, want schedule.Resources, room schedule.Room, state string) error {
	which := ids[0]
	if len(ids) > 1 {
		which += fmt.Sprintf(" (and %d more jobs of its recipe)", len(ids)-1)
	}
	var parts []string
	if want.Memory > 0 {
		nearest := (want.Memory/7*8 + 1<<30 - 1) >> 30
		parts = append(parts, fmt.Sprintf("needs %s of memory, and builds may use %s on this host, seven eighths of what it has; fewer --jobs do not help: it takes a host with %d GiB, or less in needs.memory of the recipe if that will do",
			gib(want.Memory), gib(room.Memory), nearest))
	}
	if want.Disk > 0 {
		parts = append(parts, fmt.Sprintf("needs %s of disk, and builds may use %s on the file system of %s; free %s there (ohpc-build cache list --state %s shows what it holds), or name a folder on another file system with --state",
			gib(want.Disk), gib(room.Disk), state, gib(want.Disk-room.Disk), state))
	}
	return fmt.Errorf("%s %s", which, strings.Join(parts, "; and it "))
}

// hostMemory is what the kernel lets this process and all that it starts have, in
// bytes: the memory of the host, or less in a control group. root is that of the file
// system.
func hostMemory(root string) int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	memory := int64(info.Totalram) * int64(info.Unit)
	for _, limit := range groupLimits(root) {
		memory = min(memory, limit)
	}
	return memory
}

// groupLimits are the limits of the control groups that this process is in: of its
// own and of those above, in version 1 and 2 (cgroups(7), /proc/pid/cgroup).
func groupLimits(root string) []int64 {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	var limits []int64
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		folder, file := "sys/fs/cgroup", "memory.max"
		if fields[1] != "" {
			if !slices.Contains(strings.Split(fields[1], ","), "memory") {
				continue
			}
			folder, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			text, err := os.ReadFile(filepath.Join(root, folder, group, file))
			if err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
					limits = append(limits, n)
				}
			}
			if group == "/" {
				break
			}
		}
	}
	return limits
}
