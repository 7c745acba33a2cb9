package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Prune removes from the bucket what readers no longer need: snapshots that the
// tree does not have any more and no channel there names, what a channel's name held
// before, and channels that the tree has ended. All of it only when nobody was told
// of it for as long as retain.
func (c *Copy) Prune(ctx context.Context, retain time.Duration) (Summary, error) {
	var sum Summary
	err := c.owned(ctx, func() error { return c.prune(ctx, time.Now().Add(-retain), &sum) })
	if err != nil {
		err = fmt.Errorf("removing what is not needed any more: %w", err)
	}
	return sum, err
}

func (c *Copy) prune(ctx context.Context, before time.Time, sum *Summary) error {
	named, stale, err := c.channels(ctx, before)
	if err != nil {
		return err
	}
	all, err := c.list(ctx, layout.Snapshots+"/")
	if err != nil {
		return err
	}
	type copied struct {
		newest time.Time
		names  []string
	}
	snapshots := map[string]*copied{} // by <target>/<id>
	for name, o := range all {
		parts := strings.SplitN(name, "/", 3)
		if len(parts) < 3 || layout.CheckTarget(parts[0]) != nil || !layout.IsID(parts[1]) {
			continue // not ours
		}
		s := snapshots[parts[0]+"/"+parts[1]]
		if s == nil {
			s = &copied{}
			snapshots[parts[0]+"/"+parts[1]] = s
		}
		s.names = append(s.names, o.Key)
		if o.ModTime.After(s.newest) {
			s.newest = o.ModTime
		}
	}
	for at, s := range snapshots {
		target, id, _ := strings.Cut(at, "/")
		_, err := os.Lstat(filepath.Join(c.root, filepath.FromSlash(layout.SnapshotDir(target, id))))
		if named[at] || !errors.Is(err, fs.ErrNotExist) || s.newest.After(before) {
			continue
		}
		// The manifest first: what is left is no snapshot any more.
		slices.SortFunc(s.names, func(a, b string) int {
			if (path.Base(a) == snapshot.ManifestFile) != (path.Base(b) == snapshot.ManifestFile) {
				if path.Base(a) == snapshot.ManifestFile {
					return -1
				}
				return 1
			}
			return strings.Compare(a, b)
		})
		stale = append(stale, s.names...)
	}
	for _, key := range stale {
		if err := c.delete(ctx, key); err != nil {
			return err
		}
		sum.Removed++
	}
	return nil
}

// channels reads which snapshots the channels in the bucket name, as
// <target>/<id>, and which files below their plain names are not those of the
// current snapshot any more.
func (c *Copy) channels(ctx context.Context, before time.Time) (named map[string]bool, stale []string, err error) {
	all, err := c.list(ctx, layout.Product+"/")
	if err != nil {
		return nil, nil, err
	}
	named = map[string]bool{}
	for name, o := range all {
		link, ok := strings.CutSuffix(name, layout.MirrorlistSuffix)
		if !ok || strings.Contains(name, "/"+rpmmd.Dir+"/") {
			continue
		}
		b, err := c.get(ctx, o.Key)
		if err != nil {
			return nil, nil, err
		}
		target := path.Base(link)
		if gone, ok := pointerAt(link); ok && !o.ModTime.After(before) {
			ended, err := c.ended(gone)
			if err != nil {
				return nil, nil, err
			}
			if ended {
				stale = append(stale, remains(gone, all)...)
				continue
			}
		}
		ids, err := layout.ParseMirrorlist(b, target)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", o.Key, err)
		}
		for _, id := range ids {
			named[target+"/"+id] = true
		}
		if o.ModTime.After(before) {
			continue
		}
		current, err := c.list(ctx, layout.SnapshotDir(target, ids[0])+"/")
		if err != nil {
			return nil, nil, err
		}
		for held, h := range all {
			if rest, ok := strings.CutPrefix(held, link+"/"); ok && current[rest] == nil && len(current) > 0 {
				stale = append(stale, h.Key)
			}
		}
	}
	return named, stale, nil
}

// pointerAt is the channel that clients follow by a name below the product's.
func pointerAt(link string) (layout.Pointer, bool) {
	parts := strings.Split(link, "/")
	last := len(parts) - 1
	if last < 1 {
		return layout.Pointer{}, false
	}
	p := layout.Pointer{Release: parts[0], Channel: layout.Release, Target: parts[last]}
	if last > 1 {
		p.Channel = layout.Channel(strings.Join(parts[1:last], "/"))
	}
	return p, p.Check() == nil && p.Link() == path.Join(layout.Product, link)
}

// ended tells whether the tree has a channel no more.
func (c *Copy) ended(p layout.Pointer) (bool, error) {
	_, err := os.Lstat(filepath.Join(c.root, filepath.FromSlash(p.Mirrorlist())))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// remains is what the bucket has of a channel that was ended. The mirrorlist, which
// makes it a channel, goes last: this can be repeated.
func remains(p layout.Pointer, all map[string]*blob.ListObject) []string {
	var keys []string
	for _, o := range all {
		if o.Key == p.RepoFile() || o.Key == p.StatusFile() || strings.HasPrefix(o.Key, p.Link()+"/") {
			keys = append(keys, o.Key)
		}
	}
	slices.Sort(keys)
	return append(keys, p.Mirrorlist())
}
