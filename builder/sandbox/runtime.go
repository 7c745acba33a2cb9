package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder/rootless"
)

const (
	// killPatience is how long a container may take to go after it was killed,
	// and reapPatience how long the runtime may take to follow it.
	killPatience = 3 * time.Second
	reapPatience = time.Second

	// setupFailed is the status with which mountRoot ends when it could not
	// mount; a command that ends with the same one leaves its message file empty.
	setupFailed = 125

	// mountRoot mounts the overlay and becomes the runtime. The words come as
	// arguments: options, mount point, file for messages, runtime and its arguments.
	mountRoot = `mount -t overlay ohpc-build -o "$1" "$2" 2>"$3" || exit 125
shift 3
exec "$@"`
)

// Runtime runs containers. It is safe for concurrent use, and many processes may
// share its folder.
type Runtime struct {
	binary  string
	dir     string
	cgroups cgroups
	mapped  bool // the program is root of a user namespace, not of the host
}

// New finds the OCI runtime (a name or a path) and uses dir for what belongs to
// running containers. dir must be on a file system that overlayfs takes as an
// upper layer. The error is a *MissingError when a program is not on the host.
func New(binary, dir string) (*Runtime, error) {
	for _, program := range []string{binary, "unshare", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, &MissingError{Program: program}
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("using %s for containers: %w", dir, err)
	}
	if err := os.MkdirAll(filepath.Join(abs, "containers"), 0o700); err != nil {
		return nil, fmt.Errorf("using %s for containers: %w", dir, err)
	}
	return &Runtime{binary: binary, dir: abs, cgroups: findCgroups("/proc/self"), mapped: rootless.Inside()}, nil
}

// Run runs a command and waits for its end. The error is nil when the command
// succeeded, an *ExitError when it did not, [ErrTimeout] when it ran too long, the
// context's cause when that ended, a *StartError when there was no container.
// However it ends, no process of the container is left.
func (r *Runtime) Run(ctx context.Context, s Spec) error {
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.Timeout, ErrTimeout)
		defer cancel()
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	s.Limits = withinHost(s.Limits)
	c, err := r.prepare(s)
	if err != nil {
		return &StartError{Name: s.Name, Message: err.Error()}
	}
	defer c.remove()
	cmd := c.command(s)
	var opened *watch
	if s.Opened != nil {
		if opened, err = newWatch(s.Opened, cmd, filepath.Join(c.dir, "rootfs")); err != nil {
			return &StartError{Name: s.Name, Message: err.Error()}
		}
		defer opened.end()
	}
	if err := cmd.Start(); err != nil {
		return &StartError{Name: s.Name, Message: err.Error()}
	}
	if opened != nil {
		opened.begin(cmd.Process.Pid)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	if r.mapped {
		over, err := c.guard(cmd.Process.Pid)
		if err != nil {
			end(fmt.Errorf("guarding %s: %w", s.Name, err))
		} else {
			defer over()
		}
	}
	go c.enforce(ctx, s, cmd.Process.Pid, end)
	ended := make(chan struct{})
	go func() {
		err = cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return c.outcome(s, err, c.account(s, cmd.ProcessState))
	case <-ctx.Done():
		c.kill(cmd.Process.Pid, ended)
		c.account(s, cmd.ProcessState)
		return context.Cause(ctx)
	}
}

// container is one run: a folder with the bundle, locked as long as the process
// that owns it lives.
type container struct {
	runtime *Runtime
	id      string
	dir     string
	lock    *os.File
	upper   string // the folder that receives the changes
	work    string // the overlay's work folder
	options string // the overlay's mount options
}

func (r *Runtime) prepare(s Spec) (_ *container, err error) {
	c, err := r.create()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.remove()
		}
	}()
	dir := c.dir
	upper := s.Upper
	if upper == "" {
		upper = filepath.Join(dir, "upper")
	}
	for _, sub := range []string{upper, filepath.Join(dir, "rootfs"), filepath.Join(dir, "runc")} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return nil, err
		}
	}
	// The overlay's work folder must share the file system of the upper one.
	c.upper, c.work = upper, filepath.Join(dir, "work")
	if s.Upper != "" {
		c.work = s.Upper + ".work"
	}
	if err := os.MkdirAll(c.work, 0o700); err != nil {
		return nil, err
	}
	if c.options, err = overlayOptions(s.Layers, upper, c.work, r.mapped); err != nil {
		return nil, err
	}
	s.rlimits = r.cgroups.rlimits(s.Limits)
	s.Limits = r.cgroups.enforced(s.Limits)
	adapt := func(*specs.Spec) {}
	if r.mapped {
		adapt = inUserNamespace
	}
	return c, writeConfig(dir, filepath.Join(dir, "rootfs"), r.cgroups.path(c.id), s, adapt)
}

