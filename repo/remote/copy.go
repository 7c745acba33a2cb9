package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Copy is a published tree's copy in a bucket.
type Copy struct {
	root   string
	bucket *blob.Bucket
	opt    Options
}

// Options of a Copy.
type Options struct {
	Workers  int           // transfers at a time; default: 8
	Wait     time.Duration // for which another process that copies the same tree is waited for
	TakeOver bool          // the copy was another tree's and becomes this one's
	Log      *slog.Logger
}

const defaultWorkers = 8

// New is the copy of the tree at root in a bucket. Nothing is read or written yet.
func New(root string, bucket *blob.Bucket, opt Options) (*Copy, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("the tree to copy: %w", err)
	}
	if opt.Workers <= 0 {
		opt.Workers = defaultWorkers
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Copy{root: root, bucket: bucket, opt: opt}, nil
}

// Summary is what was done.
type Summary struct {
	Uploaded int   // files
	Bytes    int64 // of them
	Copied   int   // files, from one name in the bucket to another
	Removed  int   // files
	Moved    []layout.Pointer
}

// Push brings the snapshots that these channels point to into the bucket, and
// then moves the channels there. What is there already is not sent again.
func (c *Copy) Push(ctx context.Context, pointers ...layout.Pointer) (Summary, error) {
	var sum Summary
	err := c.owned(ctx, func() error {
		for _, p := range pointers {
			if err := c.push(ctx, p, &sum); err != nil {
				return fmt.Errorf("copying %s: %w", p, err)
			}
		}
		return nil
	})
	return sum, err
}

func (c *Copy) push(ctx context.Context, p layout.Pointer, sum *Summary) error {
	if err := p.Check(); err != nil {
		return err
	}
	// Read once: what it says now is what is copied, whatever is published meanwhile.
	mirrorlist, err := os.ReadFile(filepath.Join(c.root, filepath.FromSlash(p.Mirrorlist())))
	if err != nil {
		return err
	}
	definition, err := os.ReadFile(filepath.Join(c.root, filepath.FromSlash(p.RepoFile())))
	if err != nil {
		return err
	}
	ids, err := layout.ParseMirrorlist(mirrorlist, p.Target)
	if err != nil {
		return err
	}
	// The current one last: the earlier ones are for those who come from them.
	var snap snapshot.Snapshot
	var files []file
	for _, id := range slices.Backward(ids) {
		if snap, err = snapshot.Open(c.root, p.Target, id); err != nil {
			return err
		}
		if files, err = filesOf(snap.Dir); err != nil {
			return err
		}
		if err := c.send(ctx, snap, files, sum); err != nil {
			return err
		}
	}
	if err := c.put(ctx, p.RepoFile(), definition); err != nil {
		return err
	}
	if err := c.status(ctx, p); err != nil {
		return err
	}
	was, err := c.get(ctx, p.Mirrorlist())
	if err != nil {
		return err
	}
	if !bytes.Equal(was, mirrorlist) {
		if err := c.put(ctx, p.Mirrorlist(), mirrorlist); err != nil {
			return err
		}
		sum.Moved = append(sum.Moved, p)
	}
	return c.plain(ctx, p, snap, files, sum)
}

// status brings along what the channel tells of its standing, if it does.
func (c *Copy) status(ctx context.Context, p layout.Pointer) error {
	b, err := os.ReadFile(filepath.Join(c.root, filepath.FromSlash(p.StatusFile())))
	if err == nil {
		return c.put(ctx, p.StatusFile(), b)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := c.bucket.Delete(ctx, p.StatusFile()); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return err
	}
	return nil
}

// file is one file of a snapshot.
type file struct {
	name string // slash-separated, in the snapshot
	size int64
}

func filesOf(dir string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file", at)
		}
		name, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		files = append(files, file{filepath.ToSlash(name), fi.Size()})
		return nil
	})
	return files, err
}

// waves are the files in the order in which they may become visible, each wave
// when the one before is complete.
func waves(files []file) [][]file {
	order := func(f file) int {
		switch {
		case f.name == snapshot.ManifestFile:
			return 3
		case f.name == rpmmd.RepomdFile || f.name == rpmmd.RepomdFile+".asc":
			return 2
		case strings.HasPrefix(f.name, rpmmd.Dir+"/"):
			return 1
		}
		return 0
	}
	all := make([][]file, 4)
	for _, f := range files {
		all[order(f)] = append(all[order(f)], f)
	}
	return all
}

// send brings a snapshot into the bucket, if it is not there as a whole.
func (c *Copy) send(ctx context.Context, snap snapshot.Snapshot, files []file, sum *Summary) error {
	prefix := layout.SnapshotDir(snap.Target, snap.ID) + "/"
	there, err := c.list(ctx, prefix)
	if err != nil {
		return err
	}
	if _, ok := there[snapshot.ManifestFile]; ok {
		return nil
	}
	for _, wave := range waves(files) {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(c.opt.Workers)
		for _, f := range wave {
			// Storage shows an object when all of it has arrived, and a snapshot's
			// files never change: one of the right size is the right one.
			if o, ok := there[f.name]; ok && o.Size == f.size {
				continue
			}
			sum.Uploaded++
			sum.Bytes += f.size
			g.Go(func() error { return c.upload(ctx, prefix+f.name, filepath.Join(snap.Dir, filepath.FromSlash(f.name))) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// plain brings what a plain baseurl needs to the channel's name. Between
// repomd.xml and its signature a reader may still see two versions, which no order
// can prevent; a mirrorlist does.
func (c *Copy) plain(ctx context.Context, p layout.Pointer, snap snapshot.Snapshot, files []file, sum *Summary) error {
	from, to := layout.SnapshotDir(snap.Target, snap.ID)+"/", p.Link()+"/"
	source, err := c.list(ctx, from)
	if err != nil {
		return err
	}
	there, err := c.list(ctx, to)
	if err != nil {
		return err
	}
	for _, wave := range waves(files) {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(c.opt.Workers)
		for _, f := range wave {
			a, b := source[f.name], there[f.name]
			if a == nil {
				return fmt.Errorf("%s%s has vanished from the storage", from, f.name)
			}
			if b != nil && a.Size == b.Size && len(a.MD5) > 0 && bytes.Equal(a.MD5, b.MD5) {
				continue
			}
			sum.Copied++
			g.Go(func() error { return c.bucket.Copy(ctx, to+f.name, from+f.name, nil) })
		}
		if err := g.Wait(); err != nil {
			return fmt.Errorf("copying to %s: %w", to, err)
		}
	}
	return nil
}
