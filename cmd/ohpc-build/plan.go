package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// planView is what the plan command is asked to show.
type planView struct {
	format  string
	explain bool
	touch   []string
}

func newPlan(f *flags) *cobra.Command {
	var v planView
	cmd := &cobra.Command{
		Use:   "plan [RECIPE…]",
		Short: "Show which jobs there are, and which must run",
		Long: `plan evaluates the recipes' specs for every cell and shows each job, whether it
must run or its result is in the store, what is skipped or cannot be read, what
nobody provides, and how long it all may take.

With --touch it shows only the jobs that a change of some files would run anew:
those made of them, and those that need the packages of such to be built. The
files are named relative to the catalogue or tree, or as they are found from the
current folder; a folder stands for all below it.`,
		Example: `  ohpc-build plan
  ohpc-build plan --explain --arch aarch64
  ohpc-build plan --touch components/OHPC_macros
  ohpc-build plan --format dot | dot -Tsvg > plan.svg`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch v.format {
			case "text", "json", "dot":
			default:
				return usageError("--format is text, json or dot, not %q", v.format)
			}
			c, err := readConfig(f.config)
			if err != nil {
				return err
			}
			m, err := f.matrix(args)
			if err != nil {
				return err
			}
			p, err := m.Plan(cmd.Context())
			if err != nil {
				return err
			}
			if err := v.show(p, []string{cmp.Or(f.tree, f.catalog, c.Catalog)}, cmd.OutOrStdout(), cmd.ErrOrStderr()); err != nil {
				return err
			}
			if n := len(p.Failures); n > 0 {
				return &matrix.FailedError{What: fmt.Sprintf("%d of %d jobs have a spec that cannot be read; the plan is of the others", n, n+len(p.Jobs))}
			}
			return m.Fits()
		},
	}
	cmd.Flags().StringVar(&v.format, "format", "text", "text, json or dot")
	cmd.Flags().BoolVar(&v.explain, "explain", false, "list every job: what it needs, what the target has, what nobody provides, what changed")
	cmd.Flags().StringArrayVar(&v.touch, "touch", nil, "show what a change of this file or folder would run anew, by its `path`; may be repeated")
	return cmd
}

// show writes the plan of recipes that lie in one of these folders.
func (v *planView) show(p *plan.Plan, folders []string, out, warnings io.Writer) error {
	if len(v.touch) == 0 {
		switch v.format {
		case "json":
			return p.JSON(out, v.explain)
		case "dot":
			return p.DOT(out)
		}
		return planText(p, out, v.explain)
	}
	t, err := p.Touch(withinFolders(v.touch, folders))
	var none *plan.NoMatchError
	if errors.As(err, &none) {
		return &statusError{exitUsage, err}
	}
	if err != nil {
		return err
	}
	for _, u := range t.Unmatched {
		fmt.Fprintln(warnings, "warning:", u)
	}
	switch v.format {
	case "json":
		return t.JSON(out)
	case "dot":
		touched := map[*plan.Job]bool{}
		for _, j := range t.Jobs {
			touched[j.Job] = true
		}
		return p.Filter(func(j *plan.Job) bool { return touched[j] }).DOT(out)
	}
	return touchText(p, t, out, v.explain)
}

// withinFolders makes paths that lead to files in one of the folders relative to
// it. Others are left as they are: they may be relative already.
func withinFolders(paths, folders []string) []string {
	result := make([]string, len(paths))
	for i, path := range paths {
		result[i] = filepath.ToSlash(path)
		for _, folder := range folders {
			if folder == "" {
				continue
			}
			if rel, ok := within(path, folder); ok {
				result[i] = rel
				break
			}
		}
	}
	return result
}

func within(path, folder string) (string, bool) {
	// A file that was removed is still known by its absolute path.
	if _, err := os.Lstat(path); err != nil && !filepath.IsAbs(path) {
		return "", false
	}
	folder, path = real(folder), filepath.Join(real(filepath.Dir(path)), filepath.Base(path))
	rel, err := filepath.Rel(folder, path)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// real is a path without links, as far as it exists.
func real(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if resolved, err := filepath.EvalSymlinks(abs); err == nil {
		return resolved
	}
	return abs
}
