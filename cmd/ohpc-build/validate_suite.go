package main

import (
	"github.com/spf13/cobra"
)

func newValidateSuite(f *flags) *cobra.Command {
	p := &packagesFlags{}
	cmd := &cobra.Command{
		Use:   "suite --repo DIR|URL --suite-tree DIR",
		Short: "Run a whole tests/ tree of OpenHPC on the packages of a repository",
		Long: `suite runs a tests/ tree as OpenHPC has it on the packages of a repository, in each
cell: it installs the packages that call for an area of the tree in a fresh container,
copies the tree there, and as an ordinary user without a network does

  ./bootstrap && ./configure --disable-all --enable-AREA … && make check

with the compiler and MPI families that the repository has. Which areas the packages
call for follows from their names and the options of configure.ac. BATS comes along;
autotools must be in the target's image or in ohpc-autotools. Each case of the JUnit
files that the tree leaves is a case of the check.

The recipes' own tests run in matrix.

Exit status: 0 all tests passed or were skipped with a reason, 1 some failed, 2 the
repository, the key or the tree cannot be read or the command line is wrong, 3 the host
lacks something.`,
		Example: `  ohpc-build validate suite --repo out/repos/OpenHPC/3/Debian_12 --target Debian_12 --arch x86_64 --suite-tree ../ohpc/tests`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.suiteTree == "" {
				return usageError("--suite-tree names the tree of tests to run")
			}
			key, err := f.trustedKey(p.key)
			if err != nil {
				return err
			}
			return p.run(cmd, f, "suite", key)
		},
	}
	p.add(cmd)
	p.addKey(cmd)
	p.addBase(cmd)
	cmd.Flags().StringVar(&p.suiteTree, "suite-tree", "", "`folder` with the tree of tests")
	return cmd
}
