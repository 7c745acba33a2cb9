package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/verify"
)

func newRepoVerify(f *flags) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use:   "verify [DIR]",
		Short: "Read repositories again: signatures, digests, metadata against files, channels",
		Long: `verify reads everything again that was published: each snapshot's signatures and
digests, its metadata against its files, whether each channel's mirrorlist, link,
.repo file and history agree, and that there is no link, .repo file or repository of
no channel. DIR is such a tree (default: the output folder's repos) or a single
repository.`,
		Example: `  ohpc-build repo verify
  ohpc-build repo verify out/repos/OpenHPC/3/Debian_12
  ohpc-build repo verify /srv/repos --key RPM-GPG-KEY-OpenHPC-3`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError("repo verify takes one folder: a published tree, or a repository's, which holds repodata")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			trusted, err := f.trusted(keyFile)
			if err != nil && keyFile == "" {
				return usageError("%w; --key FILE trusts another public key, such as the one beside the repository that you have compared", err)
			}
			if err != nil {
				return err
			}
			name := f.reposFolder()
			if len(args) == 1 {
				name = args[0]
			}
			// The name that clients use is a link to the snapshot of the day.
			_, err = os.Stat(name) // whose errors name it
			dir := name
			if err == nil {
				dir, err = filepath.EvalSymlinks(name)
			}
			if err != nil {
				return usageError("what to verify: %w; --out names another output folder", err)
			}
			done := "everything is as it was signed"
			if _, err := os.Stat(filepath.Join(dir, layout.Snapshots)); err == nil {
				if _, err := os.Stat(filepath.Join(dir, layout.Product)); err != nil {
					return usageError("%s has snapshots, and no channel points to them: %w; ohpc-build repo publish makes one point there, and a single snapshot is verified by the name of its folder", name, err)
				}
				sum, err := verify.Tree(cmd.Context(), dir, trusted)
				if err != nil {
					return err
				}
				done = fmt.Sprintf("%s, %s: %s", plural(sum.Snapshots, "snapshot"), plural(sum.Channels, "channel"), done)
			} else if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(rpmmd.RepomdFile))); err != nil {
				return usageError("%s is neither a published tree nor a repository: it has no folder %s, and %w", name, layout.Snapshots, err)
			} else if err := verify.Repository(cmd.Context(), dir, trusted); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", name, done)
			return err
		},
	}
	cmd.Flags().StringVar(&keyFile, "key", "", "`file` with the public key to trust (default: the state folder's signing key)")
	return cmd
}
