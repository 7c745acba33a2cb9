package main

import (
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/builder/rootless"
	"github.com/ohpc-build/ohpc-build/matrix/host"
)

func newUnshare() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unshare COMMAND [ARGUMENT…]",
		Short: "Run a command in an ordinary user's user namespace",
		Long: `unshare runs a command as this program itself runs when an ordinary user starts
it: as root of a user namespace, in which the user's subordinate ids are the other
users. It is for looking at what containers left in the state folder, and for
removing the folder, as its files belong to these users. For root it does nothing
but to run the command.`,
		Example: `  ohpc-build unshare rm -rf ~/.cache/ohpc-build
  ohpc-build unshare ls -l ~/.cache/ohpc-build/layers/images`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("unshare takes a command")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := rootless.Check(); err != nil {
				return &host.Error{Problems: []error{err}}
			}
			path, err := exec.LookPath(args[0])
			if err != nil {
				return usageError("%w", err)
			}
			return syscall.Exec(path, args, os.Environ())
		},
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}
