package sandbox

import (
	"os/exec"
	"slices"
	"strconv"
	"syscall"

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

// endWithoutOwner waits for a line that says that all is over. Without one whoever
// would have written it is dead: what it started is killed, the runtime first, so
// that it makes no container any more. The arguments: process group, container,
// runtime with its arguments.
const endWithoutOwner = `trap '' HUP INT TERM
read -r line && exit
group=$1 id=$2
shift 2
kill -KILL -- "-$group"
"$@" kill "$id" KILL
"$@" delete --force "$id"`

// guard ends the container when this program dies before it calls over. The next
// run's Clean cannot: it is in another user namespace, from where the processes of
// this one cannot be killed (linux: user_namespaces(7)).
func (c *container) guard(pid int) (over func(), err error) {
	args := append([]string{"-c", endWithoutOwner, "guard", strconv.Itoa(pid), c.id}, c.runtimeArgs()...)
	cmd := exec.Command("sh", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // no key of a terminal's ends it
	line, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		_, _ = line.Write([]byte("over\n"))
		line.Close()
		_ = cmd.Wait()
	}, nil
}
