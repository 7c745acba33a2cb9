package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newRecipeLint(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "lint",
		Short: "Read the whole catalogue and report everything that is wrong in it",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.catalogOnly() // loading is strict: what is wrong comes back as the error
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s, %s, %s: nothing wrong\n",
				plural(len(c.Recipes), "recipe"), plural(len(c.Targets), "target"), plural(len(c.Families), "family kind"))
			return nil
		},
	}
}
