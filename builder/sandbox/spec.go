package sandbox

import (
	"errors"
	"fmt"
	"io"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Spec says what to run and in what.
type Spec struct {
	Name   string   // for messages and the container's name; letters, digits, dot, dash
	Layers []string // folders that make the root, the uppermost first; never written to
	Upper  string   // folder that receives the changes and may hold earlier ones; "" to forget them

	Args     []string
	Env      []string // PATH is set when it does not set it
	Cwd      string   // default /
	UID, GID uint32
	HostName string

	Mounts       []Mount
	ReadOnlyRoot bool
	Network      bool // the host's network; otherwise a loopback device only
	Privileges   Privileges
	Limits       Limits
	Timeout      time.Duration // 0: none

	Terminal bool    // on the program's own terminal; Stdin, Stdout and Stderr do not count
	Opened   *Opened // learns which files of the root are opened; nil: nobody does

	Stdin          io.Reader // nil: empty
	Stdout, Stderr io.Writer // nil: discarded

	// Used receives what the container's processes used, when they have ended;
	// nil: nobody asks.
	Used *Usage

	rlimits []specs.POSIXRlimit
}

// Mount shows a file or folder of the host at a place in the container.
type Mount struct {
	Source, Destination string
	ReadOnly            bool
}

// Privileges is what a command may do beyond what its user may.
type Privileges int

// Either no capability at all, or those that rpm, dnf and zypper need to write
// other users' files and to change to other users in scriptlets.
const (
	None Privileges = iota
	PackageManager
)

// Limits hold for all processes of the container together; 0 is no limit.
type Limits struct {
	Memory int64   // bytes; swap does not come on top; 0: most of what the host has
	Pids   int64   // processes and threads
	CPUs   float64 // cores' worth of time
	Disk   int64   // bytes in the changes to the root and in folders that are mounted to be written to
}

// ErrTimeout says that the command was ended because it ran past Spec.Timeout.
var ErrTimeout = errors.New("ran past its time limit")

// ExitError says that the command ran and did not succeed.
type ExitError struct {
	Code   int // 128 + signal when a signal ended it
	Limits Limits
	Used   Usage
}

// OutOfMemory says that the container reached its memory limit and lost
// processes over it. The kernel counted them; a status tells little, as most
// programs survive their children.
func (e *ExitError) OutOfMemory() bool {
	// The kernel also kills when the host has no memory left, at any usage.
	return e.Used.Killed > 0 && e.Limits.Memory > 0 && e.Used.Memory >= e.Limits.Memory*9/10
}

// Killed says that somebody outside ended the container's first process: the kernel
// lets nobody inside do so (pid_namespaces(7)), and did not do it for memory itself.
// A first process that ends with 137 of its own accord looks the same.
func (e *ExitError) Killed() bool { return e.Code == 128+int(unix.SIGKILL) && e.Used.Killed == 0 }

// TooManyProcesses says that the container wanted more than Limits.Pids.
func (e *ExitError) TooManyProcesses() bool { return e.Used.Refused > 0 && e.Limits.Pids > 0 }

func (e *ExitError) Error() string {
	text := fmt.Sprintf("exit status %d", e.Code)
	if e.Code > 128 {
		text = fmt.Sprintf("ended by signal %d", e.Code-128)
	}
	switch {
	case e.OutOfMemory():
		text = fmt.Sprintf("killed by its memory limit of %s (peak %s, oom_kill %d; %s)", Bytes(e.Limits.Memory), Bytes(e.Used.Memory), e.Used.Killed, text)
	case e.Used.Killed > 0:
		text = fmt.Sprintf("killed because the host ran out of memory (peak %s, oom_kill %d; %s)", Bytes(e.Used.Memory), e.Used.Killed, text)
	}
	if e.TooManyProcesses() {
		text += fmt.Sprintf("; it reached its limit of %d processes, and %d more were refused", e.Limits.Pids, e.Used.Refused)
	}
	return text
}

// ExitCode is the status with which the command ended.
func (e *ExitError) ExitCode() int { return e.Code }

// StartError says that the container could not be made, in the runtime's words.
type StartError struct {
	Name    string
	Message string
}

func (e *StartError) Error() string {
	return fmt.Sprintf("starting container %s: %s", e.Name, e.Message)
}

// MissingError says that a program which the sandbox calls is not on the host.
type MissingError struct{ Program string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed, containers cannot be run: sudo sh ci/setup-host.sh, or install the package %s", e.Program, packageOf(e.Program))
}

func packageOf(program string) string {
	switch program {
	case "unshare", "mount":
		return "util-linux"
	}
	return program
}
