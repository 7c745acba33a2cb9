package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
)

func newMatrix(f *flags) *cobra.Command {
	var refresh bool
	cmd := &cobra.Command{
		Use:   "matrix [RECIPE…]",
		Short: "Plan, build, sign, validate and publish, for every cell",
		Long: `matrix takes recipes all the way: it plans what has to be built, builds it in
containers, signs the packages, assembles a snapshot of each target, tries the
snapshot in fresh containers, and publishes it when everything is green.

Without a RECIPE it takes all. What nothing has changed for is not done again.`,
		Example: `  ohpc-build matrix
  ohpc-build matrix scotch --arch x86_64`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opt, err := f.options(args)
			if err != nil {
				return err
			}
			opt.Refresh = refresh
			m, err := matrix.New(opt)
			if err != nil {
				return err
			}
			r, err := m.Run(cmd.Context())
			return f.conclude(cmd, r, err)
		},
	}
	addRefresh(cmd, &refresh)
	return cmd
}

// conclude prints how a run went. What the table shows is not said again.
func (f *flags) conclude(cmd *cobra.Command, r *report.Run, err error) error {
	out := cmd.OutOrStdout()
	if len(r.Jobs) > 0 {
		fmt.Fprintln(out)
		if terr := r.Table(out); terr != nil {
			return terr
		}
	}
	for _, line := range r.Failures() {
		fmt.Fprintln(out, "\n"+line)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(out)
	fmt.Fprintln(out, r.Summary())
	for _, s := range r.Snapshots {
		fmt.Fprintf(out, "%s: %s in %s\n", s.Target, plural(s.Packages, "package"), filepath.Join(f.out, s.Path))
	}
	fmt.Fprintf(out, "report: %s\n", filepath.Join(f.out, "report"))
	return nil
}
