package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/durable"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/lock"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/blocks"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// production is one snapshot that is being made.
type production struct {
	Spec
	store     *store.Store
	memory    *memory
	items     []item // in the order of their places
	documents []rpmmd.Document
	at        time.Time
	files     map[string][]byte // by their names in the snapshot

	dir    string // where it is made
	copies []string
	blocks []rpmmd.Block
}

// make makes the snapshot in a folder of its own and gives it its name.
func (p *production) make(ctx context.Context, root, id string) (snapshot.Snapshot, error) {
	tmp, err := lock.NewScratch(ctx, root, filepath.Join(root, filepath.FromSlash(layout.SnapshotDir(p.Target, ""))), p.Held)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	p.dir = tmp.Dir
	snap, err := p.write(ctx, root, id)
	return snap, errors.Join(err, tmp.Discard())
}

func (p *production) write(ctx context.Context, root, id string) (snapshot.Snapshot, error) {
	if err := p.fill(ctx); err != nil {
		return snapshot.Snapshot{}, err
	}
	if err := p.sync(); err != nil {
		return snapshot.Snapshot{}, fmt.Errorf("making it durable: %w", err)
	}
	dir := filepath.Join(root, filepath.FromSlash(layout.SnapshotDir(p.Target, id)))
	switch err := os.Rename(p.dir, dir); {
	case errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist):
		return p.adopt(ctx, root, id) // another process made it meanwhile
	case err != nil:
		return snapshot.Snapshot{}, err
	}
	if err := durable.Sync(os.Open, filepath.Dir(dir)); err != nil {
		return snapshot.Snapshot{}, err
	}
	p.memory.wrote(dir, p.Compression, p.items, p.blocks)
	return snapshot.Open(root, p.Target, id)
}

// folders are those of a snapshot.
func (p *production) folders() []string {
	return append([]string{noarchDir, sourceDir, rpmmd.Dir}, p.Arches...)
}

// fill makes a whole snapshot; sync makes it durable.
func (p *production) fill(ctx context.Context) error {
	for _, sub := range p.folders() {
		if err := makeDir(filepath.Join(p.dir, sub)); err != nil {
			return err
		}
	}
	g, inner := errgroup.WithContext(ctx)
	g.Go(func() error { return p.link(inner) })
	g.Go(func() error {
		err := p.metadata(inner, p.memory.last)
		if errors.Is(err, blocks.ErrChanged) || errors.Is(err, errOldMetadata) { // what is known of them is of no use
			repodata := filepath.Join(p.dir, rpmmd.Dir)
			if err := errors.Join(os.RemoveAll(repodata), makeDir(repodata)); err != nil {
				return err
			}
			err = p.metadata(inner, written{})
		}
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	repomd, err := os.ReadFile(filepath.Join(p.dir, rpmmd.RepomdFile))
	if err != nil {
		return err
	}
	signed, err := rpmmd.Sign(repomd, p.Key, p.at)
	if err != nil {
		return err
	}
	for name, b := range signed {
		p.files[path.Join(rpmmd.Dir, name)] = b
	}
	for name, b := range p.files {
		if err := durable.Write(filepath.Join(p.dir, name), b); err != nil {
			return err
		}
	}
	return nil
}

// link puts the packages where they belong.
func (p *production) link(ctx context.Context) error {
	for _, it := range p.items {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := filepath.Join(p.dir, filepath.FromSlash(it.place))
		linked, err := p.store.LinkOrCopy(it.Digest, name)
		if err == nil && !linked {
			p.copies = append(p.copies, name)
			err = os.Chmod(name, 0o444)
		}
		if err != nil {
			return fmt.Errorf("package %s: %w", it.place, err)
		}
	}
	return nil
}

// sync makes the snapshot durable but for its own name. What packages are links to is
// durable already; copies are not. All is given to the disk at once, which takes it
// the time of one or two files.
func (p *production) sync() error {
	paths := append([]string{p.dir}, p.copies...)
	for _, sub := range p.folders() {
		paths = append(paths, filepath.Join(p.dir, sub))
	}
	for name := range p.files {
		paths = append(paths, filepath.Join(p.dir, name))
	}
	written, err := os.ReadDir(filepath.Join(p.dir, rpmmd.Dir))
	if err != nil {
		return err
	}
	for _, e := range written {
		paths = append(paths, filepath.Join(p.dir, rpmmd.Dir, e.Name()))
	}
	return durable.Sync(os.Open, paths...)
}

func makeDir(dir string) error {
	return errors.Join(os.Mkdir(dir, 0o755), os.Chmod(dir, 0o755)) // whatever the umask
}
