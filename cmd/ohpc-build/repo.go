package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix/standing"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

func newRepo(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repo",
		Short: "Published repositories",
		Args:  subcommand,
		RunE:  help,
	}
	cmd.AddCommand(
		newRepoCreate(f), newRepoPublish(f), newRepoPromote(f), newRepoRollback(f), newRepoDiff(f), newRepoVerify(f), newRepoGC(f), newRepoServe(f), newRepoDist(f), newRepoPush(f),
	)
	return cmd
}

// reposFolder is where repositories are published.
func (f *flags) reposFolder() string { return filepath.Join(f.out, "repos") }

// published opens the tree of published repositories. What an interrupted publish
// left to do is done first when the command changes something.
func (f *flags) published(cmd *cobra.Command, wait time.Duration, changes bool) (*channel.Tree, error) {
	log, err := f.logger()
	if err != nil {
		return nil, err
	}
	tree, err := channel.Open(f.reposFolder(), channel.Options{Wait: wait, Log: log})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, usageError("%w; ohpc-build matrix publishes there, --out names another folder", err)
	}
	if err == nil && changes {
		err = tree.Recover(cmd.Context())
	}
	return tree, err
}

// publishing calls fn with the tree of published repositories, which nobody else changes
// meanwhile: others are waited for once, for as long as the user says.
func (f *flags) publishing(cmd *cobra.Command, wait time.Duration, fn func(*channel.Tree) error) error {
	tree, err := f.published(cmd, wait, false)
	if err != nil {
		return err
	}
	defer tree.Close()
	return tree.Hold(cmd.Context(), fn)
}

// pointers are those of a channel that the flags ask for.
func (f *flags) pointers(tree *channel.Tree, c layout.Channel) ([]layout.Pointer, error) {
	all, err := tree.Pointers()
	if err != nil {
		return nil, err
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(p layout.Pointer) bool {
		return p.Channel != c || len(f.targets) > 0 && !slices.Contains(f.targets, p.Target) || f.release != "" && p.Release != f.release
	})
	if len(chosen) == 0 {
		return nil, usageError("nothing is published in channel %s of %s%s; published there: %s", c, f.reposFolder(), f.restriction(), list(all))
	}
	return chosen, nil
}

// restriction is what the flags say of pointers, for messages.
func (f *flags) restriction() string {
	var s string
	if len(f.targets) > 0 {
		s += " for --target " + strings.Join(f.targets, ",")
	}
	if f.release != "" {
		s += " for --release " + f.release
	}
	return s
}

// list names some of the pointers that there are.
func list(pointers []layout.Pointer) string {
	const most = 8
	var names []string
	for i, p := range pointers {
		if i == most {
			names = append(names, fmt.Sprintf("%d more", len(pointers)-most))
			break
		}
		names = append(names, p.String())
	}
	return cmp.Or(strings.Join(names, ", "), "nothing (ohpc-build repo publish lets a channel point to a snapshot)")
}

// move is what a channel is about to be given.
type move struct {
	channel.Move
	before, after snapshot.Snapshot
}

