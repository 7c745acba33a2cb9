package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
)

func newDoctor(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this host lacks, and how to get it",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opt, err := f.options(nil)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(opt.State, 0o755); err != nil {
				return usageError("the state folder: %w", err)
			}
			m, err := matrix.New(opt)
			if err != nil {
				return err
			}
			if err := m.CheckHost(cmd.Context()); err != nil {
				return err
			}
			gaps, err := m.Gaps()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "this host is ready")
			for _, gap := range gaps {
				fmt.Fprintln(cmd.OutOrStdout(), "  "+gap)
			}
			return nil
		},
	}
}
