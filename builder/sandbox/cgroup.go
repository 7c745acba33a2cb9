package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// parentGroup is the control group that holds those of all containers.
const parentGroup = "ohpc-build"

// leafGroup is beside it and holds this process where the group above both is all
// that the user has.
const leafGroup = "ohpc-build-main"

// cgroups says what the kernel's control groups do for containers here. In a
// container of somebody else's they are often read-only, or lack controllers;
// jobs run all the same then, and whoever asks learns which limits do not hold.
type cgroups struct {
	usable            bool   // a group can be made for each container
	memory, pids, cpu bool   // the limit can be set on it
	parent            string // of the containers' groups, below each mount
}

// findCgroups tries what the runtime will do: to make groups. In proc the kernel
// says what it knows of this process (/proc/self).
func findCgroups(proc string) cgroups {
	text, err := os.ReadFile(filepath.Join(proc, "mountinfo"))
	if err != nil {
		return cgroups{}
	}
	c := cgroups{parent: "/" + parentGroup}
	for line := range strings.Lines(string(text)) {
		// Field 5 is the mount point; after " - ": type, source, options
		// (linux: Documentation/filesystems/proc.rst).
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		mount := fields[4]
		switch {
		case kind[0] == "cgroup":
			if !writable(mount, c.parent) {
				return cgroups{} // the runtime wants a group in every hierarchy, or none
			}
			controllers := strings.Split(kind[2], ",")
			c.usable = true
			c.memory = c.memory || slices.Contains(controllers, "memory")
			c.pids = c.pids || slices.Contains(controllers, "pids")
			c.cpu = c.cpu || slices.Contains(controllers, "cpu")
		case kind[0] == "cgroup2" && filepath.Base(mount) == "cgroup": // not the one beside version 1
			// What belongs to root may have one part that was given to this user.
			if !writable(mount, c.parent) {
				own := ownGroup(proc)
				if own == "" || !moveAside(filepath.Join(mount, own)) {
					return cgroups{}
				}
				if c.parent = filepath.Join(own, parentGroup); !writable(mount, c.parent) {
					return cgroups{}
				}
			}
			controllers := delegate(mount, c.parent)
			c.usable = true
			c.memory = slices.Contains(controllers, "memory")
			c.pids = slices.Contains(controllers, "pids")
			c.cpu = slices.Contains(controllers, "cpu")
		}
	}
	return c
}

// writable says whether groups can be made below the parent group, which may be
// there from better days.
func writable(mount, parent string) bool {
	dir := filepath.Join(mount, parent)
	if os.MkdirAll(dir, 0o755) != nil {
		return false
	}
	probe, err := os.MkdirTemp(dir, "probe-")
	if err != nil {
		return false
	}
	return os.Remove(probe) == nil
}

// ownGroup is this process's group of version 2, as systemd gives one away whole
// to who asks for it (systemd.resource-control: Delegate=); "" when it has none.
func ownGroup(proc string) string {
	text, err := os.ReadFile(filepath.Join(proc, "cgroup"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if own, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/"); ok && !strings.Contains(own, "..") {
			return filepath.Clean("/" + strings.TrimSuffix(own, leafGroup)) // moved before
		}
	}
	return ""
}

// moveAside moves this process into a group below its own one, as a group that
// hands down controllers may hold no processes itself (linux: cgroup-v2.rst, "No
// Internal Process Constraint").
func moveAside(group string) bool {
	leaf := filepath.Join(group, leafGroup)
	if err := os.MkdirAll(leaf, 0o755); err != nil {
		return false
	}
	return os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0o644) == nil
}

// delegate hands controllers of version 2 down to the parent group, one by one as
// the kernel refuses all when it refuses one, and returns what arrived there.
func delegate(mount, parent string) []string {
	for _, name := range []string{"+memory", "+pids", "+cpu"} {
		for _, group := range []string{filepath.Dir(parent), parent} {
			_ = os.WriteFile(filepath.Join(mount, group, "cgroup.subtree_control"), []byte(name), 0o644)
		}
	}
	arrived, err := os.ReadFile(filepath.Join(mount, parent, "cgroup.controllers"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(arrived))
}

// path is the group of a container, or none.
func (c cgroups) path(id string) string {
	if !c.usable {
		return ""
	}
	return filepath.Join(c.parent, id)
}

// enforced are the limits without those that would make the runtime fail.
func (c cgroups) enforced(l Limits) Limits {
	if !c.memory {
		l.Memory = 0
	}
	if !c.pids {
		l.Pids = 0
	}
	if !c.cpu {
		l.CPUs = 0
	}
	return l
}

// NotEnforced names the limits that the kernel does not hold on this host for all
// processes of a container together: "memory", "processes", "cores".
func (r *Runtime) NotEnforced() []string {
	var names []string
	for _, limit := range []struct {
		name string
		held bool
	}{{"memory", r.cgroups.memory}, {"processes", r.cgroups.pids}, {"cores", r.cgroups.cpu}} {
		if !limit.held {
			names = append(names, limit.name)
		}
	}
	return names
}
