package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/skeleton"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

func newRecipeNew(f *flags) *cobra.Command {
	r := skeleton.Recipe{Kind: recipes.Component}
	kind := string(recipes.Component)
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Begin a recipe: its folder, with a commented recipe.yaml and a spec that builds",
		Long: `new writes the folder of a new recipe into the catalogue that --catalog names:
components/GROUP/NAME for a component, meta/NAME for a meta-package. Its recipe.yaml
says in comments what else it may hold. The spec of a component follows the
catalogue's customs, is multiplied by the families that --family names, and builds
as it is: a package with an empty folder and a module. Nothing is overwritten.

Here --family says what the recipe is built with: kind=all for every member of a
family, or kind=member for some, once for each. The name of a meta-package has the
family in braces where the member's name belongs: one package is made for each.`,
		Example: `  ohpc-build recipe new fftw --catalog recipes --group parallel-libs --family compiler=all --family mpi=openmpi4
  ohpc-build recipe new 'ohpc-{compiler}-io-libs' --catalog recipes --kind meta-package --family compiler=all --requires 'hdf5-{compiler}-ohpc'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("recipe new takes one name")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Name = args[0]
			if err := r.Kind.UnmarshalText([]byte(kind)); err != nil {
				return usageError("--kind: %w", err)
			}
			var err error
			if r.Families, err = f.choices(); err != nil {
				return err
			}
			return f.begin(cmd, r)
		},
	}
	cmd.Flags().StringVar(&kind, "kind", kind, "`what` it makes: component (packages from a spec) or meta-package (a package from a list of requirements)")
	cmd.Flags().StringVar(&r.Group, "group", "", "`folder` below components/ that a component goes to, such as serial-libs")
	cmd.Flags().StringVar(&r.Summary, "summary", "", "one `line` that says what it is (default: the name)")
	cmd.Flags().StringSliceVar(&r.Requires, "requires", nil, "`package` that a meta-package installs; may be repeated (default: bash, to be replaced)")
	return cmd
}

// choices are the families of --family, with all members that are named.
func (f *flags) choices() (map[string]recipes.Choice, error) {
	choices := map[string]recipes.Choice{}
	for _, choice := range f.families {
		kind, member, ok := strings.Cut(choice, "=")
		if !ok || kind == "" || member == "" {
			return nil, usageError("--family takes kind=all or kind=member, such as compiler=all, not %q", choice)
		}
		choices[kind] = append(choices[kind], member)
	}
	for kind, choice := range choices {
		if choice.HasAll() {
			choices[kind] = recipes.Choice{recipes.All}
		}
	}
	return choices, nil
}

func (f *flags) begin(cmd *cobra.Command, r skeleton.Recipe) error {
	dir, err := f.ownCatalog()
	if err != nil {
		return err
	}
	files, err := r.Write(dir)
	var (
		mistake  *skeleton.MistakeError
		problems strict.Problems
	)
	if errors.As(err, &mistake) || errors.As(err, &problems) {
		return &statusError{exitUsage, err}
	}
	if err != nil {
		return fmt.Errorf("writing recipe %s: %w", r.Name, err)
	}
	for _, name := range files {
		fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(dir, name))
	}
	return nil
}
