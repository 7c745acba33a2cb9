package upgrade

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
)

// Trial is one upgrade.
type Trial struct {
	Old, New *client.Client
	Name     string // of the check
	Subject  string // what is upgraded to what, for people

	Packages []string // names of what the old repositories have and what is installed first
	Changes  string   // an empty folder for what the trial changes

	Offers Offers // what the new repositories have
}

// Offers is what repositories have for one architecture.
type Offers interface {
	// Newest is the newest version of a package, false when there is none.
	Newest(name, arch string) (rpm.EVR, bool)
	// Obsoletes names a package that takes the place of another, "" when there is none.
	Obsoletes(old client.Installed) string
}

// Run installs packages of the old repositories, and upgrades to the new ones. What was
// installed must be there afterwards in the newest version that these offer, in no older
// one than before, or replaced by what obsoletes it; what they no longer have may stay.
// No requirement of a package may be left without its provider, and no script of a new
// package may fail.
func (t *Trial) Run(ctx context.Context) validate.Check {
	return validate.Run(ctx, t.Name, t.Subject, func(log io.Writer) error { return t.steps(ctx, log) })
}

func (t *Trial) steps(ctx context.Context, log io.Writer) error {
	if len(t.Packages) == 0 {
		return &validate.SkipError{Reason: "the old repository has no packages for this architecture"}
	}
	at := client.Place{Changes: t.Changes}
	system, err := t.Old.Prepare(ctx, at, log)
	if err != nil {
		return err
	}
	before, failed, err := t.Old.Install(ctx, at, t.Packages, log)
	if err != nil {
		return told("the old packages could not be installed: there is nothing to upgrade", err)
	}
	for _, f := range failed {
		fmt.Fprintf(log, "this is so already, and does not count: %s\n", f)
	}
	after, failed, err := t.New.Upgrade(ctx, at, log)
	if err != nil {
		return told("the upgrade failed", err)
	}
	before, after = client.Without(before, system), client.Without(after, system)
	fmt.Fprintf(log, "before: %s\nafter: %s\n", strings.Join(client.Strings(before), " "), strings.Join(client.Strings(after), " "))
	findings := append(scripts(failed, client.Without(before, after), log), t.judge(before, after)...)
	if len(findings) > 0 {
		return &validate.Finding{Text: strings.Join(findings, "\n")}
	}
	if err := t.New.VerifyDependencies(ctx, at, client.Names(after), log); err != nil {
		return told("requirements are not met after the upgrade", err)
	}
	fmt.Fprintf(log, "%d of %d packages changed\n", len(client.Without(before, after)), len(before))
	return nil
}

// scripts tells which scripts failed in an upgrade. Those of what was replaced are
// noted: who has these packages meets them with any upgrade, and no new package can
// mend them.
func scripts(failed []client.Script, replaced []client.Installed, log io.Writer) []string {
	var findings []string
	for _, f := range failed {
		if slices.ContainsFunc(replaced, func(i client.Installed) bool { return f.Package != i.Name && f.Of(i) }) {
			fmt.Fprintf(log, "this is of a package that was replaced, and does not count: %s\n", f)
			continue
		}
		findings = append(findings, f.String())
	}
	return findings
}

// judge tells what is not as it should be after the upgrade.
func (t *Trial) judge(before, after []client.Installed) []string {
	var findings []string
	for _, old := range before {
		at := slices.IndexFunc(after, func(i client.Installed) bool { return i.Name == old.Name && i.Arch == old.Arch })
		if at < 0 { // packages may become noarch, or cease to be
			at = slices.IndexFunc(after, func(i client.Installed) bool { return i.Name == old.Name })
		}
		if at < 0 {
			if t.Offers.Obsoletes(old) == "" {
				findings = append(findings, fmt.Sprintf("%s was removed, and nothing obsoletes it", old))
			}
			continue
		}
		now := after[at]
		newest, offered := t.Offers.Newest(now.Name, now.Arch)
		switch {
		case now.EVR.Compare(old.EVR) < 0:
			findings = append(findings, fmt.Sprintf("%s became %s, which is older", old, now))
		case !offered, now.EVR.Compare(newest) == 0:
		case now.EVR.Compare(newest) > 0:
			findings = append(findings, fmt.Sprintf("%s stays: the new repository has %s, which is older", now, newest))
		default:
			findings = append(findings, fmt.Sprintf("%s was not upgraded to %s", now, newest))
		}
	}
	return findings
}

// told puts an error into what it means for the packages. What kept them from being
// tried at all is no finding.
func told(what string, err error) error {
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return err
}
