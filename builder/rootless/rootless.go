package rootless

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// trial is what every container needs of a user namespace: processes and mounts
// of its own. It ends at once.
const trial = `exec unshare --fork --pid --mount --propagation private -- sh -c 'mount -t proc proc /proc && mount -t tmpfs tmpfs /tmp'`

// Enter replaces an ordinary user's process by the same program with the same
// arguments, as root of a new user namespace. It returns nil when the process is
// root already, be it the host's or of a namespace, and a *Problem when the host
// does not allow it; it does not return otherwise.
func Enter() error {
	if os.Geteuid() == 0 {
		closeOnExec()
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("entering a user namespace: %w", err)
	}
	ns, err := create()
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := try(ns); err != nil {
		return err
	}
	// nsenter opens the namespace by this descriptor after the exec.
	if _, err := unix.FcntlInt(ns.Fd(), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("entering a user namespace: %w", err)
	}
	args := enter(int(ns.Fd()), append([]string{program}, os.Args[1:]...))
	path, err := exec.LookPath(args[0])
	if err != nil {
		return missing(args[0])
	}
	if err := syscall.Exec(path, args, os.Environ()); err != nil {
		return fmt.Errorf("entering a user namespace: running %s: %w", path, err)
	}
	return nil
}

// Check returns nil when this process is root, and says otherwise why [Enter] did
// not make it root. The error is a *Problem when the host does not allow it.
func Check() error {
	if os.Geteuid() == 0 {
		return nil
	}
	ns, err := create()
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := try(ns); err != nil {
		return err
	}
	return errors.New("this process did not enter a user namespace, although it can")
}

// Inside says whether this process's user namespace is another than the host's
// first one, in which every id is mapped to itself (linux: user_namespaces(7)).
func Inside() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !wholeMap(string(text))
}

func wholeMap(text string) bool {
	fields := strings.Fields(text)
	return len(fields) == 3 && fields[0] == "0" && fields[1] == "0" && fields[2] == strconv.FormatUint(math.MaxUint32, 10)
}

// enter is the command line that runs a command in the namespace of a descriptor.
// The user's further groups stay, without names, so that folders which are the
// user's by a group stay writable.
func enter(fd int, command []string) []string {
	return append([]string{"nsenter", "--preserve-credentials", "--user=/proc/self/fd/" + strconv.Itoa(fd), "--"}, command...)
}

// closeOnExec keeps what this process was started with, such as the descriptor of
// its namespace or a jobserver, from all that it starts. Kernels before 5.11
// cannot, and it does no harm.
func closeOnExec() {
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}

// create makes a namespace in which ids are mapped, and returns its descriptor,
// which alone keeps it.
func create() (*os.File, error) {
	uids, gids, err := mappings()
	if err != nil {
		return nil, err
	}
	// The namespace needs a process as long as it is written to from outside.
	holder := exec.Command("cat")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, Pdeathsig: syscall.SIGKILL}
	stdin, err := holder.StdinPipe() // the end of which ends it
	if err != nil {
		return nil, fmt.Errorf("making a user namespace: %w", err)
	}
	if err := holder.Start(); errors.Is(err, exec.ErrNotFound) {
		return nil, missing("cat")
	} else if err != nil {
		return nil, refused(err)
	}
	defer func() {
		stdin.Close()
		_ = holder.Wait()
	}()
	pid := strconv.Itoa(holder.Process.Pid)
	for _, m := range []struct {
		program string
		ids     []idRange
	}{{"newuidmap", uids}, {"newgidmap", gids}} {
		if err := writeMap(m.program, pid, m.ids); err != nil {
			return nil, err
		}
	}
	ns, err := os.Open("/proc/" + pid + "/ns/user")
	if err != nil {
		return nil, fmt.Errorf("making a user namespace: %w", err)
	}
	return ns, nil
}

func writeMap(program, pid string, ids []idRange) error {
	args := []string{pid}
	for _, r := range ids {
		args = append(args, strconv.Itoa(r.inside), strconv.Itoa(r.outside), strconv.Itoa(r.count))
	}
	out, err := exec.Command(program, args...).CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return missing(program)
	case err != nil:
		return unmapped(program, string(bytes.TrimSpace(out)))
	}
	return nil
}

// try runs in the namespace what every container does.
func try(ns *os.File) error {
	args := enter(3, []string{"sh", "-c", trial})
	cmd := exec.Command(args[0], args[1:]...)
	cmd.ExtraFiles = []*os.File{ns} // 3 in the child
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = nil
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &out
	switch err := cmd.Run(); {
	case errors.Is(err, exec.ErrNotFound):
		return missing(args[0])
	case err != nil:
		return unusable(strings.TrimSpace(out.String()))
	}
	return nil
}

// mappings are the ids of the namespace: root is the user, the others are the
// user's subordinate ones.
func mappings() (uids, gids []idRange, err error) {
	uid, gid := os.Getuid(), os.Getgid()
	id := strconv.Itoa(uid)
	name := id
	if u, err := user.LookupId(id); err == nil {
		name = u.Username
	}
	next := 0
	spans := map[string][]span{}
	for _, path := range []string{subuidFile, subgidFile} {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, nil, fmt.Errorf("reading the subordinate ids: %w", err)
		}
		next = max(next, free(string(text)))
		if spans[path] = subordinate(string(text), name, id); len(spans[path]) == 0 {
			spans[path] = directory(path, name)
		}
	}
	uids, gids = mapping(uid, spans[subuidFile]), mapping(gid, spans[subgidFile])
	if size(uids) < wanted || size(gids) < wanted {
		return nil, nil, tooFew(name, min(size(uids), size(gids))-1, next)
	}
	return uids, gids, nil
}

// directory asks for ids that come from a directory service in place of a file, as
// sites with many hosts have it (nsswitch.conf: subid). Old hosts cannot be asked.
func directory(file, name string) []span {
	args := []string{name}
	if file == subgidFile {
		args = []string{"-g", name}
	}
	out, err := exec.Command("getsubids", args...).Output()
	if err != nil {
		return nil
	}
	return listed(string(out), name)
}
