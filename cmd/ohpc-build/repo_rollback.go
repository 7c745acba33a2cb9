package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

func newRepoRollback(f *flags) *cobra.Command {
	var (
		to   string
		wait time.Duration
	)
	cmd := &cobra.Command{
		Use:   "rollback CHANNEL",
		Short: "Let a channel point to the snapshot that it had before",
		Long: `rollback lets a channel point to the snapshots that it had before the current ones,
for all its targets or those that --target names. A second rollback goes one step
further back. --to names a snapshot of the channel's history, however old or new.
How far back one can go is what repo gc leaves.`,
		Example: `  ohpc-build repo rollback release
  ohpc-build repo rollback release --target EL_9 --to 1a2b3c`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("repo rollback takes one channel, such as release")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := parseChannel("CHANNEL", args[0])
			if err != nil {
				return err
			}
			return f.publishing(cmd, wait, func(tree *channel.Tree) error {
				pointers, err := f.pointers(tree, c)
				if err != nil {
					return err
				}
				var moves []move
				for _, p := range pointers {
					id, err := rollbackGoal(tree, p, to)
					if err != nil {
						return err
					}
					if id == "" {
						continue
					}
					s, err := snapshot.Open(f.reposFolder(), p.Target, id)
					if err != nil {
						return err
					}
					m, err := moveTo(tree, c, s, channel.RolledBack)
					if err != nil {
						return err
					}
					moves = append(moves, m)
				}
				if len(moves) == 0 {
					return usageError("no snapshot that begins with %s was ever in channel %s%s; ohpc-build repo publish lets it point to any", to, c, f.restriction())
				}
				// Whoever rolls back wants older packages.
				return f.apply(cmd, tree, moves, diff.Allow{Downgrade: true, Removal: true, Changed: true, TechPreview: true})
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "beginning of the `id` of the snapshot (default: the one before the current)")
	addWait(cmd, &wait)
	return cmd
}

// rollbackGoal is the snapshot that a channel goes back to; empty when it never had
// the one that was asked for.
func rollbackGoal(tree *channel.Tree, p layout.Pointer, to string) (string, error) {
	entries, err := tree.History(p)
	if err != nil {
		return "", err
	}
	if to == "" {
		e, ok := channel.Previous(entries)
		if !ok {
			return "", usageError("%s had no other snapshot before; --target names those that had, --to a snapshot of the history", p)
		}
		return e.ID, nil
	}
	var found []string
	for _, e := range entries {
		if strings.HasPrefix(e.ID, to) && !slices.Contains(found, e.ID) {
			found = append(found, e.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", usageError("--to %s is the beginning of %s; give more digits", to, strings.Join(found, ", "))
}
