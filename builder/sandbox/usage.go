package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what all processes of a container used together. What a host without
// the control group for it cannot tell is 0.
type Usage struct {
	Memory  int64         // the most bytes at one time, files that the kernel keeps in memory included
	CPU     time.Duration // processor time
	Killed  int64         // processes that the kernel killed because memory had run out
	Refused int64         // processes that were not started because of Limits.Pids
}

// group is one control group: its folder in each hierarchy. Files have different
// names in different hierarchies, but for those that mean the same, so that
// whoever looks for a file need not know the version.
type group []string

// findGroup returns the folders of the group at path, relative to the roots.
func findGroup(mountinfo, path string) group {
	text, err := os.ReadFile(mountinfo)
	if err != nil || path == "" {
		return nil
	}
	var g group
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 || !strings.HasPrefix(after, "cgroup") {
			continue
		}
		dir := filepath.Join(fields[4], path)
		if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
			g = append(g, dir)
		}
	}
	return g
}

// number reads a value by the name of its file, and of its line where the file
// has many.
func (g group) number(file, key string) (int64, bool) {
	for _, dir := range g {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if key != "" {
				if len(fields) != 2 || fields[0] != key {
					continue
				}
				fields = fields[1:]
			}
			if len(fields) != 1 {
				continue
			}
			if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
				return n, true
			}
		}
	}
	return 0, false
}

// usage reads the kernel's counters. The first name of each is version 2's
// (linux: admin-guide/cgroup-v2.rst), the second version 1's
// (admin-guide/cgroup-v1/memory.rst, cpuacct.rst).
func (g group) usage() Usage {
	var u Usage
	var ok bool
	if u.Memory, ok = g.number("memory.peak", ""); !ok {
		u.Memory, _ = g.number("memory.max_usage_in_bytes", "")
	}
	if u.Killed, ok = g.number("memory.events", "oom_kill"); !ok {
		u.Killed, _ = g.number("memory.oom_control", "oom_kill")
	}
	if micro, ok := g.number("cpu.stat", "usage_usec"); ok {
		u.CPU = time.Duration(micro) * time.Microsecond
	} else if nano, ok := g.number("cpuacct.usage", ""); ok {
		u.CPU = time.Duration(nano)
	}
	u.Refused, _ = g.number("pids.events", "max")
	return u
}

// keepGroup makes the runtime leave the control group when the container has
// ended, as its counters go with it.
func (c *container) keepGroup() []string {
	name := filepath.Base(c.runtime.binary)
	if c.runtime.cgroups.usable && (name == "runc" || name == "crun") {
		return []string{"--keep"}
	}
	return nil
}

// account says what a container used that has ended, and takes its control group
// away. Where there was none, what is known of the processes that somebody waited
// for has to do.
func (c *container) account(s Spec, state *os.ProcessState) Usage {
	g := findGroup("/proc/self/mountinfo", c.runtime.cgroups.path(c.id))
	u := g.usage()
	if u.CPU == 0 && state != nil {
		u.CPU = state.UserTime() + state.SystemTime()
	}
	if rusage, ok := sysUsage(state); ok && u.Memory == 0 {
		u.Memory = rusage.Maxrss << 10 // getrusage(2): of the largest process
	}
	for _, dir := range g {
		if os.Remove(dir) != nil {
			c.ask("delete", "--force", c.id) // its processes are not quite gone
			break
		}
	}
	if s.Used != nil {
		*s.Used = u
	}
	return u
}

func sysUsage(state *os.ProcessState) (*syscall.Rusage, bool) {
	if state == nil {
		return nil, false
	}
	u, ok := state.SysUsage().(*syscall.Rusage)
	return u, ok
}

// Bytes writes an amount of memory or disk for people.
func Bytes(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
