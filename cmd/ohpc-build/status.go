package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix/standing"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
)

func newStatus(f *flags) *cobra.Command {
	var of, format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell which published cells are supported, and what the others lack",
		Long: `status tells the standing of each cell of what is published in a channel: supported
when all checks that its target requires are green, tech preview otherwise, with what
is missing. It is what was found when the snapshot was made, which is published beside
the repository as <target>.status.json and packed into ohpc-release. A cell that an
overlay left as it was keeps the standing that it had, with the snapshot it was tried in.

Exit status: 0 it was told, 1 some of it cannot be read, 2 nothing is published there or the command line is wrong.`,
		Example: `  ohpc-build status
  ohpc-build status --channel staging --target EL_9 --format json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return usageError("--format is text or json, not %q", format)
			}
			c, err := parseChannel("--channel", of)
			if err != nil {
				return err
			}
			tree, err := f.published(cmd, 0, false)
			if err != nil {
				return err
			}
			defer tree.Close()
			pointers, err := f.pointers(tree, c)
			if err != nil {
				return err
			}
			var all []publishedStatus
			var damaged []error // which does not keep the others from being told
			for _, p := range pointers {
				if s, err := statusOf(tree, p); err != nil {
					damaged = append(damaged, err)
				} else {
					all = append(all, s)
				}
			}
			failed := errors.Join(damaged...)
			if len(all) == 0 {
				return failed
			}
			if all, err = ofArchitectures(all, f.architectures); err != nil {
				return errors.Join(failed, err)
			}
			if format == "json" {
				err = reportJSON(struct {
					Version int               `json:"version"`
					Targets []publishedStatus `json:"targets"`
				}{1, all}, cmd.OutOrStdout())
			} else {
				err = statusText(all, cmd.OutOrStdout())
			}
			return errors.Join(err, failed)
		},
	}
	cmd.Flags().StringVar(&of, "channel", string(layout.Release), "`channel` whose status is told")
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// publishedStatus is what is published of one target.
type publishedStatus struct {
	Target    string             `json:"target"`
	Release   string             `json:"release"`
	Channel   string             `json:"channel"`
	Snapshot  string             `json:"snapshot"`
	Packages  int                `json:"packages"`
	Arches    []string           `json:"architectures"` // of which a cell that was never validated is not in the status
	Published time.Time          `json:"published,omitzero"`
	Status    *standing.Document `json:"status"` // null: it was never validated
}

func statusOf(tree *channel.Tree, p layout.Pointer) (publishedStatus, error) {
	current, err := tree.Current(p)
	if err != nil {
		return publishedStatus{}, err
	}
	s := publishedStatus{Target: p.Target, Release: p.Release, Channel: string(p.Channel), Snapshot: current.ID, Packages: current.Packages, Arches: current.Arches}
	entries, err := tree.History(p)
	if err != nil {
		return s, err
	}
	if n := len(entries); n > 0 {
		s.Published = entries[n-1].Time
	}
	d, known, err := standing.Published(tree, p)
	if err != nil {
		return s, err
	}
	if known && d.Snapshot == current.ID {
		s.Status = &d
	}
	return s, nil
}

// ofArchitectures leaves what is of some architectures; none: of all. That there is
// nothing of one is a mistake: the last cell of it may have gone.
func ofArchitectures(all []publishedStatus, wanted []string) ([]publishedStatus, error) {
	if len(wanted) == 0 {
		return all, nil
	}
	var known []string
	var left []publishedStatus
	for _, s := range all {
		known = append(known, s.Arches...)
		unwanted := func(arch string) bool { return !slices.Contains(wanted, arch) }
		if s.Arches = slices.DeleteFunc(slices.Clone(s.Arches), unwanted); len(s.Arches) == 0 {
			continue
		}
		if s.Status != nil {
			s.Status.Cells = slices.DeleteFunc(s.Status.Cells, func(c standing.Cell) bool { return unwanted(c.Arch) })
		}
		left = append(left, s)
	}
	for _, arch := range wanted {
		if !slices.Contains(known, arch) {
			slices.Sort(known)
			return nil, usageError("nothing is published there for --arch %s; it is for %s", arch, harmless(strings.Join(slices.Compact(known), ", ")))
		}
	}
	return left, nil
}

func statusText(all []publishedStatus, w io.Writer) error {
	var b strings.Builder
	for i, s := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s %s %s: %s in snapshot %s, published %s\n", s.Target, s.Release, s.Channel, plural(s.Packages, "package"), s.Snapshot, s.Published.Format(time.DateTime))
		if s.Status == nil {
			b.WriteString("  it was never validated, or by an earlier version of the program\n")
			continue
		}
		untold := slices.Clone(s.Arches)
		for _, c := range s.Status.Cells {
			untold = slices.DeleteFunc(untold, func(arch string) bool { return arch == c.Arch })
			when := s.Status.Validated.Format(time.DateTime)
			if c.Snapshot != "" {
				when = c.Validated.Format(time.DateTime) + " in snapshot " + harmless(c.Snapshot)
			}
			fmt.Fprintf(&b, "  %-8s  %s, validated %s\n", harmless(c.Arch), harmless(string(c.Status)), when)
			for _, m := range c.Missing {
				b.WriteString("            missing: " + harmless(m) + "\n")
			}
		}
		for _, arch := range untold {
			fmt.Fprintf(&b, "  %-8s  it was never validated\n", harmless(arch))
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("printing the status: %w", err)
	}
	return nil
}
