package main

import (
	"github.com/spf13/cobra"
)

func newValidateSuite(f *flags) *cobra.Command {
	p := &packagesFlags{}
	cmd := &cobra.Command{
		Use:   "suite --repo DIR|URL",
		Short: "Run the recipes' tests, or a whole tests/ tree of OpenHPC, on the packages of a repository",
		Long: `suite runs the tests of the catalogue's recipes on a repository that anybody made, in
each cell: rpm tells what the packages of each recipe's variants are called, and the
tests of those that the repository has are run as matrix runs them, in a fresh
container with these packages, what they require, and what the test names. A test that
needs a package that the repository does not have is skipped and says so, and packages
of which no recipe has tests are told.

With --suite-tree it also runs a tests/ tree as OpenHPC has it: it installs the packages
that call for an area of the tree in a fresh container, copies the tree there, and as
an ordinary user without a network does

  ./bootstrap && ./configure --disable-all --enable-AREA … && make check

with the compiler and MPI families that the repository has. Which areas the packages
call for follows from their names and the options of configure.ac. BATS comes along;
autotools must be in the target's image or in ohpc-autotools. Each case of the JUnit
files that the tree leaves is a case of the check.

Exit status: 0 all tests passed or were skipped with a reason, 1 some failed, 2 the
repository, the key or the tree cannot be read or the command line is wrong, 3 the host
lacks something.`,
		Example: `  ohpc-build validate suite --repo https://example.org/OpenHPC/3/EL_9 --target EL_9 --arch x86_64 --key RPM-GPG-KEY-OpenHPC-3
  ohpc-build validate suite --repo out/repos/OpenHPC/3/Debian_12 --target Debian_12 --arch x86_64 --suite-tree ../ohpc/tests`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
	p.addSuiteTree(cmd)
	return cmd
}

func (p *packagesFlags) addSuiteTree(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.suiteTree, "suite-tree", "", "`folder` with a tests/ tree of OpenHPC to run as well")
}
