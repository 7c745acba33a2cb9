package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/sign/keys"
)

func newKey(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "The key that packages and repositories are signed with",
		Long: `The signing key lies in the state folder, readable by its owner only; it is made
when it is first needed. The configuration may name another place (key: {file:,
agent: or command:}): a file, gpg-agent, or a program that signs digests.`,
		Args: subcommand,
		RunE: help,
	}
	cmd.AddCommand(newKeyGenerate(f), newKeyShow(f), newKeyExport(f), newKeyRotate(f), newKeyRetire(f))
	return cmd
}

// keyFolder is where the keys are, and what the configuration says of new ones.
func (f *flags) keyFolder() (*keys.Folder, sign.Params, error) {
	c, err := readConfig(f.config)
	if err != nil {
		return nil, sign.Params{}, err
	}
	state, err := f.stateFolder()
	if err != nil {
		return nil, sign.Params{}, err
	}
	folder, err := matrix.Keys(state, c.Key.source())
	return folder, matrix.KeyParams(c.Key.Name, c.Key.Email), err
}

// existingKey is the key that signs, with the retired ones, and where it is.
func (f *flags) existingKey() (*keys.Folder, *sign.Key, error) {
	folder, _, err := f.keyFolder()
	if err != nil {
		return nil, nil, err
	}
	key, err := folder.Key(context.Background()) // whoever holds it has a time limit
	if errors.Is(err, keys.ErrNoKey) {
		return nil, nil, usageError("%w; matrix makes one when it is first needed, ohpc-build key generate makes one now", err)
	}
	if err != nil {
		return nil, nil, usageError("%w", err)
	}
	return folder, key, nil
}

func newKeyShow(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show where the signing key is, what it is, and which old keys are still published",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, key, err := f.existingKey()
			if err != nil {
				return err
			}
			return showKey(cmd.OutOrStdout(), folder, key)
		},
	}
}

func newKeyExport(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Print the public key, and old ones still published, as clients import them",
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

func showKey(w io.Writer, folder *keys.Folder, key *sign.Key) error {
	all := key.Published().Keys()
	k := all[0]
	if _, err := fmt.Fprintf(w, "source       %s\nfingerprint  %s\n", folder, k.Fingerprint); err != nil {
		return err
	}
	if sub := key.SigningFingerprint(); sub != k.Fingerprint {
		fmt.Fprintf(w, "subkey       %s\n", sub)
	}
	fmt.Fprintf(w, "algorithm    %s\nuser id      %s\ncreated      %s\nexpires      %s\n",
		k.Algorithm, k.UserID, k.Created.Format("2006-01-02 15:04:05 MST"), expiry(k))
	for _, old := range all[1:] {
		fmt.Fprintf(w, "retired      %s  %s, created %s, expires %s\n", old.Fingerprint, old.Algorithm, old.Created.Format(time.DateOnly), expiry(old))
	}
	return nil
}

func expiry(k sign.Public) string {
	switch {
	case k.Revoked:
		return "revoked"
	case k.Expires.IsZero():
		return "never"
	}
	return k.Expires.Format(time.DateOnly)
}
