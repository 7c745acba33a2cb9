package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/lint"
)

// lintFlags are the flags of recipe lint.
type lintFlags struct {
	format   string
	severity string
	explain  string
	rules    bool
	texts    bool
}

func newRecipeLint(f *flags) *cobra.Command {
	l := &lintFlags{}
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Report everything that is wrong in the recipes, and where",
		Long: `lint reads all recipes, and says what is wrong in them before anything is built:
what cannot be loaded, what could not be installed or would collide, what makes a
build depend on the machine. Each finding has a place, a reason, the cells and
variants that it concerns, and the rule that it comes from.

--rules lists the rules, --explain tells of one why it matters.

Exit status: 0 no errors, 2 there are some, or the recipes cannot be read.`,
		Example: `  ohpc-build recipe lint
  ohpc-build recipe lint --severity note --format json
  ohpc-build recipe lint --explain unknown-requirement`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			switch {
			case l.rules:
				return lintRules(out)
			case l.explain != "":
				return lintExplain(out, l.explain)
			}
			var least lint.Severity
			if err := least.UnmarshalText([]byte(l.severity)); err != nil {
				return usageError("--severity: %w", err)
			}
			if l.format != "text" && l.format != "json" {
				return usageError("--format is text or json, not %q", l.format)
			}
			read := f.lintInput
			if l.texts {
				read = f.lintTexts
			}
			in, err := read(cmd.Context())
			if err != nil {
				return err
			}
			findings, err := lint.Check(in)
			if err != nil {
				return &statusError{exitUsage, err}
			}
			report := newLintReport(in, findings, least)
			if l.format == "json" {
				err = report.json(out)
			} else {
				err = report.text(out)
			}
			if err == nil && report.Errors > 0 {
				err = usageError("%s in the recipes", plural(report.Errors, "error"))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&l.format, "format", "text", "text or json")
	cmd.Flags().StringVar(&l.severity, "severity", "warning", "least `severity` that is shown: note, warning or error")
	cmd.Flags().StringVar(&l.explain, "explain", "", "explain a `rule` instead")
	cmd.Flags().BoolVar(&l.texts, "texts", false, "look at the texts only, without asking rpm: no image is needed, and less is found")
	cmd.Flags().BoolVar(&l.rules, "rules", false, "list the rules instead")
	return cmd
}

// lintInput is the catalogue with each spec for each variant in each cell, as rpm
// reads it. The loader is strict: what it minds comes back as the error.
func (f *flags) lintInput(ctx context.Context) (lint.Input, error) {
	var in lint.Input
	opt, err := f.options(nil)
	if err != nil {
		return in, err
	}
	m, err := matrix.New(opt)
	if err != nil {
		return in, err
	}
	readings, base, err := m.Read(ctx)
	if err != nil {
		return in, err
	}
	c := opt.Catalog
	// The rules look at the targets of this run only.
	c.Targets = slices.DeleteFunc(slices.Clone(c.Targets), func(t *recipes.Target) bool {
		return len(opt.Targets) > 0 && !slices.Contains(opt.Targets, t.Name)
	})
	in.Catalog, in.Base = c, base
	for _, r := range readings {
		e := lint.Evaluated{Variant: r.Variant, Path: r.Path, Result: r.Result, Err: r.Err}
		if e.Text, err = specText(c, r.Variant); err != nil {
			return in, err
		}
		in.Evaluated = append(in.Evaluated, e)
	}
	return in, nil
}

// lintTexts is the catalogue with its specs' texts, for each variant in each cell.
func (f *flags) lintTexts(context.Context) (lint.Input, error) {
	var in lint.Input
	c, err := f.catalogOnly()
	if err != nil {
		return in, err
	}
	in.Catalog = c
	for _, t := range c.Targets {
		for _, arch := range t.Architectures {
			for _, r := range c.Recipes {
				variants, _ := c.Expand(r, t, arch)
				for _, v := range variants {
					e := lint.Evaluated{Variant: v, Path: r.Spec.Path}
					if r.Kind == recipes.MetaPackage {
						e.Path = r.Dir
					}
					if e.Text, err = specText(c, v); err != nil {
						return in, err
					}
					in.Evaluated = append(in.Evaluated, e)
				}
			}
		}
	}
	return in, nil
}

