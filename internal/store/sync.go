package store

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// SyncFileSystem writes everything on the file system of a folder to the disk: for
// whole trees that lie beside the store, such as unpacked layers, before a record
// says that they are there.
func SyncFileSystem(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &fs.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return nil
}
