package main

import (
	"github.com/spf13/cobra"
)

func newBuild(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "build RECIPE…",
		Short: "Build recipes and what they need",
		Long: `build goes as far as the packages: it neither signs nor publishes. The packages
stay in the store, where matrix finds them; the logs are in <out>/report/logs.`,
		Example: "  ohpc-build build scotch --arch x86_64 --family compiler=gnu12",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("build takes at least one recipe: ohpc-build recipe list shows them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := f.matrix(args)
			if err != nil {
				return err
			}
			r, err := m.Build(cmd.Context())
			return f.conclude(cmd, r, err)
		},
	}
}
