package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

func newValidate(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Checks of repositories",
		Args:  subcommand,
		RunE:  help,
	}
	cmd.AddCommand(newValidateClosure(f))
	return cmd
}

// closureFlags are the flags of validate closure.
type closureFlags struct {
	repos, bases, provided []string
	format                 string
}

func newValidateClosure(f *flags) *cobra.Command {
	c := &closureFlags{}
	cmd := &cobra.Command{
		Use:   "closure --repo DIR|URL",
		Short: "Check that each package's requirements have a provider",
		Long: `closure reads repositories' metadata and looks, for each architecture, for a
provider of each requirement of each binary package: in the repositories under
test (--repo), in those that they are for (--base), and in what else the base
system is known to hold (--provided). Files and rich dependencies count; nothing
is downloaded but metadata, which are verified against repomd.xml. Signatures
are not verified: see repo verify.

A line tells for each requirement that is not met the architecture, the package,
the requirement, and the nearest thing that there is.

Exit status: 0 all requirements are met, 1 some are not, 2 the repositories
cannot be read or the command line is wrong.`,
		Example: `  ohpc-build validate closure --repo out/repos/OpenHPC/3/Debian_12 --provided distro-bridge-12-1.x86_64.rpm
  ohpc-build validate closure --repo https://example.org/OpenHPC/3/EL_9 --repo https://example.org/OpenHPC/3/updates/EL_9 \
    --base https://example.org/9/BaseOS/x86_64/os --base https://example.org/9/AppStream/x86_64/os --arch x86_64`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(c.repos) == 0 {
				return usageError("validate closure needs at least one --repo: a folder or URL that holds repodata")
			}
			if c.format != "text" && c.format != "json" {
				return usageError("--format is text or json, not %q", c.format)
			}
			report, err := c.check(cmd.Context(), f.architectures)
			if err != nil {
				return &statusError{exitUsage, err}
			}
			if report.Packages == 0 {
				return usageError("%s: there is no binary package to check%s", strings.Join(c.repos, ", "), forArchitectures(f.architectures))
			}
			if c.format == "json" {
				err = closureJSON(report, cmd.OutOrStdout())
			} else {
				err = c.text(report, cmd.OutOrStdout())
			}
			if err == nil && len(report.Missing) > 0 {
				err = fmt.Errorf("%s not met", plural(len(report.Missing), "requirement"))
			}
			return err
		},
	}
	cmd.Flags().StringArrayVar(&c.repos, "repo", nil, "repository to check, a `folder or URL` that holds repodata; may be repeated")
	cmd.Flags().StringArrayVar(&c.bases, "base", nil, "repository that the checked ones are for, a `folder or URL`; may be repeated")
	cmd.Flags().StringArrayVar(&c.provided, "provided", nil, "`file` with what the base system provides: lines as of rpm -qa --provides, or a package; may be repeated")
	cmd.Flags().StringVar(&c.format, "format", "text", "text or json")
	return cmd
}

func (c *closureFlags) check(ctx context.Context, architectures []string) (*closure.Report, error) {
	opt := closure.Options{Architectures: architectures}
	for _, location := range c.repos {
		r, err := repodata.Open(ctx, location)
		if err != nil {
			return nil, err
		}
		opt.Tested = append(opt.Tested, r)
	}
	for _, location := range c.bases {
		r, err := repodata.Open(ctx, location)
		if err != nil {
			return nil, err
		}
		opt.Base = append(opt.Base, r)
	}
	for _, path := range c.provided {
		list, err := readProvided(path)
		if err != nil {
			return nil, err
		}
		opt.Base = append(opt.Base, list)
	}
	return closure.Check(ctx, opt)
}

// leadMagic is what every package begins with.
const leadMagic = "\xed\xab\xee\xdb"

// readProvided reads a package's header, or lines.
func readProvided(path string) (*closure.List, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading what is provided: %w", err)
	}
	defer file.Close()
	magic := make([]byte, len(leadMagic))
	n, err := io.ReadFull(file, magic)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("reading what is provided: %w", err)
	}
	if string(magic) != leadMagic {
		return closure.ReadProvided(path, io.MultiReader(bytes.NewReader(magic[:n]), file))
	}
	p, err := rpm.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading what is provided: %s: %w", path, err)
	}
	return &closure.List{Name: path, Of: []closure.Package{closure.FromHeader(p, path)}}, nil
}

func (c *closureFlags) text(report *closure.Report, w io.Writer) error {
	var b strings.Builder
	for _, m := range report.Missing {
		line := fmt.Sprintf("%s: %s requires %s", m.Cell, m.Package, m.Requirement)
		if len(c.repos) > 1 {
			line += " (" + m.Repository + ")"
		}
		if m.Nearest != "" {
			line += ": " + m.Nearest
		}
		b.WriteString(harmless(line) + "\n")
	}
	of := fmt.Sprintf("%s of %s for %s", plural(report.Requirements, "requirement"), plural(report.Packages, "package"), harmless(strings.Join(report.Cells, ", ")))
	if len(report.Missing) == 0 {
		fmt.Fprintf(&b, "closed: %s, all met\n", of)
	} else {
		fmt.Fprintf(&b, "%d not met, of %s\n", len(report.Missing), of)
		if len(c.bases)+len(c.provided) == 0 {
			b.WriteString("what the distribution provides counted as missing: name it with --base or --provided\n")
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return nil
}

// harmless is a line of foreign words without what would steer a terminal.
func harmless(line string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, line)
}

// closureReport is the JSON form; version tells its schema.
type closureReport struct {
	Version int `json:"version"`
	*closure.Report
}

func closureJSON(report *closure.Report, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(closureReport{1, report}); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return nil
}

func forArchitectures(architectures []string) string {
	if len(architectures) == 0 {
		return ""
	}
	return " for " + strings.Join(architectures, ", ")
}
