package main

import (
	"github.com/spf13/cobra"
)

func newValidateUpgrade(f *flags) *cobra.Command {
	p := &packagesFlags{}
	cmd := &cobra.Command{
		Use:   "upgrade --repo DIR|URL --from DIR|URL",
		Short: "Upgrade what another repository has to what this one has",
		Long: `upgrade installs, in each cell and with each of the target's package managers, the
packages of one repository (--from), gives the container the other repository (--repo)
in its place, or beside that of --base, and upgrades. What excludes each other, such as
families of which one is chosen, comes into different containers: each package that
both repositories have is upgraded once. What cannot be installed at all, and what is
not offered any more and finds no room, is told with the reason.

The package manager must succeed, and no script of a new package may fail. What was
installed must then be there in the newest version that is offered, never in an older
one than before; or have been replaced by what obsoletes it. Packages that are no longer
offered may stay. No requirement may be left without a provider.

Exit status: 0 the upgrades went well, 1 one did not, 2 a repository or the key cannot
be read or the command line is wrong, 3 the host lacks something.`,
		Example: `  ohpc-build validate upgrade --from out/repos/OpenHPC/3/Debian_12 --repo out/repos/OpenHPC/3/factory/Debian_12 --target Debian_12
  ohpc-build validate upgrade --base https://example.org/OpenHPC/3/EL_9 --repo https://example.org/OpenHPC/3/updates/EL_9 --target EL_9 \
    --arch x86_64 --key RPM-GPG-KEY-OpenHPC-3`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.from == "" && p.base == "" {
				return usageError("--from names the repository to upgrade from, or --base the one that --repo is an overlay on")
			}
			key, err := f.trustedKey(p.key)
			if err != nil {
				return err
			}
			return p.run(cmd, f, "upgrade", key)
		},
	}
	p.add(cmd)
	p.addKey(cmd)
	p.addBase(cmd)
	p.addFrom(cmd)
	return cmd
}

func (p *packagesFlags) addFrom(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.from, "from", "", "repository to upgrade from, a `folder or URL`, signed with the same key")
}
