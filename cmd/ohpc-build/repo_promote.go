package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/diff"
)

func newRepoPromote(f *flags) *cobra.Command {
	var (
		wait  time.Duration
		allow diff.Allow
	)
	cmd := &cobra.Command{
		Use:   "promote FROM TO",
		Short: "Let a channel point to what another one points to",
		Long: `promote lets the channel TO point to the snapshots of the channel FROM, for all
targets that FROM has or those that --target names. All architectures of a target
move together, and targets one right after the other; when that is interrupted, the
next command completes it.

What --allow-downgrade and the others allow is refused otherwise where TO is release,
updates or staging.`,
		Example: `  ohpc-build repo promote staging release
  ohpc-build repo promote factory staging --target EL_9`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError("repo promote takes two channels, such as staging release")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := parseChannel("FROM", args[0])
			if err != nil {
				return err
			}
			to, err := parseChannel("TO", args[1])
			if err != nil {
				return err
			}
			if from == to {
				return usageError("FROM and TO are both %s", to)
			}
			return f.publishing(cmd, wait, func(tree *channel.Tree) error {
				pointers, err := f.pointers(tree, from)
				if err != nil {
					return err
				}
				var moves []move
				for _, p := range pointers {
					s, err := tree.Current(p)
					if err != nil {
						return err
					}
					m, err := moveTo(tree, to, s, string(from))
					if err != nil {
						return err
					}
					moves = append(moves, m)
				}
				return f.apply(cmd, tree, moves, allow)
			})
		},
	}
	addWait(cmd, &wait)
	addAllow(cmd, &allow)
	return cmd
}
