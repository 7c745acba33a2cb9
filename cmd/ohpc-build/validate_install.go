package main

import (
	"github.com/spf13/cobra"
)

func newValidateInstall(f *flags) *cobra.Command {
	p := &packagesFlags{}
	cmd := &cobra.Command{
		Use:   "install --repo DIR|URL",
		Short: "Install every component and meta-package in a container of its own, and remove it again",
		Long: `install installs the packages of a repository as its users will, in each cell and
with each of the target's package managers, signatures of packages and metadata
checked: the packages that were built from one source package together, unless they
exclude each other, and each meta-package alone, always in a fresh container without
a network. What packages require comes from the repository, from that of --base, and
from the image.

Then all that came is removed. No script may fail, which package managers only warn
about; what it printed is told. The packages of the image must be there all the time,
and the file system must be as it was, but for what the package managers keep for
themselves, users and groups, saved configuration, and ghosts. What is left is told
with the package or the script that is behind it.

Exit status: 0 everything installs and goes, 1 something does not, 2 the repository
or the key cannot be read or the command line is wrong, 3 the host lacks something.`,
		Example: `  ohpc-build validate install --repo out/repos/OpenHPC/3/Debian_12 --target Debian_12
  ohpc-build validate install --repo https://example.org/OpenHPC/3/EL_9 --target EL_9 --arch x86_64 --key RPM-GPG-KEY-OpenHPC-3`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := f.trustedKey(p.key)
			if err != nil {
				return err
			}
			return p.run(cmd, f, "install", key)
		},
	}
	p.add(cmd)
	p.addKey(cmd)
	p.addBase(cmd)
	return cmd
}

func (p *packagesFlags) addBase(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.base, "base", "", "repository that the one under test is an overlay on, a `folder or URL`, signed with the same key")
}
