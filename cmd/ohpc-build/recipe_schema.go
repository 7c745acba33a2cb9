package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/recipes/schema"
)

func newRecipeSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [" + strings.Join(schema.Names(), "|") + "]",
		Short: "Print the JSON schema of recipe.yaml, or of another file of a catalogue",
		Long: `schema prints a JSON schema (draft 2020-12) that lets editors complete and check
the files of a catalogue while they are written: recipe.yaml unless another kind of
file is named. docs/recipe.md says the same for people.

An editor with yaml-language-server takes it from the first line of a file,
  # yaml-language-server: $schema=/path/to/recipe.schema.json
or from its settings, where one line serves all recipes.`,
		Example: `  ohpc-build recipe schema > recipe.schema.json
  ohpc-build recipe schema target`,
		ValidArgs: schema.Names(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError("recipe schema takes one kind of file: %s", strings.Join(schema.Names(), ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := schema.JSON(append(args, schema.Names()[0])[0])
			if err != nil {
				return &statusError{exitUsage, err}
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
