package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
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
	cmd.AddCommand(newRecipeList(f), newRecipeShow(f), newRecipeNew(f), newRecipeLint(f), newRecipeBump(f), newRecipeSchema())
	return cmd
}

// catalogOnly loads the catalogue for commands that need nothing else. Its targets
// are only those to work for.
func (f *flags) catalogOnly() (*recipes.Catalog, error) {
	c, err := readConfig(f.config)
	if err != nil {
		return nil, err
	}
	cat, err := f.loadCatalog(c)
	if err != nil {
		return nil, err
	}
	names := orElse(f.targets, c.Targets)
	for _, name := range names {
		if _, err := cat.Target(name); err != nil {
			return nil, &statusError{exitUsage, err}
		}
	}
	cat.Targets = slices.DeleteFunc(slices.Clone(cat.Targets), func(t *recipes.Target) bool { return !slices.Contains(names, t.Name) })
	return cat, nil
}

// ownCatalog is the folder of a catalogue that can be changed.
func (f *flags) ownCatalog() (string, error) {
	config, err := readConfig(f.config)
	if err != nil {
		return "", err
	}
	dir := cmp.Or(f.catalog, config.Catalog)
	if dir == "" {
		return "", usageError("the embedded catalogue cannot be changed: copy recipes/catalog of ohpc-build's source into a folder of your own, and name that with --catalog")
	}
	return dir, nil
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
			if err := showRecipe(out, c, r); err != nil {
				return err
			}
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
					fmt.Fprintf(out, "\n# The spec that is made of it:\n%s", c.Meta(v).Spec)
				}
			}
			return nil
		},
	}
}

// showRecipe prints a recipe's file, or for one of an OpenHPC tree, which has none,
// what the tree says of it.
func showRecipe(w io.Writer, c *recipes.Catalog, r *recipes.Recipe) error {
	if !r.FromSpec {
		text, err := recipes.ReadFile(c.FS, r.Dir+"/recipe.yaml")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "# %s/recipe.yaml\n%s", r.Dir, text)
		return nil
	}
	fmt.Fprintf(w, "# %s of OpenHPC %s\n# %s\n", r.Spec.Path, c.Version, r.Summary)
	for _, kind := range slices.Sorted(maps.Keys(r.Families)) {
		fmt.Fprintf(w, "# %s: %s\n", kind, strings.Join(r.Families[kind], ", "))
	}
	for _, f := range r.Sources {
		fmt.Fprintf(w, "# source %s\n", f.Path)
	}
	return nil
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
