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

// Install installs packages with a package manager in a container, GPG checks on,
// and asks rpm whether they are there. The check's name is install-<manager>.
// What changed in the container is left in the folder changes, for tests to stand
// on; an empty one makes the container a fresh one.
func Install(ctx context.Context, c Container, repo Repository, manager, subject string, packages []string, changes string) Check {
	return run(ctx, "install-"+manager, subject, func(log io.Writer) error {
		commands, err := installCommands(manager, packages)
		if err != nil {
			return err
		}
		for _, args := range append(commands, queryCommand(packages)) {
			if err := repo.command(ctx, c, args, changes, log); err != nil {
				return err
			}
		}
		return nil
	})
}

// Installed says whether all packages are there already, themselves or by another
// that provides them.
func Installed(ctx context.Context, c Container, repo Repository, packages []string, changes string) bool {
	return repo.command(ctx, c, queryCommand(packages), changes, io.Discard) == nil
}

func queryCommand(packages []string) []string {
	return append([]string{"rpm", "--query", "--whatprovides", "--"}, packages...)
}

// command runs one command as root in a container that has the repository.
func (r Repository) command(ctx context.Context, c Container, args []string, changes string, log io.Writer) error {
	fmt.Fprintf(log, "+ %s\n", strings.Join(args, " "))
	err := c.Run(ctx, Command{
		Args:    args,
		Mounts:  r.mounts(),
		Changes: changes,
		Root:    true,
		Timeout: managerTimeout,
		Output:  log,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}
