package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
	"github.com/ohpc-build/ohpc-build/recipes/tree"
)

// flags are the flags that every command has.
type flags struct {
	config        string
	catalog       string
	tree          string
	release       string
	targets       []string
	architectures []string
	families      []string
	state         string
	out           string
	jobs          int
	progress      string
	quiet         bool
	logFormat     string
	runtime       string
	emulation     string
	verbose       bool
}

func newRoot() *cobra.Command {
	f := &flags{}
	root := &cobra.Command{
		Use:   "ohpc-build",
		Short: "Build, sign, validate and publish OpenHPC-style package repositories",
		Long: `ohpc-build turns a folder of recipes into signed package repositories that are
known to install and run on every architecture they claim: one binary, an OCI
runtime on the host, and a folder for its state.

Exit status: 0 all green, 1 a build or a check failed, 2 a mistake in usage,
recipe or configuration, 3 the host lacks something, 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          subcommand,
		RunE:          help,
		Version:       version,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// The flags of a command that there is not are unknown because of that.
		if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
			return subcommand(cmd, args)
		}
		return usageError("%w; %s --help lists the flags", err, cmd.CommandPath())
	})
	p := root.PersistentFlags()
	p.StringVar(&f.config, "config", "", "configuration `file` (default: ohpc-build.yaml in the current folder, if there is one)")
	p.StringVar(&f.catalog, "catalog", "", "`folder` with recipes, families and targets (default: the embedded catalogue)")
	p.StringVar(&f.tree, "tree", "", "`folder` of an OpenHPC checkout to read as it is, in place of a catalogue")
	p.StringVar(&f.release, "release", "", "`release`: of --tree, such as 3.2.0 (default: the latest that it has); of published repositories, such as 3 (default: all)")
	p.StringSliceVar(&f.targets, "target", nil, "`target` to work for; may be repeated (default: all of the catalogue; EL_9, Leap_15 and openEuler_22.03 for --tree)")
	p.StringSliceVar(&f.architectures, "arch", nil, "`architecture` to work for: x86_64 or aarch64; may be repeated (default: all)")
	p.StringSliceVar(&f.families, "family", nil, "`kind=member` to build with, such as compiler=gnu12; may be repeated (default: all members)")
	p.StringVar(&f.state, "state", "", "`folder` for the store, images and keys (default: ohpc-build in the user's cache folder)")
	p.StringVar(&f.out, "out", "out", "`folder` for repositories and reports")
	p.IntVar(&f.jobs, "jobs", 0, "how `many` builds run at a time (default: one for each core)")
	p.StringVar(&f.progress, "progress", "auto", "how to show progress: auto, plain or none")
	p.BoolVarP(&f.quiet, "quiet", "q", false, "show no progress and no table, only failures and the summary")
	p.StringVar(&f.logFormat, "log-format", "text", "format of the log on standard error: text or json")
	p.StringVar(&f.runtime, "runtime", "", "OCI runtime, a `name` or path (default: runc)")
	p.StringVar(&f.emulation, "emulation", matrix.EmulationNative, "`how` to build for another architecture: native (compilers and text tools run natively in the foreign root) or plain")
	p.BoolVarP(&f.verbose, "verbose", "v", false, "log what is being done")
	root.AddCommand(
		newMatrix(f), newPlan(f), newBuild(f), newRecipe(f), newSource(f), newRepo(f), newValidate(f), newKey(f), newCache(f), newReport(f), newStatus(f), newDoctor(f), newUnshare(), newVersion(),
	)
	tellFull(root, f)
	return root
}

// options are what a run is made of: flags over configuration over defaults.
func (f *flags) options(names []string) (matrix.Options, error) {
	var none matrix.Options
	c, err := readConfig(f.config)
	if err != nil {
		return none, err
	}
	cat, err := f.loadCatalog(c)
	if err != nil {
		return none, err
	}
	state, err := f.stateFolder()
	if err != nil {
		return none, err
	}
	if err := errors.Join(folder("--state", state), folder("--out", f.out)); err != nil {
		return none, err
	}
	families, err := f.chosenFamilies(c)
	if err != nil {
		return none, err
	}
	progress, beside, err := newProgress(f.progress, f.quiet, os.Stderr)
	if err != nil {
		return none, err
	}
	log, err := f.loggerTo(beside)
	if err != nil {
		return none, err
	}
	if f.jobs < 0 {
		return none, usageError("--jobs must be a positive number, not %d", f.jobs)
	}
	opt := matrix.Options{
		Program:       version,
		Catalog:       cat,
		Targets:       orElse(f.targets, c.Targets),
		Architectures: orElse(f.architectures, c.Architectures),
		Families:      families,
		Recipes:       names,
		State:         state,
		Out:           f.out,
		Jobs:          f.jobs,
		URL:           c.Repository.URL,
		Runtime:       c.Runtime,
		Mirror:        c.Mirrors.Debian,
		Emulation:     f.emulation,
		Key:           c.Key.source(),
		KeyName:       c.Key.Name,
		KeyEmail:      c.Key.Email,
		Progress:      progress,
		Log:           log,
	}
	if f.runtime != "" {
		opt.Runtime = f.runtime
	}
	return opt, nil
}

// matrix is a run with these recipes; none means all.
func (f *flags) matrix(names []string) (*matrix.Matrix, error) {
	opt, err := f.options(names)
	if err != nil {
		return nil, err
	}
	return matrix.New(opt)
}

// loadCatalog reads the catalogue or the tree that the flags and the configuration
// name. It knows all targets there are afterwards; those to work for by default are
// in the configuration's Targets.
func (f *flags) loadCatalog(c *config) (*recipes.Catalog, error) {
	switch {
	case f.tree != "" && f.catalog != "":
		return nil, usageError("--tree and --catalog name two places for recipes; give one")
	case f.tree == "" && f.release != "":
		return nil, usageError("--release is a release of a --tree")
	case f.tree != "":
		return f.loadTree(c)
	}
	// Recipes may name targets that only the configuration defines.
	var further []*recipes.Target
	for _, d := range c.Definitions {
		if len(d.Architectures) > 0 {
			further = append(further, &recipes.Target{Name: d.Name, Architectures: d.Architectures})
		}
	}
	dir := cmp.Or(f.catalog, c.Catalog)
	var (
		cat *recipes.Catalog
		err error
	)
	if dir == "" {
		cat, err = load.FS(catalog.FS(), further...)
	} else {
		cat, err = load.Dir(dir, further...)
	}
	if err != nil {
		return nil, &statusError{exitUsage, err}
	}
	return cat, c.completeTargets(cat)
}

// treeTargets are the distributions that OpenHPC 3.x is built for.
var treeTargets = []string{"EL_9", "Leap_15", "openEuler_22.03"}

func (f *flags) loadTree(c *config) (*recipes.Catalog, error) {
	known := &recipes.Catalog{}
	if len(c.Targets) == 0 {
		c.Targets = treeTargets
	}
	if err := c.completeTargets(known); err != nil {
		return nil, err
	}
	cat, err := tree.Load(f.tree, tree.Options{
		Release: f.release, Targets: known.Targets,
		// What the Build Service's project configuration tells the release package.
		Defines: map[string]string{"ohpc_repo": c.Repository.URL},
	})
	if err != nil {
		return nil, &statusError{exitUsage, err}
	}
	return cat, nil
}

func (f *flags) stateFolder() (string, error) {
	if f.state != "" {
		return f.state, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", usageError("there is no cache folder for the state (%w); name one with --state", err)
	}
	return filepath.Join(cache, "ohpc-build"), nil
}

// folder refuses what a flag names if it is something else than a folder, or in one
// that is none. It need not be there yet.
func folder(flag, name string) error {
	fi, err := os.Stat(name)
	switch {
	case err == nil && !fi.IsDir():
		return usageError("%s %s is no folder", flag, name)
	case errors.Is(err, syscall.ENOTDIR):
		return usageError("%s: %w", flag, err)
	}
	return nil
}

func (f *flags) chosenFamilies(c *config) (map[string]string, error) {
	families := map[string]string{}
	for kind, member := range c.Families {
		families[kind] = member
	}
	for _, choice := range f.families {
		kind, member, ok := strings.Cut(choice, "=")
		if !ok || kind == "" || member == "" {
			return nil, usageError("--family takes kind=member, such as compiler=gnu12, not %q", choice)
		}
		families[kind] = member
	}
	return families, nil
}

func (f *flags) logger() (*slog.Logger, error) { return f.loggerTo(os.Stderr) }

func (f *flags) loggerTo(w io.Writer) (*slog.Logger, error) {
	level := slog.LevelWarn
	if f.verbose {
		level = slog.LevelDebug
	}
	opt := &slog.HandlerOptions{Level: level}
	switch f.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, opt)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opt)), nil
	}
	return nil, usageError("--log-format is text or json, not %q", f.logFormat)
}

// noArgs is the Args of a command that takes none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("%s takes no argument, and was given %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// subcommand is the Args of a command that only groups others.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	hint := strict.DidYouMean(args[0], names)
	if hint != "" {
		hint = " (" + hint + ")"
	}
	return usageError("unknown command %q%s: %s --help lists the commands", args[0], hint, cmd.CommandPath())
}

// help is what a command does that only groups others.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

func orElse(a, b []string) []string {
	if len(a) > 0 {
		return a
	}
	return b
}

// plural is "1 job" or "2 jobs".
func plural(n int, what string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
