package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// buildFlags are the flags of build alone.
type buildFlags struct {
	keep   string
	shell  bool
	verify bool

	refresh bool
	locked  string
	job     string
	outcomeFlags
}

func newBuild(f *flags) *cobra.Command {
	var b buildFlags
	cmd := &cobra.Command{
		Use:   "build RECIPE…",
		Short: "Build recipes and what they need",
		Long: `build goes as far as the packages: it neither signs nor publishes. The packages
are put into <out>/packages, one folder for each target and architecture, and
matrix finds them in the store; the logs are in <out>/report/logs.

With --shell, a build that fails ends in a shell in its root as it was left: in
the same container, as the same user, without a network, where its last script
was. The root is removed when the shell is left, unless --keep is given. When the
root of a failed build is kept and nothing has changed since, --shell does not
build again but goes straight there.

With --verify, each job of the recipes is built a second time, as another user on
another host in another time zone, with another number of processes and with its
files in memory, whose folders list them in another order. Packages that are not
the same byte for byte fail the check "reproducible"; what differs, down to the
tag of the header or the file and its section, is told and is in
<out>/report/verify, together with what diffoscope says if the host has it. What
could not be varied is told too. Without a RECIPE, --verify takes all.

What each job's build root was made of is written to <out>/report/locks, one file
for each job. With --locked, the jobs of the recipes are made of exactly that: a
lock of another image or of other requirements is refused, and a package that is
not in the store any more is downloaded again and must be the same. Without it, the
packages of the distribution that a job was once found to need stay the same until
its requirements change or --refresh has them resolved anew.

What --keep keeps is in <state>/kept, one folder for each job with a README.`,
		Example: `  ohpc-build build scotch --arch x86_64 --family compiler=gnu12
  ohpc-build build scotch --arch aarch64 --shell
  ohpc-build build hwloc scotch --verify
  ohpc-build build scotch --locked out/report/locks`,
		Args: func(_ *cobra.Command, args []string) error {
			if b.job != "" && len(args) > 0 {
				return usageError("--job names all there is to build; give no recipe with it")
			}
			if len(args) == 0 && !b.verify && b.job == "" {
				return usageError("build takes at least one recipe: ohpc-build recipe list shows them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			opt, err := f.options(args)
			if err != nil {
				return err
			}
			if b.job != "" {
				return executeJob(cmd, opt, b.job)
			}
			if err := b.apply(cmd, &opt); err != nil {
				return err
			}
			m, err := matrix.New(opt)
			if err != nil {
				return err
			}
			run := m.Build
			if b.verify {
				run = m.Verify
			}
			r, err := run(cmd.Context())
			err = f.conclude(cmd, r, err)
			tellMore(cmd.OutOrStdout(), r, f.out, args)
			return err
		},
	}
	cmd.Flags().StringVar(&b.locked, "locked", "", "lock `file`, or folder of lock files, that says what build roots are made of")
	addRefresh(cmd, &b.refresh)
	cmd.Flags().StringVar(&b.keep, "keep", "", "keep the build roots of `which` jobs in <state>/kept: failed (also when nothing is said) or all")
	cmd.Flags().Lookup("keep").NoOptDefVal = "failed"
	cmd.Flags().BoolVar(&b.shell, "shell", false, "open a shell in the root of a build that fails")
	cmd.Flags().BoolVar(&b.verify, "verify", false, "build twice, in different conditions, and compare the packages")
	cmd.Flags().StringVar(&b.job, "job", "", "build the one job that this `file` in <state>/jobs describes, and leave its result in the store")
	_ = cmd.Flags().MarkHidden("job") // the programs that call it know
	b.add(cmd)
	return cmd
}

// executeJob builds a job as an executor elsewhere does. What the build prints goes to
// standard output.
func executeJob(cmd *cobra.Command, opt matrix.Options, file string) error {
	outcome, err := matrix.Execute(cmd.Context(), opt, file, cmd.OutOrStdout())
	if err != nil {
		return err
	}
	for _, p := range outcome.Result.Packages {
		fmt.Fprintln(cmd.OutOrStdout(), p.File, p.Digest)
	}
	return nil
}

// addRefresh adds the flag that makes a run ask for what it would remember.
func addRefresh(cmd *cobra.Command, refresh *bool) {
	cmd.Flags().BoolVar(refresh, "refresh", false, "resolve anew which packages of the distribution builds need")
}

// apply checks the flags and adds them to a run's options.
func (b *buildFlags) apply(cmd *cobra.Command, opt *matrix.Options) error {
	if err := b.outcomeFlags.apply(cmd, opt); err != nil {
		return err
	}
	if b.locked != "" && b.refresh {
		return usageError("--locked says which packages to take, and --refresh has them found anew; give one")
	}
	opt.Locked, opt.Refresh = b.locked, b.refresh
	switch b.keep {
	case "":
	case "failed":
		opt.Keep = matrix.KeepFailed
	case "all":
		opt.Keep = matrix.KeepAll
	default:
		return usageError("--keep is failed or all, not %q", b.keep)
	}
	if !b.shell {
		return nil
	}
	for _, f := range []*os.File{os.Stdin, os.Stdout} {
		if !term.IsTerminal(int(f.Fd())) {
			return usageError("--shell needs a terminal, and %s is none; --keep keeps the root for a later --shell", f.Name())
		}
	}
	opt.Shell = cmd.ErrOrStderr()
	return nil
}

// tellMore says where the packages of the recipes that were asked for are, what
// recipes do without, and where build roots are.
func tellMore(w io.Writer, r *report.Run, out string, asked []string) {
	for _, j := range r.Jobs {
		for _, p := range j.Packages {
			if p.Path != "" && slices.Contains(asked, j.Recipe) {
				fmt.Fprintln(w, filepath.Join(out, p.Path))
			}
		}
	}
	for _, j := range r.Jobs {
		for _, hint := range j.Hints {
			fmt.Fprintf(w, "hint: %s: %s\n", j.ID, hint)
		}
	}
	for _, j := range r.Jobs {
		if j.Kept != "" {
			fmt.Fprintf(w, "kept: the build root of %s in %s\n", j.ID, j.Kept)
		}
	}
}
