package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

func newRepoDiff(f *flags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Show what differs between two repositories",
		Long: `diff shows which packages are added, removed, upgraded and downgraded from A to B,
and which have changed without a new version. A and B are each a channel, the
beginning of a snapshot's id, a folder that holds repodata, or a repository's URL.
Of two channels all targets are compared.`,
		Example: `  ohpc-build repo diff release staging
  ohpc-build repo diff release 1a2b3c --format json
  ohpc-build repo diff https://repos.openhpc.community/OpenHPC/3/EL_9 release --target EL_9`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError("repo diff takes two repositories: channels, snapshots, folders or URLs")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return usageError("--format is text or json, not %q", format)
			}
			pairs, err := f.pairs(cmd, args[0], args[1])
			if err != nil {
				return err
			}
			var all []comparison
			for _, p := range pairs {
				if p.Result, err = compare(cmd.Context(), p.from, p.to); err != nil {
					return err
				}
				all = append(all, p)
			}
			if format == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(map[string]any{"version": 1, "comparisons": all})
			}
			return showComparisons(cmd.OutOrStdout(), all)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// comparison is one target's.
type comparison struct {
	Target string `json:"target,omitempty"`
	A      string `json:"a"`
	B      string `json:"b"`
	*diff.Result
	from, to string // folders or URLs; empty: nothing
}

func compare(ctx context.Context, from, to string) (*diff.Result, error) {
	var sides [2][]diff.Package
	for i, where := range []string{from, to} {
		if where == "" {
			continue
		}
		var err error
		if sides[i], err = diff.Read(ctx, where); err != nil && isAddress(where) {
			return nil, usageError("%w", err)
		} else if err != nil {
			return nil, err
		}
	}
	return diff.Compare(ctx, sides[0], sides[1])
}

// pairs are the repositories to compare.
func (f *flags) pairs(cmd *cobra.Command, a, b string) ([]comparison, error) {
	from, err := f.side(cmd, a)
	if err != nil {
		return nil, err
	}
	to, err := f.side(cmd, b)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(from.take(to), to.take(from)); err != nil {
		return nil, err
	}
	if from.one && to.one && !maps.EqualFunc(from.byTarget, to.byTarget, func(string, string) bool { return true }) {
		return nil, usageError("%s is a snapshot of %s, and %s of %s", a, strings.Join(slices.Collect(maps.Keys(from.byTarget)), ""), b, strings.Join(slices.Collect(maps.Keys(to.byTarget)), ""))
	}
	var targets []string
	for _, s := range []side{from, to} {
		// A snapshot is compared with the other side's one of its target.
		if s.one || !from.one && !to.one {
			targets = slices.AppendSeq(targets, maps.Keys(s.byTarget))
		}
	}
	slices.Sort(targets)
	var all []comparison
	for _, target := range slices.Compact(targets) {
		all = append(all, comparison{Target: target, A: a, B: b, from: from.byTarget[target], to: to.byTarget[target]})
	}
	return all, nil
}

// side is what a name stands for: folders or URLs. The target of one that has none
// is "".
type side struct {
	byTarget map[string]string
	one      bool // not a channel
}

// take takes the target of the other side.
func (s side) take(other side) error {
	where, ok := s.byTarget[""]
	if !ok {
		return nil
	}
	if len(other.byTarget) != 1 {
		return usageError("%s is one repository, and the other side has several: name a --target", where)
	}
	for target := range other.byTarget {
		delete(s.byTarget, "")
		s.byTarget[target] = where
	}
	return nil
}

func (f *flags) side(cmd *cobra.Command, name string) (side, error) {
	_, err := os.Stat(filepath.Join(name, "repodata"))
	if err == nil || isAddress(name) {
		return side{map[string]string{"": name}, true}, nil
	}
	if isPath(name) {
		return side{}, usageError("%s is no repository: %w", name, err)
	}
	tree, err := f.published(cmd, 0, false)
	if err != nil {
		return side{}, err
	}
	defer tree.Close()
	c, err := layout.ParseChannel(name)
	if err == nil {
		return f.channelSide(tree, c)
	}
	s, err := snapshot.Find(f.reposFolder(), name)
	if err != nil {
		return side{}, usageError("%q is no channel, no snapshot (%w), no folder with repodata and no URL", name, err)
	}
	return side{map[string]string{s.Target: s.Dir}, true}, nil
}

// isAddress tells addresses from the names of folders, channels and snapshots.
func isAddress(name string) bool { return diff.IsURL(name) || strings.HasPrefix(name, "file://") }

func (f *flags) channelSide(tree *channel.Tree, c layout.Channel) (side, error) {
	pointers, err := f.pointers(tree, c)
	if err != nil {
		return side{}, err
	}
	byTarget := map[string]string{}
	for _, p := range pointers {
		if _, ok := byTarget[p.Target]; ok {
			return side{}, usageError("channel %s has several releases of %s: name one with --release", c, p.Target)
		}
		s, err := tree.Current(p)
		if err != nil {
			return side{}, err
		}
		byTarget[p.Target] = s.Dir
	}
	return side{byTarget: byTarget}, nil
}

func showComparisons(out io.Writer, all []comparison) error {
	for _, c := range all {
		if c.Target != "" {
			fmt.Fprintf(out, "%s: ", c.Target)
		}
		fmt.Fprintf(out, "%s → %s\n", c.A, c.B)
		if c.Empty() {
			fmt.Fprintln(out, "  no difference")
		}
		for _, l := range c.Lists() {
			if len(l.Changes) > 0 {
				fmt.Fprintf(out, "  %s: %d\n", l.Kind, len(l.Changes))
			}
			for _, change := range l.Changes {
				if _, err := fmt.Fprintf(out, "    %s\n", change); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
