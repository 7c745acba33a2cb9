package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source/patch"
	"github.com/ohpc-build/ohpc-build/recipes/source/tarball"
)

// maxTree bounds the number of entries of a commit's tree.
const maxTree = 1_000_000

// archiveCommit writes the tree of a commit as git archive would: the commit's
// time on every file, submodules as empty folders.
func (f *Fetcher) archiveCommit(ctx context.Context, g recipes.Git, w io.Writer) error {
	commit, done, err := f.openCommit(ctx, recipes.Commit{URL: g.URL, Commit: g.Commit}, 1)
	if err != nil {
		return err
	}
	defer done()
	tree, err := commit.Tree()
	if err != nil {
		return fmt.Errorf("reading the tree of commit %s: %w", g.Commit, err)
	}
	t := tarball.New(w, g.Prefix, commit.Committer.When, f.options.maxSize)
	entries := 0
	if err := archiveTree(ctx, t, tree, "", &entries); err != nil {
		return fmt.Errorf("archiving commit %s: %w", g.Commit, err)
	}
	return t.Close()
}

func archiveTree(ctx context.Context, t *tarball.Writer, tree *object.Tree, dir string, entries *int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, e := range tree.Entries {
		if *entries++; *entries > maxTree {
			return fmt.Errorf("it has more than %d files", maxTree)
		}
		if e.Name == "" || strings.ContainsRune(e.Name, '/') || strings.EqualFold(e.Name, ".git") {
			return fmt.Errorf("%q in folder %q is not a name that git allows", e.Name, dir)
		}
		name := path.Join(dir, e.Name)
		switch e.Mode { //nolint:exhaustive // the default refuses the rest
		case filemode.Dir:
			if err := t.Folder(name); err != nil {
				return err
			}
			sub, err := tree.Tree(e.Name)
			if err != nil {
				return fmt.Errorf("reading %s: %w", name, err)
			}
			if err := archiveTree(ctx, t, sub, name, entries); err != nil {
				return err
			}
		case filemode.Submodule:
			if err := t.Folder(name); err != nil {
				return err
			}
		case filemode.Regular, filemode.Deprecated, filemode.Executable, filemode.Symlink:
			if err := archiveBlob(t, tree, e, name); err != nil {
				return fmt.Errorf("reading %s: %w", name, err)
			}
		default:
			return fmt.Errorf("%s has the unknown mode %s", name, e.Mode)
		}
	}
	return nil
}

func archiveBlob(t *tarball.Writer, tree *object.Tree, e object.TreeEntry, name string) error {
	file, err := tree.TreeEntryFile(&e)
	if err != nil {
		return err
	}
	r, err := file.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	if e.Mode == filemode.Symlink {
		target, err := io.ReadAll(io.LimitReader(r, 4096))
		if err != nil {
			return err
		}
		return t.Link(name, string(target))
	}
	return t.File(name, e.Mode == filemode.Executable, file.Size, r)
}

// writePatch writes what a commit changed.
func (f *Fetcher) writePatch(ctx context.Context, c recipes.Commit, w io.Writer) error {
	commit, done, err := f.openCommit(ctx, c, 2)
	if err != nil {
		return err
	}
	defer done()
	if err := patch.Write(ctx, w, commit); err != nil {
		return fmt.Errorf("commit %s: %w", c.Commit, err)
	}
	return nil
}

// openCommit makes a commit available, from a local repository as it is, and
// from a remote one by fetching it into a temporary folder, with as many
// generations of its history as depth says.
func (f *Fetcher) openCommit(ctx context.Context, c recipes.Commit, depth int) (*object.Commit, func(), error) {
	repository, done, err := f.openRepository(ctx, c, depth)
	if err != nil {
		return nil, nil, err
	}
	commit, err := repository.CommitObject(plumbing.NewHash(c.Commit))
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("reading commit %s: %w", c.Commit, err)
	}
	return commit, done, nil
}

func (f *Fetcher) openRepository(ctx context.Context, c recipes.Commit, depth int) (*git.Repository, func(), error) {
	remote, err := recipes.IsRemote(c.URL)
	if err != nil {
		return nil, nil, err
	}
	if !remote {
		root, err := OpenLocal(f.options.local, c.URL)
		if err != nil {
			return nil, nil, err
		}
		defer io.Closer(root).Close()
		repository, err := git.PlainOpen(root.Name())
		if err != nil {
			return nil, nil, fmt.Errorf("opening the repository: %w", err)
		}
		return repository, func() {}, nil
	}
	tmp, err := f.store.Temp("git-")
	if err != nil {
		return nil, nil, err
	}
	done := func() { os.RemoveAll(tmp) }
	repository, err := fetchCommit(ctx, tmp, c, depth)
	if err != nil {
		done()
		return nil, nil, err
	}
	return repository, done, nil
}

func fetchCommit(ctx context.Context, dir string, c recipes.Commit, depth int) (*git.Repository, error) {
	repository, err := git.PlainInit(dir, true)
	if err != nil {
		return nil, fmt.Errorf("making a repository to fetch into: %w", err)
	}
	remote, err := repository.CreateRemote(&config.RemoteConfig{Name: "origin", URLs: []string{c.URL}})
	if err != nil {
		return nil, err
	}
	// Most servers give a single commit when they are asked for it by its hash;
	// of the others everything has to be fetched.
	one := config.RefSpec(c.Commit + ":refs/heads/wanted")
	err = remote.FetchContext(ctx, &git.FetchOptions{RefSpecs: []config.RefSpec{one}, Depth: depth, Tags: git.NoTags})
	if err == nil || ctx.Err() != nil {
		return repository, ctx.Err()
	}
	single := err
	err = remote.FetchContext(ctx, &git.FetchOptions{RefSpecs: []config.RefSpec{"+refs/*:refs/*"}, Tags: git.NoTags})
	if err != nil && !errors.Is(err, git.NoErrAlreadyUpToDate) {
		return nil, errors.Join(fmt.Errorf("fetching the commit: %w", single), fmt.Errorf("fetching everything: %w", err))
	}
	return repository, nil
}
