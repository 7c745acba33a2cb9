package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

func newKey(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "The key that packages and repositories are signed with",
		Long: `The signing key lies in the state folder, readable by its owner only; it is made
when it is first needed. To sign with a key of your own, put its armored private
half there before: ohpc-build key show tells the path.`,
		Args: subcommand,
		RunE: help,
	}
	cmd.AddCommand(newKeyGenerate(f), newKeyShow(f), newKeyExport(f))
	return cmd
}

func newKeyGenerate(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "generate",
		Short: "Make the signing key (RSA-4096)",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig(f.config)
			if err != nil {
				return err
			}
			state, err := f.stateFolder()
			if err != nil {
				return err
			}
			path := matrix.KeyPath(state)
			if _, err := sign.LoadKey(path); !errors.Is(err, fs.ErrNotExist) {
				return usageError("%s is there already: packages signed with it need its public half, so move it away yourself if it is to be replaced", path)
			}
			key, err := matrix.SigningKey(state, c.Key.Name, c.Key.Email)
			if err != nil {
				return err
			}
			return showKey(cmd, path, key)
		},
	}
}

func newKeyShow(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show where the signing key is, its fingerprint and its user id",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, key, err := f.existingKey()
			if err != nil {
				return err
			}
			return showKey(cmd, path, key)
		},
	}
}

func newKeyExport(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Print the public key, armored, as clients import it",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, key, err := f.existingKey()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(key.PublicKey())
			return err
		},
	}
}

func (f *flags) existingKey() (string, *sign.Key, error) {
	state, err := f.stateFolder()
	if err != nil {
		return "", nil, err
	}
	path := matrix.KeyPath(state)
	key, err := sign.LoadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, usageError("there is no signing key in %s yet; matrix makes one when it is first needed, ohpc-build key generate makes one now", path)
	}
	return path, key, err
}

func showKey(cmd *cobra.Command, path string, key *sign.Key) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "file         %s\nfingerprint  %s\nuser id      %s\ncreated      %s\n",
		path, key.Fingerprint(), key.UserID(), key.Created().UTC().Format("2006-01-02 15:04:05 MST"))
	return err
}
