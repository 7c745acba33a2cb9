package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/layout"
)

func newMatrix(f *flags) *cobra.Command {
	var (
		refresh bool
		o       outcomeFlags
		to      string
		tree    string
		allow   diff.Allow
		overlay overlayFlags
	)
	cmd := &cobra.Command{
		Use:   "matrix [RECIPE…]",
		Short: "Plan, build, sign, validate and publish, for every cell",
		Long: `matrix takes recipes all the way: it plans what has to be built, builds it in
containers, signs the packages, assembles a snapshot of each target, tries the
snapshot in fresh containers, and publishes it when everything is green.

Without a RECIPE it takes all. What nothing has changed for is not done again.

What is published is copied to the storage that ohpc-build.yaml names
(repository.storage), as repo push does.

With --overlay-on it makes an overlay: the snapshot holds the packages of the named
recipes only, newer than those of a complete repository that is there already. Both
together must be closed, what was rebuilt must install and be removed, and who has
installed from that repository must get it by an ordinary upgrade, before the overlay
is published, by default in the channel updates.`,
		Example: `  ohpc-build matrix
  ohpc-build matrix scotch --arch x86_64
  ohpc-build matrix warewulf --target EL_9 --overlay-on https://example.org/OpenHPC/3/EL_9 --overlay-key RPM-GPG-KEY-OpenHPC-3`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opt, err := f.options(args)
			if err != nil {
				return err
			}
			opt.Refresh = refresh
			if err := o.apply(cmd, &opt); err != nil {
				return err
			}
			opt.Allow, opt.SuiteTree = allow, tree
			if err := overlay.apply(cmd, &opt, &to); err != nil {
				return err
			}
			if opt.Channel, err = parseChannel("--channel", to); err != nil {
				return err
			}
			storage, err := f.storage()
			if err != nil {
				return err
			}
			m, err := matrix.New(opt)
			if err != nil {
				return err
			}
			r, err := m.Run(cmd.Context())
			if err := f.conclude(cmd, r, err); err != nil || storage == nil {
				return err
			}
			return f.pushPublished(cmd, *storage, opt.Channel)
		},
	}
	addRefresh(cmd, &refresh)
	o.add(cmd)
	cmd.Flags().StringVar(&to, "channel", string(layout.Release), "`channel` to publish in: release, updates, staging, factory or pr/<number>")
	overlay.add(cmd)
	cmd.Flags().BoolVar(&allow.Downgrade, "allow-downgrade", false, "publish although packages are older than those that are published")
	cmd.Flags().BoolVar(&allow.Removal, "allow-removal", false, "publish although packages are gone")
	addTechPreview(cmd, &allow)
	cmd.Flags().StringVar(&tree, "suite-tree", "", "`folder` with a tests/ tree of OpenHPC, to be run as part of the check suite")
	return cmd
}

// outcomeFlags say what is to happen when a build fails.
type outcomeFlags struct {
	keepGoing bool
	failFast  bool
	retry     int
}

func (o *outcomeFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.keepGoing, "keep-going", true, "when a build fails, build everything that does not need it all the same")
	cmd.Flags().BoolVar(&o.failFast, "fail-fast", false, "when a build fails, begin no other; those that run are left to end")
	cmd.Flags().IntVar(&o.retry, "retry", 0, "try a job again so `many` times after faults of the infrastructure: failed downloads, containers that did not start or were killed; never after a failed build")
}

// apply checks the flags and adds them to a run's options.
func (o *outcomeFlags) apply(cmd *cobra.Command, opt *matrix.Options) error {
	if o.failFast && o.keepGoing && cmd.Flags().Changed("keep-going") {
		return usageError("--keep-going and --fail-fast are opposites; give one")
	}
	if o.retry < 0 || o.retry > maxRetry {
		return usageError("--retry is a number from 0 to %d, not %d", maxRetry, o.retry)
	}
	opt.FailFast, opt.Retry = o.failFast || !o.keepGoing, o.retry
	return nil
}

// maxRetry is how often a job may be tried again: each time it is waited twice as long.
const maxRetry = 8

// conclude prints how a run went. What the table shows is not said again.
func (f *flags) conclude(cmd *cobra.Command, r *report.Run, err error) error {
	return f.concludeIn(cmd, filepath.Join(f.out, matrix.ReportFolder), r, err)
}

// concludeIn is conclude for a run whose report is in a folder.
func (f *flags) concludeIn(cmd *cobra.Command, dir string, r *report.Run, err error) error {
	out := cmd.OutOrStdout()
	if len(r.Jobs)+len(r.Checks) > 0 && !f.quiet {
		fmt.Fprintln(out)
		if terr := r.Table(out); terr != nil {
			return terr
		}
	}
	for _, line := range r.FailuresIn(dir) {
		fmt.Fprintln(out, "\n"+line)
	}
	if len(r.Jobs)+len(r.Checks) == 0 && err != nil {
		return err
	}
	fmt.Fprintln(out)
	fmt.Fprintln(out, r.Summary())
	for _, s := range r.Snapshots {
		fmt.Fprintf(out, "%s: %s in %s\n", s.Target, plural(s.Packages, "package"), filepath.Join(f.out, s.Path))
	}
	fmt.Fprintf(out, "report: %s\n", filepath.Join(dir, "index.html"))
	return err
}
