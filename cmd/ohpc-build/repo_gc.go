package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/repo/channel"
)

func newRepoGC(f *flags) *cobra.Command {
	var (
		r       channel.Retention
		drop    []string
		removal bool
		wait    time.Duration
	)
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove snapshots that nobody needs",
		Long: `gc removes snapshots that no channel points to, that are not among the last --keep
of a channel's history, and that were neither made nor any channel's current one
within the time that --retain names: clients may still be reading them. What
interrupted runs left behind is removed too.

--drop ends a channel, such as that of a merged pull request: its clients find nothing
any more. Of release, updates and staging it wants --allow-removal too.`,
		Example: `  ohpc-build repo gc --dry-run
  ohpc-build repo gc --keep 5 --retain 72h
  ohpc-build repo gc --drop pr/123`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.Keep < 0 || r.Retain < 0 {
				return usageError("--keep and --retain cannot be negative")
			}
			if r.DryRun && len(drop) > 0 {
				return usageError("--drop cannot be tried with --dry-run")
			}
			tree, err := f.published(cmd, wait, !r.DryRun)
			if err != nil {
				return err
			}
			defer tree.Close()
			for _, name := range drop {
				if err := f.drop(cmd, tree, name, removal); err != nil {
					return err
				}
			}
			done, err := tree.Collect(cmd.Context(), r)
			if err != nil && len(done.Snapshots)+len(done.Leftovers)+done.Kept == 0 {
				return err // nothing was looked at
			}
			return errors.Join(err, showCollected(cmd, done, r.DryRun))
		},
	}
	cmd.Flags().IntVar(&r.Keep, "keep", 3, "`how many` snapshots before the current one each channel can be rolled back to")
	cmd.Flags().DurationVar(&r.Retain, "retain", channel.DefaultRetain, "for how `long` a snapshot stays after it was last used")
	cmd.Flags().BoolVar(&r.DryRun, "dry-run", false, "only tell what would be removed")
	cmd.Flags().StringSliceVar(&drop, "drop", nil, "`channel` to end; may be repeated")
	cmd.Flags().BoolVar(&removal, "allow-removal", false, "end a channel although people install from it")
	addWait(cmd, &wait)
	return cmd
}

func (f *flags) drop(cmd *cobra.Command, tree *channel.Tree, name string, removal bool) error {
	c, err := parseChannel("--drop", name)
	if err != nil {
		return err
	}
	pointers, err := f.pointers(tree, c)
	if err != nil {
		return err
	}
	if c.Guarded() && !removal {
		return fmt.Errorf("not dropped, because people install from it: %s; if that is meant, give --allow-removal", list(pointers))
	}
	for _, p := range pointers {
		if err := tree.Drop(cmd.Context(), p); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: dropped\n", p); err != nil {
			return err
		}
	}
	return nil
}

func showCollected(cmd *cobra.Command, done channel.Collected, dryRun bool) error {
	out := cmd.OutOrStdout()
	did := "removed"
	if dryRun {
		did = "would be removed"
	}
	for _, s := range done.Snapshots {
		fmt.Fprintf(out, "%s/%s: %s, %s\n", s.Target, s.ID, plural(s.Packages, "package"), did)
	}
	for _, name := range done.Leftovers {
		fmt.Fprintf(out, "%s: left by an interrupted run, %s\n", name, did)
	}
	what := "nothing"
	if n := len(done.Snapshots); n > 0 {
		what = plural(n, "snapshot")
	}
	_, err := fmt.Fprintf(out, "%s %s, %s kept\n", what, did, plural(done.Kept, "snapshot"))
	return err
}
