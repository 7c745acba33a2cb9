package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	// lookInterval is how often limits are looked after that the kernel does not
	// hold. It decides by how much a container may pass them.
	lookInterval = 250 * time.Millisecond

	// Walking through the files of a build takes time. It is done when so much
	// space has gone that the limit could be reached, now and then in case
	// another's files went meanwhile, and never for more than a small share of time.
	walkInterval = 15 * time.Second
	walkShare    = 20

	// runtimeData is what the runtime itself needs, in bytes, between taking on
	// the command's limits and becoming the command.
	runtimeData = 256 << 20

	// maxHoles is by how much a file may be longer than what the disk's limit
	// lets it hold. A sparse file takes no space until somebody copies it; one that
	// grows honestly past the limit is left to whoever can say so.
	maxHoles = 16 << 30

	// reserve is what must stay free on the file system, in bytes.
	reserve = 512 << 20
)

// MemoryError says that a container was ended because its processes together had
// more than their limit, on a host where the kernel does not see to that.
type MemoryError struct{ Limit, Used int64 }

func (e *MemoryError) Error() string {
	return fmt.Sprintf("ended by its memory limit of %s (its processes had %s)", Bytes(e.Limit), Bytes(e.Used))
}

// enforce looks after what the kernel does not limit: the disk nowhere, memory where
// there are no control groups. It ends the container through end.
func (c *container) enforce(ctx context.Context, s Spec, pid int, end context.CancelCauseFunc) {
	var looks []func(context.Context) error
	if s.Limits.Disk > 0 {
		looks = append(looks, (&diskWatch{disk: disk{c.written(s), pid}, limit: s.Limits.Disk}).look)
	}
	if s.Limits.Memory > 0 && !c.runtime.cgroups.memory {
		looks = append(looks, func(context.Context) error { return lookAtMemory(pid, s.Limits.Memory) })
	}
	if len(looks) == 0 {
		return
	}
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, look := range looks {
			if err := look(ctx); err != nil {
				end(err)
				return
			}
		}
	}
}

// written lists the folders that the container may write to.
func (c *container) written(s Spec) []string {
	dirs := []string{c.upper}
	for _, m := range s.Mounts {
		if fi, err := os.Lstat(m.Source); !m.ReadOnly && err == nil && fi.IsDir() {
			dirs = append(dirs, m.Source)
		}
	}
	return dirs
}

// diskWatch decides when to look at the files.
type diskWatch struct {
	disk  disk
	limit int64

	used   int64 // when it last looked
	left   space
	next   time.Time // not to look before
	latest time.Time // to look in any case
}

func (w *diskWatch) look(ctx context.Context) error {
	left, err := w.disk.free()
	if err != nil {
		return err
	}
	now := time.Now()
	full := left.bytes < reserve
	due := w.latest.IsZero() || now.After(w.latest) || full || w.used+left.lost(w.left) > w.limit
	if !due || now.Before(w.next) {
		return nil
	}
	used, err := w.disk.used(ctx)
	if err != nil {
		return err
	}
	took := time.Since(now)
	w.used, w.left = used, left
	w.next, w.latest = now.Add(took*walkShare), now.Add(max(walkInterval, took*walkShare))
	switch {
	case used > w.limit:
		return &DiskError{Limit: w.limit, Used: used, Free: left.bytes}
	case full && used > reserve/8:
		// Whoever wrote little is not at fault, and may end well.
		return &DiskError{Limit: w.limit, Used: used, Free: left.bytes, Full: true}
	}
	return nil
}

