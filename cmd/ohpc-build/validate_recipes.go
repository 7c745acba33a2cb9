package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/closed"
	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

// recipes checks what the recipes would make.
func (c *closureFlags) recipes(ctx context.Context, f *flags, w io.Writer) error {
	opt, err := f.options(nil)
	if err != nil {
		return err
	}
	m, err := matrix.New(opt)
	if err != nil {
		return err
	}
	distributions, err := c.distributions(ctx, opt.Catalog.Targets)
	if err != nil {
		return err
	}
	report, err := m.Closure(ctx, distributions)
	if err != nil {
		return err
	}
	if c.format == "json" {
		err = reportJSON(recipesReport{1, report}, w)
	} else {
		err = recipesText(report, w, c.explain)
	}
	if err == nil && report.Unmet > 0 {
		err = notMet(report.Unmet)
	}
	return err
}

// recipesReport is the JSON form; version tells its schema.
type recipesReport struct {
	Version int `json:"version"`
	*closed.Report
}

// distributions opens what --base and --provided name.
func (c *closureFlags) distributions(ctx context.Context, targets []*recipes.Target) ([]matrix.Distribution, error) {
	var all []matrix.Distribution
	for _, text := range c.bases {
		d, location, err := forCell(text, targets)
		if err != nil {
			return nil, usageError("--base %s: %w", text, err)
		}
		if d.Repository, err = repodata.Open(ctx, location); err != nil {
			return nil, &statusError{exitUsage, err}
		}
		all = append(all, d)
	}
	for _, text := range c.provided {
		d, path, err := forCell(text, targets)
		if err != nil {
			return nil, usageError("--provided %s: %w", text, err)
		}
		if d.Repository, err = readProvided(path); err != nil {
			return nil, &statusError{exitUsage, err}
		}
		all = append(all, d)
	}
	return all, nil
}

// forCell reads "EL_9=place", "EL_9/x86_64=place", or a place alone. Places may hold
// a = of their own.
func forCell(text string, targets []*recipes.Target) (d matrix.Distribution, place string, err error) {
	cell, place, ok := strings.Cut(text, "=")
	if !ok || strings.Contains(cell, ":") {
		return d, text, nil
	}
	name, arch, _ := strings.Cut(cell, "/")
	var names []string
	for _, t := range targets {
		if t.Name == name {
			return matrix.Distribution{Target: name, Arch: arch}, place, nil
		}
		names = append(names, t.Name)
	}
	if _, err := os.Stat(text); err == nil {
		return d, text, nil
	}
	hint := strict.DidYouMean(name, names)
	if hint != "" {
		hint = " (" + hint + ")"
	}
	return d, "", fmt.Errorf("there is no target %q%s, and no such file", name, hint)
}

// recipesText shows what is missing, then what there is to say beside it, then the
// totals.
func recipesText(r *closed.Report, w io.Writer, explain bool) error {
	p := &recipesPrinter{all: len(r.Cells)}
	for _, m := range r.Missing {
		p.finding(m)
	}
	if len(r.Unbuilt) > 0 {
		p.line("declared, but never produced, because there are no files:")
		for _, u := range r.Unbuilt {
			p.line("    %s: %s (%s)", u.File, shorten(u.Packages), p.cells(u.Cells))
		}
	}
	if len(r.Failures) > 0 {
		p.line("cannot be read:")
		for _, f := range r.Failures {
			p.line("    %s: %s (%s)", place(f.File, f.Line), strings.Join(f.Messages, "; "), p.cells(f.Cells))
		}
	}
	if explain && len(r.Left) > 0 {
		p.line("left to the targets, of which not everything is known:")
		for _, l := range r.Left {
			p.line("    %s, %d × (%s)", l.Requirement, l.Needed, p.cells(l.Cells))
		}
	}
	p.totals(r, explain)
	if _, err := io.WriteString(w, p.text.String()); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return nil
}

type recipesPrinter struct {
	text strings.Builder
	all  int // cells
}

func (p *recipesPrinter) line(format string, args ...any) {
	p.text.WriteString(harmless(fmt.Sprintf(format, args...)) + "\n")
}

func (p *recipesPrinter) finding(f closed.Finding) {
	verb := "requires"
	if len(f.Names) > 1 {
		verb = "require"
	}
	requirement := f.Requirement
	if f.Kind == closed.BuildRequires {
		requirement += " to be built"
	}
	p.line("%s: %s %s %s", place(f.File, f.Line), shorten(f.Names), verb, requirement)
	hint := ""
	if f.Hint != "" {
		hint = ": " + f.Hint
	}
	p.line("    in %s%s", p.cells(f.Cells), hint)
}

// cells is "all 6 cells" or a list.
func (p *recipesPrinter) cells(list []string) string {
	if len(list) == p.all && p.all > 1 {
		return fmt.Sprintf("all %d cells", p.all)
	}
	cells := make([]planCell, len(list))
	for i, c := range list {
		target, arch, _ := strings.Cut(c, "/")
		cells[i] = planCell{target, arch}
	}
	return (&rows{}).list(cells)
}

func (p *recipesPrinter) totals(r *closed.Report, explain bool) {
	of := fmt.Sprintf("%s of %s and %s in %s", plural(r.Requirements, "requirement"), plural(r.Packages, "package"), plural(r.Jobs, "job"), p.number(r.Cells))
	needed := 0
	for _, l := range r.Left {
		needed += l.Needed
	}
	if r.Unmet == 0 {
		verdict := "closed"
		if needed > 0 {
			verdict = "closed but for what is left to the targets"
		}
		p.line("%s: %s", verdict, of)
	} else {
		p.line("%d not met, of %s", r.Unmet, of)
	}
	if needed == 0 {
		return
	}
	how := "--explain lists them, "
	if explain {
		how = ""
	}
	p.line("%s, %s, left to the targets: %s--base names their repositories", plural(needed, "requirement"), plural(len(r.Left), "name"), how)
}

func (p *recipesPrinter) number(cells []string) string {
	if len(cells) == 1 {
		return cells[0]
	}
	return fmt.Sprintf("%d cells", len(cells))
}