// create makes and locks a folder. Clean of another process waits meanwhile: it
// would take a folder that is not locked yet for a dead process's.
func (r *Runtime) create() (*container, error) {
	parent := filepath.Join(r.dir, "containers")
	gate, err := lock(parent, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	dir, err := os.MkdirTemp(parent, "ohpc-")
	if err != nil {
		return nil, err
	}
	c := &container{runtime: r, id: filepath.Base(dir), dir: dir}
	if c.lock, err = lock(dir, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		c.remove()
		return nil, err
	}
	return c, nil
}

// overlayOptions refuses folders whose names mean something in a mount option.
func overlayOptions(layers []string, upper, work string, mapped bool) (string, error) {
	if len(layers) == 0 {
		return "", errors.New("a root needs at least one layer")
	}
	for _, dir := range append([]string{upper, work}, layers...) {
		if !filepath.IsAbs(dir) || strings.ContainsAny(dir, ":,\\\n") {
			return "", fmt.Errorf("the folder %q cannot be a layer: its path must be absolute and without colon, comma and backslash", dir)
		}
	}
	// A layer must mean the same everywhere: nothing in it may be a note about the
	// layers below, as some kernels write unless told otherwise.
	notes := ",redirect_dir=off,metacopy=off"
	if mapped {
		// Only the host's root may write trusted attributes (linux: overlayfs.rst,
		// "User xattr"), and these may not be followed at all then.
		notes = ",userxattr,redirect_dir=nofollow,metacopy=off"
	}
	options := "lowerdir=" + strings.Join(layers, ":") + ",upperdir=" + upper + ",workdir=" + work + notes
	if len(options) >= os.Getpagesize() {
		return "", fmt.Errorf("%d layers are too many: their paths together are longer than a memory page", len(layers))
	}
	return options, nil
}

func (c *container) command(s Spec) *exec.Cmd {
	args := []string{
		"--mount", "--propagation", "private", "--", "sh", "-c", mountRoot, "mount-root",
		c.options, filepath.Join(c.dir, "rootfs"), c.mountLog(),
	}
	run := c.runtimeArgs(slices.Concat([]string{"run"}, c.keepGroup(), []string{"--bundle", c.dir, c.id})...)
	if s.Opened != nil {
		run = gated(run)
	}
	cmd := exec.Command("unshare", append(args, run...)...)
	attach(cmd, s)
	cmd.WaitDelay = reapPatience
	return cmd
}

func (c *container) runtimeArgs(args ...string) []string {
	full := []string{
		c.runtime.binary, "--root", filepath.Join(c.dir, "runc"), "--log", c.runtimeLog(), "--log-format", "json",
	}
	if !c.runtime.cgroups.usable && filepath.Base(c.runtime.binary) == "runc" {
		full = append(full, "--rootless=true") // runc: go on without control groups
	}
	return append(full, args...)
}

func (c *container) mountLog() string   { return filepath.Join(c.dir, "mount.log") }
func (c *container) runtimeLog() string { return filepath.Join(c.dir, "runtime.log") }

// outcome tells the command's own end from the runtime's failure to start it.
func (c *container) outcome(s Spec, err error, used Usage) error {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case !errors.As(err, &exit):
		return fmt.Errorf("running %s: %w", s.Name, err)
	}
	if exit.ExitCode() == setupFailed {
		if message, _ := os.ReadFile(c.mountLog()); len(message) > 0 {
			return &StartError{Name: s.Name, Message: "mounting its root: " + string(bytes.TrimSpace(message))}
		}
	}
	if _, err := exec.LookPath(c.runtime.binary); err != nil { // the shell ends with 127, as a command may
		return &StartError{Name: s.Name, Message: (&MissingError{Program: c.runtime.binary}).Error()}
	}
	if message := runtimeError(c.runtimeLog()); message != "" {
		return &StartError{Name: s.Name, Message: message}
	}
	code := exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return &ExitError{Code: code, Limits: s.Limits, Used: used}
}

// runtimeError is the last error in the runtime's log. Failing to start a command
// has the same exit status as a command that fails; only the log differs.
func runtimeError(path string) string {
	log, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	message := ""
	for line := range bytes.Lines(log) {
		var entry struct{ Level, Msg string }
		if json.Unmarshal(line, &entry) == nil && (entry.Level == "error" || entry.Level == "fatal") {
			message = entry.Msg
		}
	}
	return message
}

// kill ends the container and everything in it, then the runtime. The runtime
// cannot kill what it has not finished to create, so that it is asked again until
// the process is gone.
func (c *container) kill(pid int, ended <-chan struct{}) {
	patience := time.After(killPatience)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		c.ask("kill", c.id, "KILL")
		select {
		case <-ended:
			c.ask("delete", "--force", c.id)
			return
		case <-patience:
			killGroup(pid)
			c.ask("delete", "--force", c.id)
			<-ended
			return
		case <-again.C:
		}
	}
}

// ask calls the runtime about this container. Its answer does not matter: what
// counts is whether the container goes.
func (c *container) ask(args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), reapPatience)
	defer cancel()
	full := c.runtimeArgs(args...)
	_ = exec.CommandContext(ctx, full[0], full[1:]...).Run()
}

// remove takes the folder away. The lock goes last, so that Clean of another
// process leaves the folder alone as long as it is in use.
func (c *container) remove() {
	if c.work != "" {
		os.RemoveAll(c.work)
	}
	os.RemoveAll(c.dir)
	if c.lock != nil {
		c.lock.Close()
	}
}

// Clean ends the containers and removes the folders of processes that have died.
func (r *Runtime) Clean() error {
	parent := filepath.Join(r.dir, "containers")
	gate, err := lock(parent, unix.LOCK_EX)
	if err != nil {
		return fmt.Errorf("looking for left containers: %w", err)
	}
	defer gate.Close()
	entries, err := os.ReadDir(parent)
	if err != nil {
		return fmt.Errorf("looking for left containers: %w", err)
	}
	for _, e := range entries {
		c := &container{runtime: r, id: e.Name(), dir: filepath.Join(parent, e.Name())}
		if c.lock, err = lock(c.dir, unix.LOCK_EX|unix.LOCK_NB); err != nil {
			continue // its owner lives
		}
		c.ask("kill", c.id, "KILL")
		c.ask("delete", "--force", c.id)
		c.remove()
	}
	return nil
}

// lock takes the lock of a folder; the kernel gives it back when the process
// ends, however it ends.
func lock(dir string, how int) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return f, nil
}
