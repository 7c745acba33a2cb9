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
	cmd.AddCommand(newValidateClosure(f), newValidateSignatures(f), newValidateContent(f), newValidateInstall(f), newValidateUpgrade(f), newValidateSuite(f), newValidateAll(f))
	return cmd
}

// closureFlags are the flags of validate closure.
type closureFlags struct {
	repos, bases, provided []string
	format                 string
	explain                bool
}

func newValidateClosure(f *flags) *cobra.Command {
	c := &closureFlags{}
	cmd := &cobra.Command{
		Use:   "closure [--repo DIR|URL]",
		Short: "Check that each package's requirements have a provider",
		Long: `closure looks for a provider of each requirement, rich dependencies and files
included, and tells which have none.

Without --repo it looks at the recipes of the catalogue or the --tree, before
anything is built: rpm tells what their specs would make, and each cell is checked
on its own. What is required may be provided by another package of that cell, or by
the target. What that holds is known from its image when that is at hand, and from
the repositories that --base names, for one target as in EL_9=URL or one cell as in
EL_9/x86_64=URL. Otherwise only what nobody but the project can provide counts as
missing, such as names that end in -ohpc; the rest is left to the target, and
--explain lists it. What the builds require is looked at as well, packages that are
declared but never produced are told, and specs that cannot be read.

With --repo it reads the metadata of finished repositories, and checks each
architecture on its own: a requirement may be met in the repositories under test, in
those that they are for (--base), and by what else the base system is known to hold
(--provided). Nothing is downloaded but metadata, which are verified against
repomd.xml. Signatures are not verified: see repo verify.

Each line tells where the requirement is written or which package has it, the
requirement, the cells, and why there is nothing or the nearest thing that there is.

Exit status: 0 all requirements are met, 1 some are not, 2 the repositories or
recipes cannot be read or the command line is wrong.`,
		Example: `  ohpc-build validate closure --tree ohpc
  ohpc-build validate closure --tree ohpc --target EL_9 --base EL_9=https://example.org/9/BaseOS/x86_64/os
  ohpc-build validate closure --repo out/repos/OpenHPC/3/Debian_12 --provided distro-bridge-12-1.x86_64.rpm
  ohpc-build validate closure --repo https://example.org/OpenHPC/3/EL_9 --repo https://example.org/OpenHPC/3/updates/EL_9 \
    --base https://example.org/9/BaseOS/x86_64/os --base https://example.org/9/AppStream/x86_64/os --arch x86_64`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.format != "text" && c.format != "json" {
				return usageError("--format is text or json, not %q", c.format)
			}
			if len(c.repos) == 0 {
				return c.recipes(cmd.Context(), f, cmd.OutOrStdout())
			}
			switch {
			case f.tree != "" || f.catalog != "":
				return usageError("--repo checks finished repositories, --tree and --catalog the recipes; give one")
			case c.explain:
				return usageError("--explain is for recipes: of finished repositories nothing is left to the target")
			}
			return c.repositories(cmd.Context(), f.architectures, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringArrayVar(&c.repos, "repo", nil, "repository to check in place of the recipes, a `folder or URL` that holds repodata; may be repeated")
	cmd.Flags().StringArrayVar(&c.bases, "base", nil, "repository that the packages are for, a `folder or URL`; of recipes also for one target or cell, as in EL_9=URL; may be repeated")
	cmd.Flags().StringArrayVar(&c.provided, "provided", nil, "`file` with what the base system provides: lines as of rpm -qa --provides, or a package; may be for one target or cell like --base, and be repeated")
	cmd.Flags().StringVar(&c.format, "format", "text", "text or json")
	cmd.Flags().BoolVar(&c.explain, "explain", false, "list what is left to the targets")
	return cmd
}

// repositories checks finished repositories.
func (c *closureFlags) repositories(ctx context.Context, architectures []string, w io.Writer) error {
	report, err := c.check(ctx, architectures)
	if err != nil {
		return &statusError{exitUsage, err}
	}
	if report.Packages == 0 {
		return usageError("%s: there is no binary package to check%s", strings.Join(c.repos, ", "), forArchitectures(architectures))
	}
	if c.format == "json" {
		err = closureJSON(report, w)
	} else {
		err = c.text(report, w)
	}
	if err == nil && len(report.Missing) > 0 {
		err = notMet(len(report.Missing))
	}
	return err
}

// notMet is the error of a check that found something.
func notMet(requirements int) error {
	return fmt.Errorf("%s not met", plural(requirements, "requirement"))
}

func (c *closureFlags) check(ctx context.Context, architectures []string) (*closure.Report, error) {
	opt := closure.Options{Architectures: architectures}
	for _, location := range c.repos {
		r, err := openRepository(ctx, "--repo", location)
		if err != nil {
			return nil, err
		}
		opt.Tested = append(opt.Tested, r)
	}
	for _, location := range c.bases {
		r, err := openRepository(ctx, "--base", location)
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
	return reportJSON(closureReport{1, report}, w)
}

func reportJSON(report any, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(report); err != nil {
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
