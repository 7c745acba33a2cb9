package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
)

func newValidateAll(f *flags) *cobra.Command {
	p := &packagesFlags{}
	cmd := &cobra.Command{
		Use:   "all --repo DIR|URL",
		Short: "All checks of a repository that anybody made, with a report",
		Long: `all checks a repository as matrix checks its own snapshots: closure, signatures,
content, install and the recipes' tests (suite), and upgrade when there is something to
upgrade from (--from, or --base for an overlay). See the command of each check for what it does. A check that
fails does not keep the others from being run.

It prints a table of the checks by cell, and writes a report into <out>/validate:
index.html, matrix.json, junit.xml and the logs. What the last run of matrix left in
<out>/report stays. ohpc-build report --dir <out>/validate prints it in other forms.

Exit status: 0 all green, 1 a check failed, 2 a repository or the key cannot be read or
the command line is wrong, 3 the host lacks something.`,
		Example: `  ohpc-build validate all --repo out/repos/OpenHPC/3/Debian_12 --target Debian_12
  ohpc-build validate all --repo https://example.org/OpenHPC/3/EL_9 --target EL_9 --arch x86_64 --key RPM-GPG-KEY-OpenHPC-3`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := f.trustedKey(p.key)
			if err != nil {
				return err
			}
			return p.all(cmd, f, key)
		},
	}
	p.add(cmd)
	p.addKey(cmd)
	p.addBase(cmd)
	p.addFrom(cmd)
	p.addSuiteTree(cmd)
	return cmd
}

func (p *packagesFlags) all(cmd *cobra.Command, f *flags, key []byte) error {
	checks := []string{"closure", "signatures", "content", "install", "suite"}
	if p.from != "" || p.base != "" {
		checks = append(checks, "upgrade")
	}
	m, foreign, err := p.prepare(cmd, f, key, checks...)
	if err != nil {
		return err
	}
	r, err := m.CheckAndReport(cmd.Context(), foreign)
	if p.format == "text" {
		err = f.concludeIn(cmd, filepath.Join(f.out, matrix.ValidateFolder), r, err)
		return errors.Join(err, skippedText(r.Checks, cmd.OutOrStdout()))
	}
	if jerr := reportJSON(struct {
		Version int            `json:"version"`
		Checks  []report.Check `json:"checks"`
	}{1, r.Checks}, cmd.OutOrStdout()); jerr != nil {
		return jerr
	}
	return err
}

// skippedText tells why checks were skipped.
func skippedText(checks []report.Check, w io.Writer) error {
	var b strings.Builder
	for _, c := range checks {
		if c.Result == report.Skip {
			fmt.Fprintf(&b, "%s/%s: %s of %s was skipped: %s\n", c.Target, c.Arch, c.Name, c.Subject, harmless(c.Reason))
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return nil
}
