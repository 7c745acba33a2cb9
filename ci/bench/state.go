package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
)

// digest is how the records of a state folder name objects.
var digest = regexp.MustCompile(`sha256:([0-9a-f]{2})([0-9a-f]{62})`)

// cold makes a state folder that has the images of the bench's own state folder,
// and knows nothing else.
func (b *bench) cold(ctx context.Context) (string, error) {
	if err := b.provideImage(ctx); err != nil {
		return "", err
	}
	dir, err := b.folder("state-")
	if err != nil {
		return "", err
	}
	return b.withImages(dir)
}

// inMemory is a folder that is no disk's, where there is one and it has room: what
// takes a million synced files to set up takes minutes there, and not an hour.
const (
	inMemory     = "/dev/shm"
	inMemoryRoom = 8 << 30 // bytes
)

// coldInMemory is cold for what is slow to set up, with a folder for output. Where
// there is no room in memory, it is on the disk.
func (b *bench) coldInMemory(ctx context.Context) (state, out string, err error) {
	if err := b.provideImage(ctx); err != nil {
		return "", "", err
	}
	var fs unix.Statfs_t
	where := b.work
	if err := unix.Statfs(inMemory, &fs); err == nil && int64(fs.Bavail)*fs.Bsize > inMemoryRoom {
		where = inMemory
	}
	top, err := os.MkdirTemp(where, "ohpc-build-bench-")
	if err != nil {
		return "", "", err
	}
	state, out = filepath.Join(top, "state"), filepath.Join(top, "out")
	if err = os.Mkdir(state, 0o755); err == nil {
		_, err = b.withImages(state)
	}
	if err != nil {
		return "", "", errors.Join(err, os.RemoveAll(top))
	}
	return state, out, nil
}

func (b *bench) withImages(dir string) (string, error) {
	if err := b.linkImages(dir); err != nil {
		return "", fmt.Errorf("making a state folder with the images of %s: %w", b.state, err)
	}
	return dir, nil
}

// provideImage makes sure that there is the image that reads specs. It takes
// minutes when there is none, which are nobody's figure.
func (b *bench) provideImage(ctx context.Context) error {
	if b.plans.imaged {
		return nil
	}
	tree, err := filepath.Abs(small)
	if err != nil {
		return err
	}
	out, err := b.folder("out-")
	if err != nil {
		return err
	}
	b.say("looking for the image that reads specs; it is made if there is none, in some minutes")
	plan := b.plan(b.state, tree, "--target", "EL_9", "--arch", hostArch())
	plan.args = append(plan.args, "--out", out)
	if _, err := plan.call(ctx); err != nil && !planned(err) {
		return err
	}
	b.plans.imaged = true
	return nil
}

func (b *bench) linkImages(dir string) error {
	records := filepath.Join("store", "records", "image")
	if err := os.MkdirAll(filepath.Join(dir, records), 0o755); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(b.state, records, "*.json"))
	if err != nil {
		return err
	}
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, records, filepath.Base(path)), text, 0o644); err != nil {
			return err
		}
		for _, m := range digest.FindAllStringSubmatch(string(text), -1) {
			object := filepath.Join("store", "objects", "sha256", m[1], m[1]+m[2])
			if err := link(filepath.Join(b.state, object), filepath.Join(dir, object)); err != nil {
				return err
			}
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "layers"), 0o755); err != nil {
		return err
	}
	images := filepath.Join("layers", "images")
	return os.Symlink(filepath.Join(b.state, images), filepath.Join(dir, images))
}

// link links a file that may be missing, such as the digest of a record itself,
// or linked already.
func link(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	err := os.Link(from, to)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return nil
	}
	if errors.Is(err, unix.EXDEV) {
		return copyFile(from, to)
	}
	return err
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		w.Close()
		return err
	}
	return w.Close()
}
