package sandbox

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// inUserNamespace changes what root of a user namespace may not have as it is for
// root of the host.
func inUserNamespace(config *specs.Spec) {
	// Whoever does not own the network namespace cannot mount a view of its devices
	// (linux: fs/sysfs/mount.c). The few commands with network do without.
	private := slices.ContainsFunc(config.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == specs.NetworkNamespace
	})
	if !private {
		config.Mounts = slices.DeleteFunc(config.Mounts, func(m specs.Mount) bool { return m.Destination == "/sys" })
	}
	// The container's root is the user outside: all that the user runs would count.
	if config.Process.User.UID == 0 {
		config.Process.Rlimits = slices.DeleteFunc(config.Process.Rlimits, func(l specs.POSIXRlimit) bool { return l.Type == "RLIMIT_NPROC" })
	}
}
