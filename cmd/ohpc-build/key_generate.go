package main

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/sign/keys"
)

// newKeyFlags say what a key that is made shall be.
type newKeyFlags struct {
	algorithm, expires string
}

func (n *newKeyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&n.algorithm, "algorithm", string(sign.RSA), "`kind` of key: rsa (RSA-4096, which every client verifies) or ed25519 (rpm 4.16 and later)")
	cmd.Flags().StringVar(&n.expires, "expires", "never", "`when` the key expires: never, a time such as 90d or 2y, or a date such as 2030-12-31")
}

func (n *newKeyFlags) complete(p *sign.Params) (err error) {
	switch p.Algorithm = sign.Algorithm(n.algorithm); p.Algorithm {
	case sign.RSA, sign.Ed25519:
	default:
		return usageError("--algorithm must be %s or %s, not %q", sign.RSA, sign.Ed25519, n.algorithm)
	}
	p.Created = time.Now()
	p.Lifetime, err = lifetime(n.expires, p.Created)
	return err
}

var period = regexp.MustCompile(`^([1-9][0-9]{0,4})([dwmy])$`)

// lifetime is how long it is from now to then; zero is for ever.
func lifetime(then string, now time.Time) (time.Duration, error) {
	if then == "never" {
		return 0, nil
	}
	end, err := time.ParseInLocation(time.DateOnly, then, time.UTC)
	if m := period.FindStringSubmatch(then); m != nil {
		n, _ := strconv.Atoi(m[1]) // digits, few of them
		years, months, days := 0, 0, 0
		switch m[2] {
		case "d":
			days = n
		case "w":
			days = 7 * n
		case "m":
			months = n
		case "y":
			years = n
		}
		end, err = now.AddDate(years, months, days), nil
	}
	if err != nil {
		return 0, usageError("--expires must be never, a time such as 90d, 8w, 6m or 2y, or a date such as 2030-12-31, not %q", then)
	}
	if !end.After(now) || end.Year() >= now.Year()+100 {
		return 0, usageError("--expires %s: a key expires in the future, and within 100 years", then)
	}
	return end.Sub(now).Truncate(time.Second), nil
}

// newKey is where a key is to be made, and what it shall be.
func (f *flags) newKey(n newKeyFlags) (*keys.Folder, sign.Params, error) {
	folder, params, err := f.keyFolder()
	if err != nil {
		return nil, sign.Params{}, err
	}
	return folder, params, n.complete(&params)
}

func newKeyGenerate(f *flags) *cobra.Command {
	var flags newKeyFlags
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Make the signing key",
		Example: `  ohpc-build key generate
  ohpc-build key generate --algorithm ed25519 --expires 2y`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, params, err := f.newKey(flags)
			if err != nil {
				return err
			}
			key, err := folder.Generate(cmd.Context(), params)
			if err != nil {
				return usageError("%w", err)
			}
			return showKey(cmd.OutOrStdout(), folder, key)
		},
	}
	flags.add(cmd)
	return cmd
}

func newKeyRotate(f *flags) *cobra.Command {
	var flags newKeyFlags
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the signing key by a new one and go on publishing the old public key",
		Long: `The next run of matrix signs everything with the new key; what the packages
contain does not change. Clients get both public keys until key retire ends that.
The old private key is kept in a file beside the new one. A key that gpg-agent or
a command holds is only marked as old: make its successor there, and name it in
the configuration.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, params, err := f.newKey(flags)
			if err != nil {
				return err
			}
			r, err := folder.Rotate(cmd.Context(), params)
			if errors.Is(err, fs.ErrNotExist) {
				return usageError("%w; there is no key to replace yet: ohpc-build key generate makes one", err)
			}
			if err != nil {
				return usageError("%w", err)
			}
			out := cmd.OutOrStdout()
			if r.Key == nil {
				_, err := fmt.Fprintf(out, "%s is still published from now on when another key signs: name that one in the configuration (source: %s)\n", r.Old.Fingerprint, folder)
				return err
			}
			if err := showKey(out, folder, r.Key); err != nil {
				return err
			}
			_, err = fmt.Fprintf(out, "\nThe old private key is in %s (mode 0600); nothing needs it any more.\n"+
				"ohpc-build matrix signs everything with the new key; when all clients have that,\nohpc-build key retire %s\n", r.Private, r.Old.Fingerprint)
			return err
		},
	}
	flags.add(cmd)
	return cmd
}

func newKeyRetire(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "retire FINGERPRINT",
		Short: "Publish an old key no longer",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("key retire takes one fingerprint, of those that key show lists as retired")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			folder, _, err := f.keyFolder()
			if err != nil {
				return err
			}
			if err := folder.Drop(cmd.Context(), args[0]); err != nil {
				return usageError("%w", err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is not published from the next run of matrix on\n", args[0])
			return err
		},
	}
}
