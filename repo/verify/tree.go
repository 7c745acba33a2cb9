package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Summary is what Tree has read.
type Summary struct {
	Snapshots, Channels int
}

// Tree verifies all snapshots of a published tree, that each channel's mirrorlist,
// link, .repo file and history agree and lead to snapshots, and that nothing else is
// where clients look. The error joins all that is wrong. Snapshots that someone
// removes meanwhile are told as missing.
func Tree(ctx context.Context, root string, trusted *sign.Keyring) (Summary, error) {
	var sum Summary
	t, err := channel.Open(root, channel.Options{})
	if err != nil {
		return sum, err
	}
	defer t.Close()
	all, err := snapshot.List(root)
	problems := []error{err}
	known := map[fileID]string{}
	for _, s := range all {
		problems = append(problems, repository(ctx, s.Dir, trusted, known))
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		sum.Snapshots++
	}
	pointers, err := t.Pointers()
	if err == nil {
		err = strangers(root, pointers)
	}
	problems = append(problems, err)
	for _, p := range pointers {
		if err := t.Check(p); err != nil {
			problems = append(problems, fmt.Errorf("channel %s: %w", p, err))
		}
		sum.Channels++
	}
	interrupted, err := t.Interrupted()
	if interrupted {
		err = errors.New("a publish was interrupted; the next one, or repo gc, completes it")
	}
	return sum, errors.Join(append(problems, err)...)
}

// strangers finds what clients could take for a part of the tree and no publisher has
// made: snapshots that are links to something that was not verified, and links,
// definitions and repositories of no channel. A page that somebody has put there is
// none of them.
func strangers(root string, pointers []layout.Pointer) error {
	known := map[string]bool{}
	for _, p := range pointers {
		for _, name := range []string{p.Link(), p.Mirrorlist(), p.RepoFile(), p.StatusFile()} {
			known[name] = true
		}
	}
	var problems []error
	for dir, isStrange := range map[string]func(name string, d fs.DirEntry) bool{
		layout.Snapshots: func(name string, d fs.DirEntry) bool {
			return d.Type()&fs.ModeSymlink != 0 && strings.Count(name, "/") <= strings.Count(layout.SnapshotDir("x", "x"), "/")
		},
		layout.Product: func(name string, d fs.DirEntry) bool {
			misleading := d.Type()&fs.ModeSymlink != 0 || slices.Contains([]string{".repo", ".rpm", layout.MirrorlistSuffix}, path.Ext(name)) ||
				d.Name() == path.Base(rpmmd.RepomdFile)
			return misleading && !known[name]
		},
	} {
		err := fs.WalkDir(os.DirFS(root), dir, func(name string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist): // removed meanwhile
				return nil
			case err != nil:
				return err
			case strings.HasPrefix(d.Name(), "."): // a publisher's, under way or left behind: repo gc knows them
				if d.IsDir() {
					return fs.SkipDir
				}
			case isStrange(name, d):
				problems = append(problems, fmt.Errorf("%s: it does not belong to the tree", told(name)))
				if len(problems) >= maxProblems {
					return fs.SkipAll
				}
			case d.IsDir() && layout.IsID(d.Name()): // a snapshot, which was looked into
				return fs.SkipDir
			}
			return nil
		})
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}
