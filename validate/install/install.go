package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/client"
	"github.com/ohpc-build/ohpc-build/validate/remains"
)

// Trial is one installation.
type Trial struct {
	Client   *client.Client
	Name     string   // of the check
	Subject  string   // what is tried, for people
	Packages []string // names of what is installed together

	// Prepared is where the client was prepared, the uppermost folder first, and Before
	// what was installed there. Below are the folders of the whole system there: those
	// of Prepared, and the image's.
	Prepared []string
	Before   []client.Installed
	Below    []string
	Changes  string // an empty folder for what this trial changes

	// Header finds the header of a package that the repositories have; nil when they
	// do not.
	Header func(client.Installed) *rpm.Package
}

// Run installs the packages, asks rpm whether they are there, and removes all that
// came. No script may fail, the packages that were there before must be there all the
// time, and nothing may be left in the file system but what is the system's own business
// ([remains.OfSystem]), saved configuration, and what the packages own as ghosts.
func (t *Trial) Run(ctx context.Context) validate.Check {
	return validate.Run(ctx, t.Name, t.Subject, func(log io.Writer) error { return t.steps(ctx, log) })
}

func (t *Trial) steps(ctx context.Context, log io.Writer) error {
	at := client.Place{Base: t.Prepared, Changes: t.Changes}
	after, failed, err := t.Client.Install(ctx, at, t.Packages, log)
	if err != nil {
		return said("could not be installed", err)
	}
	if len(failed) > 0 {
		return scriptsFailed("it was installed, and not all of its scripts succeeded:", failed)
	}
	came := client.Without(after, t.Before)
	fmt.Fprintf(log, "installed: %s\n", strings.Join(client.Strings(came), " "))
	if gone := client.Without(t.Before, after); len(gone) > 0 {
		return &validate.Finding{Text: "installing it took away " + list(client.Strings(gone))}
	}
	var missing []string
	for _, name := range t.Packages {
		if !slices.ContainsFunc(came, func(i client.Installed) bool { return i.Name == name }) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return &validate.Finding{Text: "the package manager succeeded, and these are not installed: " + list(missing)}
	}
	return t.remove(ctx, at, came, log)
}

func (t *Trial) remove(ctx context.Context, at client.Place, came []client.Installed, log io.Writer) error {
	after, failed, err := t.Client.Remove(ctx, at, client.Names(came), log)
	if err != nil {
		return said("was installed, and could not be removed", err)
	}
	if len(failed) > 0 {
		return scriptsFailed("it was removed, and not all of its scripts succeeded:", failed)
	}
	if stay := client.Without(after, t.Before); len(stay) > 0 {
		return &validate.Finding{Text: "the package manager succeeded in removing them, and these are installed still: " + list(client.Strings(stay))}
	}
	if gone := client.Without(t.Before, after); len(gone) > 0 {
		return &validate.Finding{Text: "removing it also took away " + list(client.Strings(gone))}
	}
	blame := newBlame(came, t.Header)
	changes, err := remains.Find(ctx, t.Changes, t.Below, remains.Options{
		Expected: func(path string) bool { return remains.OfSystem(path) || blame.expected(path) },
		Owned:    func(path string) bool { return blame.owners[path] != "" },
	})
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		fmt.Fprintln(log, "removed: nothing is left")
		return nil
	}
	lines := make([]string, len(changes))
	for i, c := range changes {
		lines[i] = fmt.Sprintf("%s (%s)", c, blame.of(c.Path))
		fmt.Fprintln(log, lines[i])
	}
	return &validate.Finding{Text: "removing it does not leave the system as it was:\n" + shorten(lines)}
}

// said puts an error into what it means for the packages. What kept them from being
// tried at all is no finding.
func said(what string, err error) error {
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		return fmt.Errorf("it %s: %w", what, err)
	}
	return err
}

// scriptsFailed tells of scripts that a package manager only warns about.
func scriptsFailed(what string, failed []client.Script) error {
	lines := []string{what}
	for _, f := range failed {
		lines = append(lines, f.String())
	}
	return &validate.Finding{Text: shorten(lines)}
}

// maxTold is how many lines a reason has; the log has all.
const maxTold = 20

func shorten(lines []string) string {
	if len(lines) <= maxTold {
		return strings.Join(lines, "\n")
	}
	return fmt.Sprintf("%s\nand %d more: see the log", strings.Join(lines[:maxTold], "\n"), len(lines)-maxTold)
}

func list(names []string) string {
	if len(names) <= maxTold {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxTold], ", "), len(names)-maxTold)
}
