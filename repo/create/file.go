package create

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// file is an open file of the folder of packages. It is no os.File because half of
// what opening, looking at and closing one takes is what keeps an os.File for
// more than reading it once.
type file struct {
	fd     int
	opened *os.File // that fd belongs to, if any
}

// open opens a file in the folder of packages, as os.Root does. Where the kernel
// sees to it that the path does not lead out (Linux 5.6, openat2(2)), that is one
// call in place of six, which counts with small packages.
func (c *creation) open(path string) (file, error) {
	fd, err := unix.Openat2(int(c.dir.Fd()), path, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err == nil {
		return file{fd: fd}, nil
	}
	f, err := c.root.Open(path) // it knows why, or how to
	if err != nil {
		return file{}, err
	}
	return file{fd: int(f.Fd()), opened: f}, nil
}

func (f file) close() {
	if f.opened != nil {
		f.opened.Close()
		return
	}
	_ = unix.Close(f.fd) // it was only read
}

// folder is the file, a folder, as one that can be listed; closing that closes it.
func (f file) folder(name string) *os.File {
	if f.opened != nil {
		return f.opened
	}
	return os.NewFile(uintptr(f.fd), name)
}

// errNotRegular says that something else than a file has the name of a package.
var errNotRegular = errors.New("it is not a regular file")

// stat says what tells that the file, a regular one, is still the same.
func (f file) stat() (stat, error) {
	return lookAt(func(s *unix.Stat_t) error { return unix.Fstat(f.fd, s) })
}

// statIn is stat of a file that is not open, in an open folder.
func statIn(folder int, name string) (stat, error) {
	return lookAt(func(s *unix.Stat_t) error { return unix.Fstatat(folder, name, s, unix.AT_SYMLINK_NOFOLLOW) })
}

func lookAt(call func(*unix.Stat_t) error) (stat, error) {
	var s unix.Stat_t
	if err := again(func() error { return call(&s) }); err != nil {
		return stat{}, os.NewSyscallError("stat", err)
	}
	if s.Mode&unix.S_IFMT != unix.S_IFREG {
		return stat{}, errNotRegular
	}
	return stat{size: s.Size, mtime: unix.TimespecToNsec(s.Mtim), inode: s.Ino}, nil
}

// ReadAt reads as io.ReaderAt says.
func (f file) ReadAt(b []byte, off int64) (int, error) {
	read := 0
	for read < len(b) {
		var n int
		err := again(func() (err error) {
			n, err = unix.Pread(f.fd, b[read:], off+int64(read))
			return err
		})
		if err != nil {
			return read, os.NewSyscallError("pread", err)
		}
		if n == 0 {
			return read, io.EOF
		}
		read += n
	}
	return read, nil
}

// again calls fn until no signal interrupts it, as may be on network file systems.
func again(fn func() error) error {
	for {
		if err := fn(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