// moveTo lets a channel of the snapshot's release and target point to it.
func moveTo(tree *channel.Tree, c layout.Channel, s snapshot.Snapshot, from string) (move, error) {
	m := move{Move: channel.Move{Pointer: layout.Pointer{Release: s.Release, Channel: c, Target: s.Target}, To: s.ID, From: from}, after: s}
	before, err := tree.Current(m.Pointer)
	if err == nil {
		m.Was, m.before = before.ID, before
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return m, err
}

// apply moves channels of a tree that is held, unless that would harm their clients, and
// tells it.
func (f *flags) apply(cmd *cobra.Command, tree *channel.Tree, moves []move, allow diff.Allow) error {
	var refused []error
	for _, m := range moves {
		if !m.Pointer.Channel.Guarded() || m.Was == "" || m.Was == m.To {
			continue
		}
		d, err := diff.Snapshots(cmd.Context(), m.before, m.after)
		if err != nil {
			return err
		}
		refused = append(refused, d.Refuse(m.Pointer.String(), allow))
		if !allow.TechPreview {
			refused = append(refused, standing.Guard(tree, m.Pointer, m.Was, m.To))
		}
	}
	if err := errors.Join(refused...); err != nil {
		return err
	}
	var all []channel.Move
	for _, m := range moves {
		all = append(all, m.Move)
		if first, err := f.firstUpdates(cmd, tree, m); err != nil {
			return err
		} else if first != nil {
			all = append(all, *first)
		}
	}
	if err := tree.Move(cmd.Context(), all...); err != nil {
		return err
	}
	for _, m := range moves {
		what := "before: " + cmp.Or(m.Was, "nothing")
		if m.Was == m.To {
			what = "as before"
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %s (%s)\n", m.Pointer, m.To, plural(m.after.Packages, "package"), what); err != nil {
			return err
		}
	}
	return nil
}

// firstUpdates is an empty repository of updates for the clients of a release that
// has none yet: zypper fails where it finds nothing.
func (f *flags) firstUpdates(cmd *cobra.Command, tree *channel.Tree, m move) (*channel.Move, error) {
	at := m.Pointer
	at.Channel = layout.Updates
	if m.Pointer.Channel != layout.Release {
		return nil, nil //nolint:nilnil // nothing to be done is no error
	}
	if _, err := tree.Current(at); !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	_, key, err := f.existingKey()
	if err != nil {
		return nil, fmt.Errorf("the repository of updates of %s cannot be begun, and the release's clients look there: %w", at.Target, err)
	}
	s, err := publish.Empty(cmd.Context(), key, m.after, tree.Lock())
	if err != nil {
		return nil, err
	}
	return &channel.Move{Pointer: at, To: s.ID, From: channel.Made}, nil
}

// addWait adds the flag of commands that change what is published.
func addWait(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", time.Minute, "how long to wait for another `command` that publishes")
}

// addAllow adds the flags that let clients be harmed.
func addAllow(cmd *cobra.Command, allow *diff.Allow) {
	cmd.Flags().BoolVar(&allow.Downgrade, "allow-downgrade", false, "publish although packages are older than those that are published")
	cmd.Flags().BoolVar(&allow.Removal, "allow-removal", false, "publish although packages are gone")
	cmd.Flags().BoolVar(&allow.Changed, "allow-changed", false, "publish although packages have changed and their version and release have not")
	addTechPreview(cmd, allow)
}

func addTechPreview(cmd *cobra.Command, allow *diff.Allow) {
	cmd.Flags().BoolVar(&allow.TechPreview, strings.TrimPrefix(standing.AllowFlag, "--"), false, "publish although checks have failed, or a cell that was supported would be a tech preview")
}

func parseChannel(what, name string) (layout.Channel, error) {
	c, err := layout.ParseChannel(name)
	if err != nil {
		return "", usageError("%s: %w", what, err)
	}
	return c, nil
}

// trusted are the keys in a file, or the signing key and those that it replaced.
func (f *flags) trusted(keyFile string) (*sign.Keyring, error) {
	if keyFile == "" {
		_, key, err := f.existingKey()
		if err != nil {
			return nil, err
		}
		return key.Published(), nil
	}
	file, err := os.Open(keyFile)
	if err != nil {
		return nil, usageError("--key: %w", err)
	}
	defer file.Close()
	keyring, err := sign.ReadKeyring(file)
	if err != nil {
		return nil, usageError("--key %s: %w; ohpc-build key export prints such a file", keyFile, err)
	}
	return keyring, nil
}

// isPath tells a folder's name from a channel's and a snapshot's.
func isPath(s string) bool {
	return filepath.IsAbs(s) || strings.HasPrefix(s, ".")
}
