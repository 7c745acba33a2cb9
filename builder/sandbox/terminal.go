package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// attach connects a command with what the spec says: the streams of the spec, in a
// process group of its own that can be killed, or the program's own terminal. A
// command on a terminal stays in the group in the foreground, as the kernel stops
// others when they ask anything of the terminal; the runtime makes the container a
// terminal of its own and carries everything over, window sizes and keys included.
func attach(cmd *exec.Cmd, s Spec) {
	if s.Terminal {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Stdin, s.Stdout, s.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// killGroup kills a process and its group, or the process alone when it shares the
// program's own group.
func killGroup(pid int) {
	if err := syscall.Kill(-pid, syscall.SIGKILL); errors.Is(err, syscall.ESRCH) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