// specText is a variant's spec, or what was made of a meta-package's list.
func specText(c *recipes.Catalog, v recipes.Variant) ([]byte, error) {
	if v.Recipe.Kind == recipes.MetaPackage {
		return []byte(c.Meta(v).Spec), nil
	}
	text, err := c.Read(v.Recipe.Spec)
	if err != nil {
		return nil, &statusError{exitUsage, err}
	}
	return text, nil
}

// lintReport is what lint says. Version tells the schema of its JSON form.
type lintReport struct {
	Version  int            `json:"version"`
	Errors   int            `json:"errors"`
	Warnings int            `json:"warnings"`
	Notes    int            `json:"notes"`
	Findings []lint.Finding `json:"findings"` // as many as were asked for

	subject string
	hidden  int
}

func newLintReport(in lint.Input, findings []lint.Finding, least lint.Severity) *lintReport {
	c := in.Catalog
	r := &lintReport{Version: 1, Findings: []lint.Finding{}}
	r.subject = fmt.Sprintf("%s, %s, %s", plural(len(c.Recipes), "recipe"), plural(len(c.Targets), "target"), plural(len(c.Families), "family kind"))
	if !slices.ContainsFunc(in.Evaluated, func(e lint.Evaluated) bool { return e.Result != nil || e.Err != nil }) {
		r.subject += " (texts alone, rpm was not asked)"
	}
	for _, f := range findings {
		switch f.Severity {
		case lint.Error:
			r.Errors++
		case lint.Warning:
			r.Warnings++
		default:
			r.Notes++
		}
		if f.Severity < least {
			r.hidden++
			continue
		}
		r.Findings = append(r.Findings, f)
	}
	return r
}

func (r *lintReport) json(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("printing the findings: %w", err)
	}
	return nil
}

func (r *lintReport) text(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.Findings {
		place := f.File
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", f.File, f.Line, max(f.Column, 1))
		}
		b.WriteString(harmless(fmt.Sprintf("%s: %s: %s [%s]", place, f.Severity, f.Message, f.Rule)) + "\n")
		for _, line := range []struct {
			label string
			words []string
		}{{"packages", f.Packages}, {"where", f.Where}} {
			if len(line.words) > 0 {
				b.WriteString(harmless(fmt.Sprintf("    %s: %s", line.label, shorten(line.words))) + "\n")
			}
		}
		if f.Hint != "" {
			b.WriteString(harmless("    "+f.Hint) + "\n")
		}
	}
	if r.Errors+r.Warnings+r.Notes == 0 {
		fmt.Fprintf(&b, "%s: nothing wrong\n", r.subject)
	} else {
		fmt.Fprintf(&b, "%s: %s, %s, %s", r.subject, plural(r.Errors, "error"), plural(r.Warnings, "warning"), plural(r.Notes, "note"))
		if r.hidden > 0 {
			fmt.Fprintf(&b, "; %d not shown, see --severity", r.hidden)
		}
		b.WriteByte('\n')
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("printing the findings: %w", err)
	}
	return nil
}

// shorten is a list for people; the JSON form has all of it.
func shorten(words []string) string {
	const most = 6
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}

func lintRules(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "RULE\tSEVERITY\tWHAT IT FINDS")
	for _, r := range lint.Rules() {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", r.Name, r.Severities, r.Summary)
	}
	return tw.Flush()
}

func lintExplain(w io.Writer, name string) error {
	r, err := lint.Explain(name)
	if err != nil {
		return &statusError{exitUsage, err}
	}
	_, err = fmt.Fprintf(w, "%s (%s): %s.\n\n%s\n", r.Name, r.Severities, r.Summary, strings.TrimSpace(r.Explanation))
	return err
}
