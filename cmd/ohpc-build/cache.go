package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix/cache"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// usualAge is what cache gc removes when it is not told a limit.
const usualAge = 30 * 24 * time.Hour

func newCache(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "What the state folder holds, and how large it may be",
		Long: `The state folder holds images, sources, packages, build roots and answers. All of
it can be got or made again, except for the signing key and the first digests of
addresses in an OpenHPC tree, which cache gc never touches.`,
		Args: subcommand,
		RunE: help,
	}
	cmd.AddCommand(newCacheList(f), newCacheGC(f))
	return cmd
}

func newCacheList(f *flags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what the state folder holds: number, bytes on disk, last use, and what keeps it",
		Long: `List what the state folder holds. Bytes are those on disk, and a file with several
names counts once. ELSEWHERE is how much of them has names outside the store as
well, such as packages of a published repository: removing them from the cache
makes room only when the repository goes too.`,
		Example: `  ohpc-build cache list
  ohpc-build cache list --format json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return usageError("--format is text or json, not %q", format)
			}
			c, err := f.cache()
			if err != nil {
				return err
			}
			list, err := c.List(cmd.Context())
			if err != nil {
				return err
			}
			if format == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(list)
			}
			return printListing(cmd.OutOrStdout(), list, time.Now())
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func newCacheGC(f *flags) *cobra.Command {
	var maxSize, olderThan string
	var limits cache.Limits
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove what was not used for long, or what is too much",
		Long: `Remove from the state folder what was not used for long (--older-than), or as much
as makes it small enough (--max-size): the least recently used first, and of one
day what is made again soonest first. Without either, what was not used for 30 days
goes. What is worth nothing, such as a result whose packages are gone, always goes.

What was used since a running ohpc-build began stays. The signing key and the
digests of addresses are never removed.`,
		Example: `  ohpc-build cache gc --max-size 20GiB
  ohpc-build cache gc --older-than 14d --dry-run`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := readLimits(&limits, maxSize, olderThan); err != nil {
				return err
			}
			c, err := f.cache()
			if err != nil {
				return err
			}
			done, err := c.Collect(cmd.Context(), limits)
			if err != nil {
				return err
			}
			return printCollection(cmd.OutOrStdout(), done, limits)
		},
	}
	cmd.Flags().StringVar(&maxSize, "max-size", "", "the `size` that the state folder may have on disk, such as 20GiB")
	cmd.Flags().StringVar(&olderThan, "older-than", "", "remove what was not used for that `time`, such as 30d or 12h")
	cmd.Flags().BoolVar(&limits.DryRun, "dry-run", false, "only say what would be removed")
	return cmd
}

// cache opens the state folder that there is; none is made.
func (f *flags) cache() (*cache.Cache, error) {
	// An ordinary user's layers have files of the users inside.
	state, err := f.stateFolder()
	if err != nil {
		return nil, err
	}
	c, err := cache.Open(state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageError("nothing is cached: %w", err)
	}
	return c, err
}

func readLimits(limits *cache.Limits, maxSize, olderThan string) error {
	if maxSize != "" {
		var size recipes.Size
		if err := size.UnmarshalText([]byte(maxSize)); err != nil || size <= 0 {
			return usageError("--max-size is a whole number with a unit, such as 500MiB or 20GiB, not %q", maxSize)
		}
		limits.MaxBytes = int64(size)
	}
	switch {
	case olderThan != "":
		age, err := parseAge(olderThan)
		if err != nil {
			return err
		}
		limits.OlderThan = age
	case maxSize == "":
		limits.OlderThan = usualAge
	}
	return nil
}

// parseAge reads days, which [time.ParseDuration] does not know, or a duration.
func parseAge(text string) (time.Duration, error) {
	const longest = 36500 // days, a century
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= longest {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if age, err := time.ParseDuration(text); err == nil && age > 0 {
		return age, nil
	}
	return 0, usageError("--older-than is a time such as 30d, 36h or 90m, not %q", text)
}

func printListing(w io.Writer, list *cache.Listing, now time.Time) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "WHAT\tNUMBER\tSIZE\tELSEWHERE\tLAST USED\tLONGEST UNUSED\tKEPT BY")
	for _, g := range list.Groups {
		number := strconv.Itoa(g.Number)
		if g.Fixed {
			number = "-"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", g.Name, number, size(g.Bytes), size(g.Elsewhere), ago(now, g.Newest), ago(now, g.Oldest), g.KeptBy)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, warning := range list.Warnings {
		fmt.Fprintf(w, "note: %s\n", warning)
	}
	_, err := fmt.Fprintf(w, "%s takes %s; its file system has %s free\n", list.State, size(list.Bytes), size(list.Free))
	return err
}

func printCollection(w io.Writer, done *cache.Collection, limits cache.Limits) error {
	verb := "removed"
	if limits.DryRun {
		verb = "would be removed"
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range done.Groups {
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\n", g.Name, g.Number, size(g.Bytes), verb)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, warning := range done.Warnings {
		fmt.Fprintf(w, "note: %s\n", warning)
	}
	if done.Elsewhere > 0 {
		fmt.Fprintf(w, "%s of it have names elsewhere, in published repositories, and are free when these are gone too\n", size(done.Elsewhere))
	}
	if done.InUse > 0 {
		fmt.Fprintf(w, "%s stay because a running ohpc-build may need them\n", size(done.InUse))
	}
	if !done.Reached {
		fmt.Fprintf(w, "the state folder is still larger than %s: what is left is in use or is never removed\n", size(limits.MaxBytes))
	}
	_, err := fmt.Fprintf(w, "%s before, %s after\n", size(done.Before), size(done.After))
	return err
}

// size is a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/unit, 0
	for ; value >= unit && i < 3; i++ {
		value /= unit
	}
	return fmt.Sprintf("%.1f %s", value, [...]string{"KiB", "MiB", "GiB", "TiB"}[i])
}

// ago says how long ago something was, as exactly as marks of use are.
func ago(now time.Time, at *time.Time) string {
	switch {
	case at == nil:
		return "-"
	case now.Sub(*at) < 24*time.Hour:
		return "today"
	case now.Sub(*at) < 48*time.Hour:
		return "yesterday"
	}
	return fmt.Sprintf("%d days ago", int(now.Sub(*at)/(24*time.Hour)))
}
