package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/recipes"
)

func newRecipe(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recipe",
		Short: "Look at the catalogue's recipes, and move them along with upstream",
		Args:  subcommand,
		RunE:  help,
	}
	cmd.AddCommand(newRecipeList(f), newRecipeShow(f), newRecipeLint(f), newRecipeBump(f))
	return cmd
}

// catalogOnly loads the catalogue for commands that need nothing else.
func (f *flags) catalogOnly() (*recipes.Catalog, error) {
	c, err := readConfig(f.config)
	if err != nil {
		return nil, err
	}
	return f.loadCatalog(c)
}

func newRecipeList(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the recipes",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.catalogOnly()
			if err != nil {
				return err
			}
			tw := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(tw, "RECIPE\tKIND\tGROUP\tSUMMARY")
			for _, r := range c.Recipes {
				group := r.Group
				if group == "" {
					group = "-"
				}
				fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", r.Name, r.Kind, group, r.Summary)
			}
			return tw.Flush()
		},
	}
}

func newRecipeShow(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "show RECIPE",
		Short: "Show a recipe as it is, with the spec of a meta-package",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("recipe show takes one recipe: ohpc-build recipe list shows them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.catalogOnly()
			if err != nil {
				return err
			}
			r, err := c.Recipe(args[0])
			if err != nil {
				return &statusError{exitUsage, err}
			}
			out := cmd.OutOrStdout()
			text, err := recipes.ReadFile(c.FS, r.Dir+"/recipe.yaml")
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "# %s/recipe.yaml\n%s", r.Dir, text)
			for _, t := range c.Targets {
				for _, arch := range t.Architectures {
					variants, skips := c.Expand(r, t, arch)
					for _, v := range variants {
						fmt.Fprintf(out, "# %s/%s: %s\n", t.Name, arch, describeVariant(v))
					}
					for _, s := range skips {
						fmt.Fprintf(out, "# %s/%s: not built: %s\n", t.Name, arch, s.Reason)
					}
				}
			}
			if r.Kind == recipes.MetaPackage {
				variants, _ := c.Expand(r, c.Targets[0], c.Targets[0].Architectures[0])
				for _, v := range variants {
					fmt.Fprintf(out, "\n# The spec that is made of it:\n%s", c.MetaSpec(v))
				}
			}
			return nil
		},
	}
}

func describeVariant(v recipes.Variant) string {
	var words []string
	if name := v.Name(); name != "" {
		words = append(words, "variant "+name)
	}
	for _, d := range v.Defines {
		words = append(words, fmt.Sprintf("%%%s=%q", d.Name, d.Value))
	}
	return strings.Join(words, " ")
}
