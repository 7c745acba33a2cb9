package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source"
)

// Repository is an upstream repository at hand.
type Repository struct {
	git     *git.Repository
	address string // without a password
	fetch   func(ctx context.Context, spec config.RefSpec) error
}

// UnreachableError says that a repository could not be had.
type UnreachableError struct {
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("repository %s cannot be read: %v", e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Open makes a repository available with all its branches and tags: that of an
// address in a folder below cache, where it is kept, and that of a path where it
// is. The error is an *[UnreachableError], and the context's when that ended.
func Open(ctx context.Context, cache, address string, opts ...Option) (*Repository, error) {
	o := options{timeout: 10 * time.Minute, maxSize: 8 << 30}
	for _, opt := range opts {
		opt(&o)
	}
	r := &Repository{address: redacted(address)}
	remote, err := recipes.IsRemote(address)
	switch {
	case err != nil:
	case remote:
		err = r.openRemote(ctx, filepath.Join(cache, store.Of([]byte(address)).Hex()), address, o)
	default:
		err = r.openLocal(address, o)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, &UnreachableError{r.address, err}
	}
	return r, nil
}

func (r *Repository) openLocal(dir string, o options) error {
	root, err := source.OpenLocal(o.local, dir)
	if err != nil {
		return err
	}
	defer io.Closer(root).Close()
	r.git, err = git.PlainOpen(root.Name())
	return err
}

func (r *Repository) openRemote(ctx context.Context, dir, address string, o options) error {
	repository, err := git.PlainOpen(dir)
	if err != nil {
		// There is none, or none that can be read: begin anew.
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			return err
		}
		if repository, err = git.PlainInit(dir, true); err != nil {
			return err
		}
	}
	r.git = repository
	r.fetch = func(ctx context.Context, spec config.RefSpec) error {
		ctx, stop := bounded(ctx, dir, o)
		defer stop()
		remote := git.NewRemote(repository.Storer, &config.RemoteConfig{Name: "origin", URLs: []string{address}})
		err := remote.FetchContext(ctx, &git.FetchOptions{RefSpecs: []config.RefSpec{spec}, Tags: git.NoTags, Prune: true, Force: true})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, git.NoErrAlreadyUpToDate):
			return nil
		}
		return err
	}
	for _, spec := range []config.RefSpec{"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"} {
		err := r.fetch(ctx, spec)
		if size(dir) > o.maxSize {
			return errors.Join(&source.SizeError{Limit: o.maxSize}, os.RemoveAll(dir))
		}
		if err != nil && !errors.Is(err, git.NoMatchingRefSpecError{}) {
			return fmt.Errorf("fetching: %w", err)
		}
	}
	return nil
}

// bounded returns a context that ends when a fetch takes too long, or fills a
// folder with more than was agreed on.
func bounded(ctx context.Context, dir string, o options) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ctx, stop := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done after %s", o.timeout))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
			if size(dir) > o.maxSize {
				cancel(&source.SizeError{Limit: o.maxSize})
				return
			}
		}
	}()
	return ctx, func() {
		stop()
		cancel(nil)
		<-done
	}
}

// size is that of a folder's files. What disappears meanwhile does not count.
func size(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil //nolint:nilerr // a fetch moves its files about
		}
		if fi, err := entry.Info(); err == nil {
			total += fi.Size()
		}
		return nil
	})
	return total
}

// commitFetched brings a commit that no branch or tag leads to, as far as the
// server gives it.
func (r *Repository) commitFetched(ctx context.Context, hash plumbing.Hash) error {
	if r.fetch == nil {
		return plumbing.ErrObjectNotFound
	}
	return r.fetch(ctx, config.RefSpec(hash.String()+":refs/ohpc-build/"+hash.String()))
}

func redacted(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return address
}

type options struct {
	timeout time.Duration
	maxSize int64
	local   string
}

// Option changes how a repository is opened.
type Option func(*options)

// WithTimeout bounds each fetch; ten minutes by default.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithMaxSize bounds what a repository may take of the disk in bytes; 8 GiB by
// default.
func WithMaxSize(bytes int64) Option { return func(o *options) { o.maxSize = bytes } }

// WithLocal allows repositories of this machine that lie in the folder root, as
// [source.WithLocal] does. Without it there are none.
func WithLocal(root string) Option { return func(o *options) { o.local = root } }
