package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/recipes/snapshot"
)

// bumped is how much of the upstream log a bump shows.
const bumped = 50

func newRecipeBump(f *flags) *cobra.Command {
	var ref, commit string
	cmd := &cobra.Command{
		Use:   "bump RECIPE",
		Short: "Move the source tree that a recipe follows to another commit",
		Long: `bump looks up a branch, tag or commit in the upstream repository that a recipe
follows, writes it into the lock of the pin (pins/NAME.yaml of the catalogue), and
shows the upstream log between the old commit and the new one. All recipes of the
same source tree move with it. RECIPE may also be the name of the pin.

Without --ref and --commit the pin's branch is followed. The lock has the full
commit, its date, the newest release in its history, the number of commits since,
and the version that specs have as %{pin_version}:

  3.8~git20170829.74ad08d       before the release that the pin names as next
  3.7^git20170829.74ad08d       after release 3.7
  3.7^12.git20170829.74ad08d    where the day alone does not tell what came first`,
		Example: `  ohpc-build recipe bump warewulf --catalog recipes --ref development
  ohpc-build recipe bump warewulf --catalog recipes --commit 74ad08d`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("recipe bump takes one recipe: ohpc-build recipe list shows them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if ref != "" && commit != "" {
				return usageError("--ref and --commit exclude each other")
			}
			return f.bump(cmd, args[0], ref, commit)
		},
	}
	cmd.Flags().StringVar(&ref, "ref", "", "`branch or tag` to move to (default: the pin's branch)")
	cmd.Flags().StringVar(&commit, "commit", "", "`hash` of the commit to move to; its first digits are enough")
	return cmd
}

func (f *flags) bump(cmd *cobra.Command, name, ref, commit string) error {
	ctx := cmd.Context()
	dir, err := f.ownCatalog()
	if err != nil {
		return err
	}
	c, err := load.ToBump(dir)
	if err != nil {
		return &statusError{exitUsage, err}
	}
	pin, err := pinOf(c, name)
	if err != nil {
		return &statusError{exitUsage, err}
	}
	if ref == "" && commit == "" && pin.Branch == "" {
		return usageError("pin %s follows no branch: say where to with --ref or --commit, or write branch: into %s", pin.Name, pinFile(dir, pin))
	}
	state, err := f.stateFolder()
	if err != nil {
		return err
	}
	repository, err := snapshot.Open(ctx, filepath.Join(state, "git"), pin.URL, snapshot.WithLocal("."))
	if err != nil {
		return err
	}
	var to snapshot.Commit
	if commit != "" {
		to, err = repository.Commit(ctx, commit)
	} else {
		to, err = repository.Ref(cmp.Or(ref, pin.Branch))
	}
	var unknown *snapshot.UnknownError
	var ambiguous *snapshot.AmbiguousError
	if errors.As(err, &unknown) || errors.As(err, &ambiguous) {
		return &statusError{exitUsage, err}
	}
	if err != nil {
		return err
	}
	lock, err := repository.Lock(ctx, to, pin.Next)
	if err != nil {
		return err
	}
	if err := snapshot.Write(dir, pin.Name, lock); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	printBump(out, dir, c, pin, lock)
	if pin.Lock == nil || pin.Lock.Commit == lock.Commit {
		return nil
	}
	log, err := repository.Log(ctx, pin.Lock.Commit, lock.Commit, bumped)
	if errors.As(err, &unknown) {
		fmt.Fprintf(out, "\nNo upstream log: %v. It was rewritten there, or the lock was edited.\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	printLog(out, log)
	return nil
}

// pinOf is the pin that a recipe follows, or that has the name itself.
func pinOf(c *recipes.Catalog, name string) (*recipes.Pin, error) {
	r, notFound := c.Recipe(name)
	if notFound == nil && r.Pin != nil {
		return r.Pin, nil
	}
	if p, err := c.Pin(name); err == nil {
		return p, nil
	}
	if notFound != nil {
		return nil, notFound
	}
	return nil, fmt.Errorf("recipe %s follows no source tree: none of its sources is a git: with a pin: in %s/recipe.yaml", name, r.Dir)
}

func pinFile(dir string, p *recipes.Pin) string { return filepath.Join(dir, "pins", p.Name+".yaml") }

func printBump(w io.Writer, dir string, c *recipes.Catalog, pin *recipes.Pin, lock *recipes.Lock) {
	switch old := pin.Lock; {
	case old == nil:
		fmt.Fprintf(w, "%s: %s\n", pinFile(dir, pin), lock.Version)
	case *old == *lock:
		fmt.Fprintf(w, "%s: %s, as before\n", pinFile(dir, pin), lock.Version)
	case old.Commit == lock.Commit:
		fmt.Fprintf(w, "%s: %s, the same commit as before; the rest of the lock was not what the repository says, and is written anew\n", pinFile(dir, pin), lock.Version)
	default:
		fmt.Fprintf(w, "%s: %s (was %s)\n", pinFile(dir, pin), lock.Version, old.Version)
	}
	release := "no release before it"
	if lock.Tag != "" {
		release = fmt.Sprintf("%s after %s", plural(lock.Since, "commit"), lock.Tag)
	}
	fmt.Fprintf(w, "commit %s of %s, %s\n", lock.Commit, lock.Date.UTC().Format("2006-01-02 15:04:05 UTC"), release)
	var names []string
	for _, r := range c.Followers(pin) {
		names = append(names, r.Name)
	}
	if len(names) > 0 {
		fmt.Fprintf(w, "followed by %s\n", strings.Join(names, ", "))
	}
}

func printLog(w io.Writer, log *snapshot.Log) {
	fmt.Fprintf(w, "\nUpstream log, %s:\n", plural(log.Total, "commit"))
	for _, c := range log.Commits {
		fmt.Fprintf(w, "  %s %s %s\n", c.Hash[:7], c.Date.Format("2006-01-02"), c.Subject)
	}
	if more := log.Total - len(log.Commits); more > 0 {
		fmt.Fprintf(w, "  and %d older\n", more)
	}
	if log.Left > 0 {
		fmt.Fprintf(w, "The new commit does not follow the old one: %s left behind. Packages of the old version may sort as newer.\n", plural(log.Left, "commit"))
	}
}
