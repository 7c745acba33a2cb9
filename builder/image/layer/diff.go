package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Epoch is the latest time of any file in a layer that is made here, in seconds
// since 1970: a layer is the same whenever it is made of the same.
const Epoch = 1_600_000_000

const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"

	// maxXattr bounds one extended attribute, as the kernel does (linux: limits.h).
	maxXattr = 64 << 10
)

// Diff writes the upper layer in dir as an OCI layer (image-spec: layer.md):
// overlayfs marks what was deleted by devices and attributes, OCI by names. The
// bytes do not depend on when files were written.
func Diff(w io.Writer, dir string) error {
	tw := tar.NewWriter(w)
	links := map[inode]string{}
	// WalkDir goes in the order of names.
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name == "." {
			return nil
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		return writeChange(tw, path, filepath.ToSlash(name), fi, links)
	})
	if err != nil {
		return fmt.Errorf("writing a layer of %s: %w", dir, err)
	}
	return tw.Close()
}

type inode struct{ dev, ino uint64 }

func writeChange(tw *tar.Writer, path, name string, fi fs.FileInfo, links map[inode]string) error {
	stat, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: no owner is known", path)
	}
	if fi.Mode()&fs.ModeCharDevice != 0 && stat.Rdev == 0 {
		dir, base := filepath.Split(name)
		return tw.WriteHeader(stamp(&tar.Header{Typeflag: tar.TypeReg, Name: dir + whiteoutPrefix + base}))
	}
	if strings.HasPrefix(fi.Name(), whiteoutPrefix) {
		return fmt.Errorf("%s: a file of this name cannot be in a layer", path)
	}
	if fi.Mode()&fs.ModeSocket != 0 {
		return nil // means nothing without its process
	}
	target := ""
	if fi.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	hdr, err := tar.FileInfoHeader(fi, target)
	if err != nil {
		return err
	}
	hdr.Name = name
	if fi.IsDir() {
		hdr.Name += "/"
	}
	hdr.Uname, hdr.Gname = "", ""
	stamp(hdr)
	opaque, err := attributes(hdr, path)
	if err != nil {
		return err
	}
	if id := (inode{stat.Dev, stat.Ino}); fi.Mode().IsRegular() && stat.Nlink > 1 {
		if first, ok := links[id]; ok {
			hdr.Typeflag, hdr.Linkname, hdr.Size = tar.TypeLink, first, 0
			return tw.WriteHeader(hdr)
		}
		links[id] = name
	}
	if err := tw.WriteHeader(hdr); err != nil {
		return err
	}
	if opaque {
		return tw.WriteHeader(stamp(&tar.Header{Typeflag: tar.TypeReg, Name: name + "/" + whiteoutOpaque}))
	}
	if !fi.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(tw, f)
	return err
}

// stamp takes from a header what depends on when it was written.
func stamp(hdr *tar.Header) *tar.Header {
	if latest := time.Unix(Epoch, 0); hdr.ModTime.After(latest) || hdr.ModTime.Unix() <= 0 {
		hdr.ModTime = latest
	}
	hdr.ModTime = hdr.ModTime.Truncate(time.Second)
	hdr.AccessTime, hdr.ChangeTime = time.Time{}, time.Time{}
	hdr.Format = tar.FormatPAX
	return hdr
}

// attributes copies a file's extended attributes, but for overlayfs's own, and
// says whether these hide what is below a folder.
func attributes(hdr *tar.Header, path string) (opaque bool, err error) {
	list := make([]byte, maxXattr)
	n, err := unix.Llistxattr(path, list)
	if errors.Is(err, unix.ENOTSUP) || n == 0 {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "listxattr", Path: path, Err: err}
	}
	value := make([]byte, maxXattr)
	for name := range strings.SplitSeq(strings.TrimRight(string(list[:n]), "\x00"), "\x00") {
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return false, &fs.PathError{Op: "getxattr " + name, Path: path, Err: err}
		}
		switch {
		case name == "trusted.overlay.opaque" || name == "user.overlay.opaque":
			opaque = opaque || string(value[:n]) == "y"
		case strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "user.overlay."):
			// origin, impure, …: say something about this overlay only. A redirect or
			// a metacopy would be lost, but they are off unless the host turns them on.
			if strings.HasSuffix(name, ".redirect") || strings.HasSuffix(name, ".metacopy") {
				return false, fmt.Errorf("%s has the attribute %s, which no layer can express; turn overlayfs's redirect_dir and metacopy off", path, name)
			}
		default:
			if hdr.PAXRecords == nil {
				hdr.PAXRecords = map[string]string{}
			}
			hdr.PAXRecords[paxAttribute+name] = string(value[:n])
		}
	}
	return opaque, nil
}
