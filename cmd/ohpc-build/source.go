package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/host"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source"
)

func newSource(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "source",
		Short: "The sources that recipes are built from",
		Args:  subcommand,
		RunE:  help,
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "fetch [RECIPE…]",
			Short: "Fetch sources into the store, and print their digests",
			Long: `fetch brings the sources of recipes into the store, each verified against the
digest in its recipe, and prints what it has. What is there already is hashed
again and not fetched. A later matrix then needs no network for sources.`,
			RunE: func(cmd *cobra.Command, args []string) error { return f.sources(cmd, args, true) },
		},
		&cobra.Command{
			Use:   "verify [RECIPE…]",
			Short: "Hash the sources in the store again, and say which are missing",
			RunE:  func(cmd *cobra.Command, args []string) error { return f.sources(cmd, args, false) },
		},
	)
	return cmd
}

// sources goes over the fetched sources of recipes, none meaning all.
func (f *flags) sources(cmd *cobra.Command, names []string, fetch bool) (err error) {
	opt, err := f.options(names)
	if err != nil {
		return err
	}
	chosen := opt.Catalog.Recipes
	if len(names) > 0 {
		chosen = nil
		for _, name := range names {
			r, err := opt.Catalog.Recipe(name)
			if err != nil {
				return &statusError{exitUsage, err}
			}
			chosen = append(chosen, r)
		}
	}
	st, err := store.Open(filepath.Join(opt.State, "store"))
	if err != nil {
		return err
	}
	fetcher := source.New(st, source.WithDebianMirror(opt.Mirror), source.WithLocal("."))
	defer func() { err = errors.Join(err, fetcher.Close()) }()
	out := cmd.OutOrStdout()
	missing := 0
	for _, r := range chosen {
		for _, s := range r.Fetched {
			if s.Generated != "" {
				continue
			}
			switch digest, err := digestOf(cmd, fetcher, st, s, fetch); {
			case err != nil && fetch:
				return host.ExplainFull(fmt.Errorf("%s: %w", r.Name, err), opt.State, opt.Out)
			case err != nil:
				missing++
				fmt.Fprintf(out, "%s  %s  %v\n", r.Name, s.File, err)
			default:
				fmt.Fprintf(out, "%s  %s  %s\n", r.Name, s.File, digest)
			}
		}
	}
	if missing > 0 {
		return fmt.Errorf("%s not in the store as it should be: ohpc-build source fetch brings it", plural(missing, "source"))
	}
	return nil
}

func digestOf(cmd *cobra.Command, fetcher *source.Fetcher, st *store.Store, s recipes.Source, fetch bool) (store.Digest, error) {
	if fetch {
		return fetcher.Fetch(cmd.Context(), s, nil)
	}
	if s.SHA256 == "" {
		return "", errors.New("has no digest in its recipe, so that there is nothing to verify")
	}
	d, err := store.ParseDigest(s.SHA256)
	if err != nil {
		return "", err
	}
	_, err = st.Path(d)
	return d, err
}
