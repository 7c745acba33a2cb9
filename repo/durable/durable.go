package durable

import (
	"errors"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"
)

// atOnce is how many files are given to the disk at a time.
const atOnce = 16

// Open opens a file or folder by its name: os.Open, or the Open of an os.Root.
type Open func(name string) (*os.File, error)

// Sync makes what is in files, and the names in folders, durable: all at once, which a
// disk does in the time of one or two.
func Sync(open Open, names ...string) error {
	names = slices.Clone(names)
	slices.Sort(names)
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, name := range slices.Compact(names) {
		g.Go(func() error {
			f, err := open(name)
			if err != nil {
				return err
			}
			return errors.Join(f.Sync(), f.Close())
		})
	}
	return g.Wait()
}

// Fill writes a file that was just created, for all to read whatever the umask, and
// closes it. It is not synced.
func Fill(f *os.File, b []byte) error {
	_, err := f.Write(b)
	return errors.Join(err, f.Chmod(0o644), f.Close())
}

// Write makes a file that is not there yet, as Fill does.
func Write(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return Fill(f, b)
}
