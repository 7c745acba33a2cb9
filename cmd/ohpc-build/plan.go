package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

func newPlan(f *flags) *cobra.Command {
	var (
		format  string
		explain bool
	)
	cmd := &cobra.Command{
		Use:   "plan [RECIPE…]",
		Short: "Show which jobs there are, and which must run",
		Long: `plan evaluates the recipes' specs for every cell and shows each job in an order
in which it can be built, and whether it must run or its result is in the store.`,
		Example: `  ohpc-build plan
  ohpc-build plan --explain --arch aarch64
  ohpc-build plan --format dot | dot -Tsvg > plan.svg`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var write func(*plan.Plan, io.Writer) error
			switch format {
			case "text":
				write = func(p *plan.Plan, w io.Writer) error { return planText(p, w, explain) }
			case "json":
				write = (*plan.Plan).JSON
			case "dot":
				write = (*plan.Plan).DOT
			default:
				return usageError("--format is text, json or dot, not %q", format)
			}
			m, err := f.matrix(args)
			if err != nil {
				return err
			}
			p, err := m.Plan(cmd.Context())
			if err != nil {
				return err
			}
			return write(p, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, json or dot")
	cmd.Flags().BoolVar(&explain, "explain", false, "say for each job what it needs and what changed")
	return cmd
}

func planText(p *plan.Plan, w io.Writer, explain bool) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	reused := 0
	fmt.Fprintln(tw, "JOB\tKEY\tREASON")
	for _, j := range p.Jobs {
		key := "-"
		if j.Key != "" {
			key = j.Key.Short()
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", j.ID, key, j.Reason)
		if j.Reason == plan.ReasonReused {
			reused++
		}
		if explain {
			for _, need := range j.Needs {
				fmt.Fprintf(tw, "    needs %s\t\t\n", need)
			}
		}
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("printing the plan: %w", err)
	}
	fmt.Fprintf(w, "\n%s: %d to run, %d reused\n", plural(len(p.Jobs), "job"), len(p.Jobs)-reused, reused)
	return nil
}