// lookAtMemory adds up the memory of a process's descendants.
func lookAtMemory(pid int, limit int64) error {
	pids := descendants(pid)
	// Pages that processes share count for each of them here; only when that
	// is too much is it worth to ask for exact shares, which takes longer.
	for _, source := range []struct {
		file  string
		names []string
	}{
		{"status", []string{"RssAnon:", "RssShmem:"}},
		{"smaps_rollup", []string{"Pss_Anon:", "Pss_Shmem:"}},
	} {
		var sum int64
		for _, p := range pids {
			text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p), source.file))
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(text)) {
				fields := strings.Fields(line)
				for _, name := range source.names {
					if len(fields) == 3 && fields[0] == name {
						kib, _ := strconv.ParseInt(fields[1], 10, 64)
						sum += kib << 10
					}
				}
			}
		}
		if sum <= limit {
			return nil
		}
		if source.file == "smaps_rollup" {
			return &MemoryError{Limit: limit, Used: sum}
		}
	}
	return nil
}

// descendants returns the processes below one. All of a container's are below the
// runtime that was started for it: what loses its parent goes to the container's
// first process.
func descendants(root int) []int {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", name, "stat"))
		if err != nil {
			continue
		}
		// pid (name) state ppid; the name may hold anything (linux: proc.rst)
		after := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(after) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(string(after[1])); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	var found []int
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		found = append(found, children[queue[0]]...)
		queue = append(queue, children[queue[0]]...)
	}
	return found
}

// withinHost limits memory to seven eighths of the host's where no limit is given:
// without any, one build that leaks would make the host crawl before the kernel
// ends it.
func withinHost(l Limits) Limits {
	var info unix.Sysinfo_t
	if l.Memory == 0 && unix.Sysinfo(&info) == nil {
		l.Memory = int64(info.Totalram) * int64(info.Unit) / 8 * 7
	}
	return l
}

// swapCounted says whether control groups count swap. Version 1 does not always, and
// runtimes fail where they are to limit it then.
func swapCounted() bool {
	const memory = "/sys/fs/cgroup/memory"
	if _, err := os.Stat(memory); err != nil {
		return true // version 2, or a mount of its own
	}
	_, err := os.Stat(filepath.Join(memory, "memory.memsw.limit_in_bytes"))
	return err == nil
}

// rlimits are the limits that the kernel holds for single processes and for users,
// whether or not there are control groups.
func (c cgroups) rlimits(l Limits) []specs.POSIXRlimit {
	limits := []specs.POSIXRlimit{rlimit("RLIMIT_NOFILE", unix.RLIMIT_NOFILE, maxFiles), {Type: "RLIMIT_CORE"}}
	if l.Disk > 0 {
		limits = append(limits, rlimit("RLIMIT_FSIZE", unix.RLIMIT_FSIZE, l.Disk+maxHoles))
	}
	if l.Memory > 0 && !c.memory {
		limits = append(limits, rlimit("RLIMIT_DATA", unix.RLIMIT_DATA, max(l.Memory, runtimeData)))
	}
	if l.Pids > 0 && !c.pids {
		limits = append(limits, rlimit("RLIMIT_NPROC", unix.RLIMIT_NPROC, l.Pids))
	}
	return limits
}

// rlimit is at most what this process has, as only root may have more.
func rlimit(name string, resource int, value int64) specs.POSIXRlimit {
	limit := uint64(value)
	var own unix.Rlimit
	if unix.Getrlimit(resource, &own) == nil {
		limit = min(limit, own.Max)
	}
	return specs.POSIXRlimit{Type: name, Soft: limit, Hard: limit}
}

// Gaps says, a sentence for each, how far the limits of a spec hold less than whole
// on this host.
func (r *Runtime) Gaps() []string {
	var gaps []string
	for _, name := range r.NotEnforced() {
		gaps = append(gaps, map[string]string{
			"memory":    "memory: there is no control group for it; each process is limited, and all of a build together are looked at four times a second, so that a build may pass its limit for a moment",
			"processes": "processes: there is no control group for them; what is limited is how many the builds' user has, all builds together",
			"cores":     "cores: there is no control group for them; builds are told how many to use, and nothing holds them to it",
		}[name])
	}
	return gaps
}
