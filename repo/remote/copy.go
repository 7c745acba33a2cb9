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
	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Copy is a published tree's copy in a bucket.
type Copy struct {
	root     string
	bucket   *blob.Bucket
	patience patience
	opt      Options
}

// Options of a Copy.
type Options struct {
	Workers  int           // transfers at a time; default: 8
	Patience time.Duration // for which the storage may say nothing, five times that while it copies or stores; default: 2 minutes
	Wait     time.Duration // for which another process that copies the same tree is waited for
	TakeOver bool          // the copy was another tree's and becomes this one's
	Log      *slog.Logger
}

const (
	defaultWorkers  = 8
	defaultPatience = 2 * time.Minute
)

// New is the copy of the tree at root in a bucket. Nothing is read or written yet.
func New(root string, bucket *blob.Bucket, opt Options) (*Copy, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("the tree to copy: %w", err)
	}
	if opt.Workers <= 0 {
		opt.Workers = defaultWorkers
	}
	if opt.Patience <= 0 {
		opt.Patience = defaultPatience
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Copy{root: root, bucket: bucket, patience: patience(opt.Patience), opt: opt}, nil
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
// then moves the channels there, in the order in which the tree itself moves them:
// all mirrorlists when all snapshots are there, then what a plain baseurl needs, then
// the definitions, which must not be found before what they name. What is there
// already is not sent again.
func (c *Copy) Push(ctx context.Context, pointers ...layout.Pointer) (Summary, error) {
	var sum Summary
	err := c.owned(ctx, func() error {
		var all []published
		for _, p := range pointers {
			one, err := c.read(p)
			if err != nil {
				return fmt.Errorf("copying %s: %w", p, err)
			}
			all = append(all, one)
		}
		for _, step := range []func(context.Context, *published, *Summary) error{c.sendAll, c.move, c.plain, c.define} {
			for i := range all {
				if err := step(ctx, &all[i], &sum); err != nil {
					return fmt.Errorf("copying %s: %w", all[i].Pointer, err)
				}
			}
		}
		return nil
	})
	return sum, err
}

// published is what the tree says of a channel. It is read once: what it says then is
// what is copied, whatever is published meanwhile.
type published struct {
	layout.Pointer
	mirrorlist, definition, status []byte // status: nil when nothing is told
	ids                            []string
	current                        snapshot.Snapshot
	files                          []file // of the current snapshot
}

func (c *Copy) read(p layout.Pointer) (published, error) {
	one := published{Pointer: p}
	if err := p.Check(); err != nil {
		return one, err
	}
	var err error
	for _, f := range []struct {
		name string
		to   *[]byte
	}{{p.Mirrorlist(), &one.mirrorlist}, {p.RepoFile(), &one.definition}, {p.StatusFile(), &one.status}} {
		*f.to, err = os.ReadFile(filepath.Join(c.root, filepath.FromSlash(f.name)))
		if err != nil && (f.name != p.StatusFile() || !errors.Is(err, fs.ErrNotExist)) {
			return one, err
		}
	}
	one.ids, err = layout.ParseMirrorlist(one.mirrorlist, p.Target)
	return one, err
}

// sendAll brings a channel's snapshots into the bucket, the current one last: the
// earlier ones are for those who come from them.
func (c *Copy) sendAll(ctx context.Context, p *published, sum *Summary) (err error) {
	for _, id := range slices.Backward(p.ids) {
		if p.current, err = snapshot.Open(c.root, p.Target, id); err != nil {
			return err
		}
		if p.files, err = filesOf(p.current.Dir); err != nil {
			return err
		}
		if err := c.send(ctx, p.current, p.files, sum); err != nil {
			return err
		}
	}
	return nil
}

// move lets the channel's clients see the snapshot, after what tells its standing.
func (c *Copy) move(ctx context.Context, p *published, sum *Summary) error {
	if err := c.status(ctx, p); err != nil {
		return err
	}
	was, err := c.get(ctx, p.Mirrorlist())
	if err != nil || bytes.Equal(was, p.mirrorlist) {
		return err
	}
	if err := c.put(ctx, p.Mirrorlist(), p.mirrorlist); err != nil {
		return err
	}
	sum.Moved = append(sum.Moved, p.Pointer)
	return nil
}

func (c *Copy) define(ctx context.Context, p *published, _ *Summary) error {
	return c.put(ctx, p.RepoFile(), p.definition)
}

// status brings along what the channel tells of its standing, if it does.
func (c *Copy) status(ctx context.Context, p *published) error {
	if p.status != nil {
		return c.put(ctx, p.StatusFile(), p.status)
	}
	return c.delete(ctx, p.StatusFile())
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
func (c *Copy) plain(ctx context.Context, p *published, sum *Summary) error {
	from, to := layout.SnapshotDir(p.Target, p.current.ID)+"/", p.Link()+"/"
	source, err := c.list(ctx, from)
	if err != nil {
		return err
	}
	there, err := c.list(ctx, to)
	if err != nil {
		return err
	}
	for _, wave := range waves(p.files) {
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
			g.Go(func() error {
				return c.patience.working().with(ctx, func(ctx context.Context, _ func()) error {
					return c.bucket.Copy(ctx, to+f.name, from+f.name, nil)
				})
			})
		}
		if err := g.Wait(); err != nil {
			return fmt.Errorf("copying to %s: %w", to, err)
		}
	}
	return nil
}
