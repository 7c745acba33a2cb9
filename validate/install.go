package validate

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Repository is the tree under test as its clients will see it.
type Repository struct {
	Root      string // folder on the host
	MountedAt string // where the base URL of RepoFile looks for it
	RepoFile  string // file on the host with the repository's definition
	PublicKey string // file on the host with the key that clients are told to import
}

const (
	keyInside = "/etc/pki/rpm-gpg/under-test.asc"

	// managerTimeout bounds one run of a package manager. Emulated, dnf needs
	// minutes for what takes it seconds natively.
	managerTimeout = 20 * time.Minute
)

// mounts shows a container the repository, its definition for both package
// managers and its key.
func (r Repository) mounts() []Mount {
	return []Mount{
		{r.Root, r.MountedAt},
		{r.RepoFile, "/etc/yum.repos.d/under-test.repo"},
		{r.RepoFile, "/etc/zypp/repos.d/under-test.repo"},
		{r.PublicKey, keyInside},
	}
}

// ManagerError says that no one taught this package how to drive a package manager.
type ManagerError struct{ Name string }

func (e *ManagerError) Error() string {
	return fmt.Sprintf("%q is not a package manager that validate knows (dnf, zypper)", e.Name)
}

// installCommands are the command lines of an installation. The key is imported
// first, by rpm, as a careful administrator does: after that neither manager may
// accept another one, and both check packages and metadata.
func installCommands(manager string, packages []string) ([][]string, error) {
	importKey := []string{"rpm", "--import", keyInside}
	switch manager {
	case "dnf":
		return [][]string{
			importKey,
			append([]string{"dnf", "--assumeyes", "install", "--"}, packages...),
		}, nil
	case "zypper":
		return [][]string{
			importKey,
			{"zypper", "--non-interactive", "refresh", "--force"},
			append([]string{"zypper", "--non-interactive", "install", "--no-recommends", "--"}, packages...),
		}, nil
	}
	return nil, &ManagerError{manager}
}

// Install installs packages with a package manager in a fresh container, GPG
// checks on, and asks rpm whether they are there. The check's name is
// install-<manager>. What changed in the container is left in the empty folder
// keep, for tests to stand on.
func Install(ctx context.Context, c Container, repo Repository, manager, subject string, packages []string, keep string) Check {
	return run(ctx, "install-"+manager, subject, func(log io.Writer) error {
		commands, err := installCommands(manager, packages)
		if err != nil {
			return err
		}
		commands = append(commands, append([]string{"rpm", "--query", "--"}, packages...))
		for _, args := range commands {
			fmt.Fprintf(log, "+ %s\n", strings.Join(args, " "))
			err := c.Run(ctx, Command{
				Args:    args,
				Mounts:  repo.mounts(),
				Changes: keep,
				Root:    true,
				Timeout: managerTimeout,
				Output:  log,
			})
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
		}
		return nil
	})
}
