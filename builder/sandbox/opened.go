package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Opened learns which files of the root a command opened, itself or by what it
// started. Files of mounts are not the root's.
//
// The kernel tells it (fanotify(7)), of each file once, which costs a command
// nothing that can be measured. It does so to the host's root only.
type Opened struct {
	mu    sync.Mutex
	paths map[string]bool
	err   error
}

// maxOpened bounds the list. A root with more files that are all opened is no
// build root that anybody made on purpose.
const maxOpened = 1 << 20

// Paths are the files, in order, by absolute paths that lead over no link. The
// error says why they are not known, or not all of them.
func (o *Opened) Paths() ([]string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return nil, o.err
	}
	paths := make([]string, 0, len(o.paths))
	for p := range o.paths {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths, nil
}

func (o *Opened) add(path string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.paths == nil {
		o.paths = map[string]bool{}
	}
	if len(o.paths) >= maxOpened && !o.paths[path] {
		o.err = fmt.Errorf("more than %d files were opened", maxOpened)
		return
	}
	o.paths[path] = true
}

func (o *Opened) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = fmt.Errorf("watching which files are opened: %w", err)
	}
}

// gate is put before the runtime's command: it tells on descriptor 3 that the root
// is mounted, and waits on descriptor 4 until somebody watches it.
const gate = `echo mounted >&3; read -r line <&4; exec 3>&- 4<&-; exec "$@"`

func gated(args []string) []string { return append([]string{"sh", "-c", gate, "gate"}, args...) }

// watch is one command being watched.
type watch struct {
	to      *Opened
	rootfs  string // as the runtime knows it; what is opened below it is opened by the runtime
	mounted *os.File
	open    *os.File
	theirs  []*os.File // the command's ends of the pipes
	stop    *os.File   // closed when the command has ended
	stopped *os.File
	done    chan struct{}
}

// newWatch gives the command the pipes of its gate.
func newWatch(to *Opened, cmd *exec.Cmd, rootfs string) (*watch, error) {
	w := &watch{to: to, rootfs: rootfs, done: make(chan struct{})}
	var ends [6]*os.File
	for i := 0; i < len(ends); i += 2 {
		r, wr, err := os.Pipe()
		if err != nil {
			for _, f := range ends[:i] {
				f.Close()
			}
			return nil, err
		}
		ends[i], ends[i+1] = r, wr
	}
	w.mounted, w.open = ends[0], ends[3]
	w.theirs = []*os.File{ends[1], ends[2]}
	w.stopped, w.stop = ends[4], ends[5]
	cmd.ExtraFiles = w.theirs // descriptors 3 and 4
	return w, nil
}

// begin watches the command of a process that has been started.
func (w *watch) begin(pid int) {
	for _, f := range w.theirs {
		f.Close()
	}
	w.theirs = nil
	go func() {
		defer close(w.done)
		defer w.open.Close() // opens the gate, however this goes
		if _, err := w.mounted.Read(make([]byte, 16)); err != nil {
			if !errors.Is(err, io.EOF) {
				w.to.fail(err)
			}
			return // there is no root
		}
		if err := w.follow(filepath.Join("/proc", fmt.Sprint(pid), "root", w.rootfs)); err != nil {
			w.to.fail(err)
		}
	}()
}

// end waits until all that was opened has been told.
func (w *watch) end() {
	for _, f := range w.theirs { // it never began
		f.Close()
	}
	w.stop.Close()
	if w.theirs == nil {
		<-w.done
	} else {
		w.open.Close()
	}
	w.mounted.Close()
	w.stopped.Close()
}

// follow opens the gate and reads what the kernel tells of the file system of root
// until the command has ended.
func (w *watch) follow(root string) error {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK,
		unix.O_RDONLY|unix.O_LARGEFILE|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOATIME)
	if err != nil {
		return fmt.Errorf("fanotify_init: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_OPEN, unix.AT_FDCWD, root); err != nil {
		return fmt.Errorf("fanotify_mark: %w", err)
	}
	w.open.Close()
	buf := make([]byte, 64<<10)
	for ended := false; ; {
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && ended:
			return nil
		case errors.Is(err, unix.EAGAIN):
			if ended, err = w.wait(fd); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("reading events: %w", err)
		default:
			if err := w.read(fd, buf[:n]); err != nil {
				return err
			}
		}
	}
}

// wait waits for events. It says whether the command has ended.
func (w *watch) wait(fd int) (ended bool, err error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(w.stopped.Fd()), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("waiting for events: %w", err)
	}
	return fds[1].Revents != 0, nil
}

// read reads events; each but that of an overflow brings a descriptor of its file
// (linux: struct fanotify_event_metadata).
func (w *watch) read(fd int, buf []byte) error {
	const size = unix.FAN_EVENT_METADATA_LEN
	for len(buf) >= size {
		length := int(binary.NativeEndian.Uint32(buf))
		if length < size || length > len(buf) {
			return errors.New("an event has an impossible length")
		}
		mask := binary.NativeEndian.Uint64(buf[8:])
		file := int(int32(binary.NativeEndian.Uint32(buf[16:])))
		buf = buf[length:]
		if mask&unix.FAN_Q_OVERFLOW != 0 {
			return errors.New("too many files were opened at a time")
		}
		if file < 0 {
			continue
		}
		w.file(fd, file)
		_ = unix.Close(file)
	}
	return nil
}

// file takes note of a file that was opened, and tells the kernel that it need not
// be told of again: a build opens the same few thousand files over and over.
func (w *watch) file(fd, file int) {
	// An old kernel that does not know how costs time, not truth.
	_ = unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_IGNORED_MASK|unix.FAN_MARK_IGNORED_SURV_MODIFY, unix.FAN_OPEN, file, "")
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", file))
	if err != nil || !filepath.IsAbs(path) || strings.HasPrefix(path, w.rootfs+"/") || strings.HasSuffix(path, " (deleted)") {
		return
	}
	w.to.add(path)
}
