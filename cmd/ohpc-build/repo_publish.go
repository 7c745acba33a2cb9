package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

func newRepoPublish(f *flags) *cobra.Command {
	var (
		to    string
		wait  time.Duration
		allow diff.Allow
	)
	cmd := &cobra.Command{
		Use:   "publish SNAPSHOT…",
		Short: "Let a channel point to snapshots",
		Long: `publish lets a channel of each snapshot's release and target point to it. Snapshots
are named by the beginning of their ids; matrix makes and publishes them by itself.

The channels are release, updates, staging, factory and pr/<number>. In the first
three, packages do not go, get older, or change without a new version or release,
unless a flag allows it.`,
		Example: `  ohpc-build repo publish 1a2b3c --channel staging
  ohpc-build repo publish EL_9/1a2b Leap_15/9f8e --channel pr/123`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("repo publish takes the ids of snapshots, which matrix tells when it makes them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := parseChannel("--channel", to)
			if err != nil {
				return err
			}
			return f.publishing(cmd, wait, func(tree *channel.Tree) error {
				var moves []move
				taken := map[layout.Pointer]string{}
				for _, name := range args {
					s, err := snapshot.Find(f.reposFolder(), name)
					if err != nil {
						return usageError("%w", err)
					}
					m, err := moveTo(tree, c, s, channel.Made)
					if err != nil {
						return err
					}
					if other, ok := taken[m.Pointer]; ok {
						return usageError("%s and %s are both of %s", other, name, m.Pointer)
					}
					taken[m.Pointer] = name
					moves = append(moves, m)
				}
				return f.apply(cmd, tree, moves, allow)
			})
		},
	}
	cmd.Flags().StringVar(&to, "channel", string(layout.Release), "`channel` to publish in")
	addWait(cmd, &wait)
	addAllow(cmd, &allow)
	return cmd
}
