package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/repo/verify"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

func newRepo(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repo",
		Short: "Published repositories",
		Args:  subcommand,
		RunE:  help,
	}
	cmd.AddCommand(newRepoCreate(f), newRepoVerify(f), newRepoServe(f), newRepoDist(f))
	return cmd
}

func newRepoVerify(f *flags) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Read a whole repository again: signatures, digests, metadata against files",
		Example: `  ohpc-build repo verify out/repos/OpenHPC/3/Debian_12
  ohpc-build repo verify /srv/repos/OpenHPC/3/EL_9 --key RPM-GPG-KEY-OpenHPC-3`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("repo verify takes one folder: the one that holds repodata")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			trusted, err := f.trusted(keyFile)
			if err != nil {
				return err
			}
			// The name that clients use is a link to the snapshot of the day.
			dir, err := filepath.EvalSymlinks(args[0])
			if err != nil {
				return usageError("the repository: %w", err)
			}
			if err := verify.Repository(cmd.Context(), dir, trusted); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: everything is as it was signed\n", args[0])
			return err
		},
	}
	cmd.Flags().StringVar(&keyFile, "key", "", "`file` with the public key to trust (default: the state folder's signing key)")
	return cmd
}

// trusted are the keys in a file, or the signing key and those that it replaced.
func (f *flags) trusted(keyFile string) (*sign.Keyring, error) {
	if keyFile == "" {
		_, key, err := f.existingKey()
		if err != nil {
			return nil, err
		}
		return key.Published(), nil
	}
	file, err := os.Open(keyFile)
	if err != nil {
		return nil, usageError("the key: %w", err)
	}
	defer file.Close()
	return sign.ReadKeyring(file)
}
