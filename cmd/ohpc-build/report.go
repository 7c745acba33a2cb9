package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/excerpt"
	"github.com/ohpc-build/ohpc-build/matrix/report/junit"
	"github.com/ohpc-build/ohpc-build/matrix/report/markdown"
	"github.com/ohpc-build/ohpc-build/matrix/report/page"
	"github.com/ohpc-build/ohpc-build/matrix/report/trace"
)

// reportFormats are the forms of a report, the default first.
var reportFormats = []string{"text", "markdown", "json", "junit", "trace", "html"}

func newReport(f *flags) *cobra.Command {
	var dir, format string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Print the report of the last run again, in another form",
		Long: `report reads <out>/report/matrix.json, which the last run left, or that of --dir,
such as <out>/validate of validate all, and prints it:

  text      the table, failures and the summary, as the run itself did
  markdown  a comment for a pull request, of 60 kB at most
  json      matrix.json (docs/matrix.schema.json describes it)
  junit     JUnit XML for CI systems
  trace     a timeline that opens in Perfetto (https://ui.perfetto.dev)
  html      the page that stands in <out>/report/index.html

The exit status tells whether it could be printed, not how the run went.`,
		Example: `  ohpc-build report
  ohpc-build report --format markdown > comment.md
  ohpc-build report --dir out/validate`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.printReport(cmd.OutOrStdout(), cmp.Or(dir, filepath.Join(f.out, matrix.ReportFolder)), format)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`folder` of the report (default: report in the output folder)")
	cmd.Flags().StringVar(&format, "format", reportFormats[0], "`form` of the report: "+strings.Join(reportFormats, ", "))
	return cmd
}

func (f *flags) printReport(w io.Writer, dir, format string) error {
	print, ok := map[string]func(*report.Run, map[string]*excerpt.Excerpt) error{
		"text":     func(r *report.Run, _ map[string]*excerpt.Excerpt) error { return f.printText(w, r, dir) },
		"markdown": func(r *report.Run, logs map[string]*excerpt.Excerpt) error { return markdown.Write(w, r, logs) },
		"json":     func(r *report.Run, _ map[string]*excerpt.Excerpt) error { return printJSON(w, r) },
		"junit":    func(r *report.Run, logs map[string]*excerpt.Excerpt) error { return junit.Write(w, r, logs) },
		"trace":    func(r *report.Run, _ map[string]*excerpt.Excerpt) error { return trace.Write(w, r) },
		"html":     func(r *report.Run, logs map[string]*excerpt.Excerpt) error { return page.Write(w, r, logs) },
	}[format]
	if !ok {
		return usageError("--format is %s, not %q", strings.Join(reportFormats, ", "), format)
	}
	r, err := report.Read(dir)
	if errors.Is(err, os.ErrNotExist) {
		return usageError("there is no report in %s: a run leaves one (ohpc-build matrix), or name its folder with --dir", dir)
	}
	if err != nil {
		return &statusError{exitUsage, err}
	}
	logs, err := excerpt.Failed(r, dir)
	if err != nil {
		return err
	}
	return print(r, logs)
}

func (f *flags) printText(w io.Writer, r *report.Run, dir string) error {
	if !f.quiet {
		if err := r.Table(w); err != nil {
			return err
		}
	}
	for _, line := range r.FailuresIn(dir) {
		fmt.Fprintln(w, "\n"+line)
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, r.Summary())
	return nil
}

func printJSON(w io.Writer, r *report.Run) error {
	doc, err := r.JSON()
	if err != nil {
		return err
	}
	if _, err := w.Write(doc); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return nil
}
