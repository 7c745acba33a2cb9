package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// smallest is what any file is counted as, so that a limit on bytes also
	// bounds the number of files.
	smallest = 4096

	// maxDepth is how deep folders may be nested. The configure scripts of GNU
	// programs try some 900 levels to see what getcwd says.
	maxDepth = 2048
)

// DiskError says that a container was ended because of what it wrote.
type DiskError struct {
	Limit int64 // bytes
	Used  int64 // bytes, when it was looked at
	Free  int64 // bytes left on the file system
	Full  bool  // the file system ran out before the limit was reached
}

func (e *DiskError) Error() string {
	if e.Full {
		return fmt.Sprintf("the disk is full: %s are left (it used %s itself): free some, for instance with ohpc-build cache gc", Bytes(e.Free), Bytes(e.Used))
	}
	return fmt.Sprintf("ended by its disk limit of %s (it used %s)", Bytes(e.Limit), Bytes(e.Used))
}

// disk measures what a container writes below some folders of one file system.
type disk struct {
	dirs []string
	root int // a process whose descendants are those of the container
}

// space is what a file system has left: bytes, and files in terms of bytes.
type space struct{ bytes, files int64 }

// free asks the file system, which is as cheap as a look at the clock.
func (d *disk) free() (space, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(d.dirs[0], &fs); err != nil {
		return space{}, fmt.Errorf("asking for the space on %s: %w", d.dirs[0], err)
	}
	return space{bytes: int64(fs.Bavail) * fs.Bsize, files: int64(fs.Ffree) * smallest}, nil
}

// lost is how much less there is than before, whoever took it.
func (s space) lost(before space) int64 {
	return max(before.bytes-s.bytes, before.files-s.files, 0)
}

// used adds up what the folders hold, and what processes hold that no folder
// shows any more: a file may be deleted and still be written to.
func (d *disk) used(ctx context.Context) (int64, error) {
	w := walk{ctx: ctx, seen: map[inode]bool{}}
	for _, dir := range d.dirs {
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, &os.PathError{Op: "open", Path: dir, Err: err}
		}
		if err := w.folder(fd, 0); err != nil {
			return 0, err
		}
	}
	for _, pid := range descendants(d.root) {
		w.open(pid)
	}
	return w.bytes, nil
}

type inode struct{ dev, ino uint64 }

// walk adds up files. What it walks belongs to the enemy and changes meanwhile:
// folders are opened relative to their parents, never through a link, and nothing
// else is opened at all, as a pipe would stop the walk for good.
type walk struct {
	ctx   context.Context
	bytes int64
	seen  map[inode]bool // those that have more than one name
	dev   uint64
}

func (w *walk) add(st *unix.Stat_t) {
	w.bytes += max(st.Blocks*512, smallest)
}

func (w *walk) folder(fd, depth int) error {
	dir := os.NewFile(uintptr(fd), "folder of a container")
	defer dir.Close()
	if depth > maxDepth {
		return fmt.Errorf("folders are nested more than %d levels deep", maxDepth)
	}
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			if err := w.entry(fd, name, depth); err != nil {
				return err
			}
		}
		if err != nil || len(names) == 0 {
			return context.Cause(w.ctx) // the end, or somebody removed the folder
		}
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
	}
}

func (w *walk) entry(parent int, name string, depth int) error {
	var st unix.Stat_t
	if unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return nil // gone meanwhile
	}
	if w.dev == 0 {
		w.dev = st.Dev
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		if st.Nlink > 1 {
			id := inode{st.Dev, st.Ino}
			if w.seen[id] {
				return nil
			}
			w.seen[id] = true
		}
		w.add(&st)
		return nil
	}
	w.add(&st)
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return &os.PathError{Op: "open", Path: name, Err: err}
	case err != nil:
		return nil // not a folder any more
	}
	return w.folder(fd, depth+1)
}

// open adds the files that a process has open and that have no name any more.
func (w *walk) open(pid int) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	var root unix.Stat_t
	_ = unix.Stat(filepath.Join(dir, "root"), &root) // the overlay has a device number of its own
	entries, _ := os.ReadDir(filepath.Join(dir, "fd"))
	for _, e := range entries {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(dir, "fd", e.Name()), &st) != nil || st.Nlink > 0 ||
			st.Mode&unix.S_IFMT != unix.S_IFREG || st.Dev != w.dev && st.Dev != root.Dev {
			continue
		}
		if id := (inode{st.Dev, st.Ino}); !w.seen[id] {
			w.seen[id] = true
			w.add(&st)
		}
	}
}
