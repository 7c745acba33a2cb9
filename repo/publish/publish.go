package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Publish makes the snapshots the ones that clients see. Each target moves, with
// all its architectures, by one rename of a symbolic link: a reader finds the
// old snapshot or the new one, and a crash leaves one of both. The snapshots
// were validated before.
func Publish(ctx context.Context, snapshots ...Snapshot) error {
	for _, s := range snapshots {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.publish(); err != nil {
			return fmt.Errorf("publishing %s %s: %w", s.Target, s.Release, err)
		}
	}
	return nil
}

func (s Snapshot) publish() error {
	if fi, err := os.Lstat(s.Dir); err != nil {
		return err
	} else if !fi.IsDir() {
		return fmt.Errorf("%s is no snapshot", s.Dir)
	}
	link := linkPath(s.Root, s.Release, s.Target)
	parent := filepath.Dir(link)
	to, err := filepath.Rel(parent, s.Dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	switch fi, err := os.Lstat(link); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case fi.Mode()&fs.ModeSymlink == 0:
		return fmt.Errorf("%s is not ours to replace: it is no symbolic link; move it away first", link)
	default:
		if now, err := os.Readlink(link); err == nil && now == to {
			return nil
		}
	}
	// In a folder of its own the new link has a name that nobody else takes.
	tmp, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	fresh := filepath.Join(tmp, s.Target)
	if err := os.Symlink(to, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, link); err != nil {
		return err
	}
	return syncDir(parent)
}

// Current is the folder of the snapshot that clients of a target see. The error
// is fs.ErrNotExist when nothing was published.
func Current(root, release, target string) (string, error) {
	link := linkPath(root, release, target)
	to, err := os.Readlink(link)
	if err != nil {
		return "", fmt.Errorf("looking up what is published of %s %s: %w", target, release, err)
	}
	dir := filepath.Join(filepath.Dir(link), to)
	if filepath.Dir(dir) != snapshotsDir(filepath.Clean(root), target) || strings.HasPrefix(filepath.Base(dir), ".") {
		return "", fmt.Errorf("looking up what is published of %s %s: %s leads to %s, which is no snapshot", target, release, link, to)
	}
	return dir, nil
}
