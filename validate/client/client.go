package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/validate"
)

// Client is one package manager and the repositories that it is told of. It holds no
// state: what a command changes is in the folders that it is given.
type Client struct {
	Container    validate.Container
	Manager      string // dnf, zypper
	Repositories Repositories

	// Timeout bounds one run of the package manager; 0 is [DefaultTimeout].
	Timeout time.Duration
}

// DefaultTimeout bounds one run of a package manager. Emulated, dnf needs minutes
// for a large repository that takes it seconds natively.
const DefaultTimeout = 20 * time.Minute

// Repositories are trees as their users see them.
type Repositories struct {
	Trees    []validate.Mount // folders of the host, and where the base URLs of RepoFile look for them
	RepoFile string           // file on the host that defines the repositories
	Keys     []string         // files on the host with the keys that users are told to import
}

// Place is what a command finds in its container and where its changes go.
type Place struct {
	Base    []string // folders with changes that the container begins with, the uppermost first; read-only
	Changes string   // folder that holds earlier commands' changes and receives this one's
}

// ManagerError says that no one taught this package how to drive a package manager.
type ManagerError struct{ Name string }

func (e *ManagerError) Error() string {
	return fmt.Sprintf("%q is not a package manager that can be driven (dnf, zypper)", e.Name)
}

// KeyInside is the URL in a container of the i-th key, for a repository's definition.
func KeyInside(i int) string { return "file://" + keyPath(i) }

func keyPath(i int) string { return fmt.Sprintf("/etc/pki/rpm-gpg/under-test-%d.asc", i) }

// words are the command lines of a package manager, but for the packages.
type words struct {
	prepare, install, remove, refresh, upgrade []string

	// fine are the statuses beside 0 with which all that was asked for was done, and
	// scripts that with which one of the packages' scripts failed.
	fine    string
	scripts int
}

// reposDir is where a container has the definition of the repositories. What else the
// image knows of, or a package brings along, is not at hand.
const reposDir = "/srv/repos.d"

// No metadata are fetched but when that is asked for: what was prepared is what is
// installed from. Nothing that is not asked for is removed (dnf: noautoremove).
var managers = map[string]words{
	"dnf": {
		prepare: dnf("makecache"),
		install: dnf("--setopt=metadata_expire=-1", "install", "--"),
		remove:  dnf("--setopt=metadata_expire=-1", "remove", "--noautoremove", "--"),
		refresh: dnf("makecache", "--refresh"),
		upgrade: dnf("--setopt=metadata_expire=-1", "upgrade"),
	},
	"zypper": {
		prepare: zypper("refresh"),
		install: zypper("--no-refresh", "install", "--no-recommends", "--"),
		remove:  zypper("--no-refresh", "remove", "--no-clean-deps", "--"),
		refresh: zypper("refresh", "--force"),
		upgrade: zypper("--no-refresh", "update", "--no-recommends"),
		// zypper(8): a reboot or a restart is suggested; some %post scripts failed
		fine: "102 103 107", scripts: 107,
	},
}

func dnf(args ...string) []string {
	return append([]string{"dnf", "--assumeyes", "--setopt=reposdir=" + reposDir}, args...)
}

func zypper(args ...string) []string {
	return append([]string{"zypper", "--non-interactive", "--reposd-dir=" + reposDir}, args...)
}

// Managers are those that can be driven.
func Managers() []string { return []string{"dnf", "zypper"} }

// Prepare makes a container know the repositories: their keys are imported by rpm, as
// a careful administrator does, after which neither manager may accept another one,
// and their metadata are fetched. It tells what is installed.
func (c *Client) Prepare(ctx context.Context, at Place, log io.Writer) ([]Installed, error) {
	w, err := c.words()
	if err != nil {
		return nil, err
	}
	if err := c.importKeys(ctx, at, log); err != nil {
		return nil, err
	}
	system, _, err := c.listed(ctx, at, w, w.prepare, log)
	return system, err
}

func (c *Client) importKeys(ctx context.Context, at Place, log io.Writer) error {
	args := []string{"rpm", "--import"}
	for i := range c.Repositories.Keys {
		args = append(args, keyPath(i))
	}
	return c.run(ctx, at, args, log, log)
}

// Install installs packages, and tells what is installed then and which scripts failed
// all the same.
func (c *Client) Install(ctx context.Context, at Place, packages []string, log io.Writer) ([]Installed, []Script, error) {
	w, err := c.words()
	if err != nil {
		return nil, nil, err
	}
	return c.listed(ctx, at, w, slices.Concat(w.install, packages), log)
}

// Remove removes packages and nothing else, and tells what is installed then and which
// scripts failed all the same.
func (c *Client) Remove(ctx context.Context, at Place, packages []string, log io.Writer) ([]Installed, []Script, error) {
	w, err := c.words()
	if err != nil {
		return nil, nil, err
	}
	return c.listed(ctx, at, w, slices.Concat(w.remove, packages), log)
}

// Upgrade imports the keys, which may be others than before, fetches the metadata anew
// and upgrades all that is installed, and tells what that is then and which scripts
// failed all the same.
func (c *Client) Upgrade(ctx context.Context, at Place, log io.Writer) ([]Installed, []Script, error) {
	w, err := c.words()
	if err != nil {
		return nil, nil, err
	}
	if err := c.importKeys(ctx, at, log); err != nil {
		return nil, nil, err
	}
	if err := c.run(ctx, at, w.refresh, log, log); err != nil {
		return nil, nil, err
	}
	return c.listed(ctx, at, w, w.upgrade, log)
}

// VerifyDependencies asks rpm whether what installed packages require is there. What
// is not is the error of the command, and in the log.
func (c *Client) VerifyDependencies(ctx context.Context, at Place, packages []string, log io.Writer) error {
	if len(packages) == 0 {
		return nil
	}
	return c.run(ctx, at, slices.Concat([]string{"rpm", "--verify", "--nofiles", "--noscripts", "--"}, packages), log, log)
}

func (c *Client) words() (words, error) {
	w, ok := managers[c.Manager]
	if !ok {
		return words{}, &ManagerError{c.Manager}
	}
	return w, nil
}

// listScript runs a command, and tells how it ended and what is installed then if it
// succeeded. Only the shell and rpm write to the standard output, so that no package's
// script can add to the list.
const listScript = `fine=$1
shift
"$@" >&2
status=$?
case " 0 $fine " in *" $status "*) ;; *)
	# The shell is the container's first process: with such a status it would look killed itself.
	if [ "$status" -gt 128 ]; then
		echo "ended by signal $((status - 128))" >&2
		status=1
	fi
	exit "$status"
	;;
esac
echo "$status"
exec rpm --query --all --queryformat '` + queryFormat + `'`

func (c *Client) listed(ctx context.Context, at Place, w words, args []string, log io.Writer) ([]Installed, []Script, error) {
	list, failed := &bounded{limit: maxList}, &scripts{}
	err := c.run(ctx, at, slices.Concat([]string{"/bin/sh", "-c", listScript, "list", w.fine}, args), list, io.MultiWriter(log, failed))
	scripts := failed.close()
	if err != nil {
		if len(scripts) > 0 {
			err = fmt.Errorf("%w\n%s", err, told(scripts))
		}
		return nil, nil, err
	}
	first, rest, _ := strings.Cut(list.String(), "\n")
	status, err := strconv.Atoi(first)
	if err != nil {
		return nil, nil, fmt.Errorf("how %s ended is told as %.100q", c.Manager, first)
	}
	if status != 0 && status == w.scripts && len(scripts) == 0 {
		scripts = append(scripts, unnamed(c.Manager, status))
	}
	all, err := readList(rest)
	return all, scripts, err
}

func (c *Client) run(ctx context.Context, at Place, args []string, out, log io.Writer) error {
	shown := args
	if slices.Contains(args, listScript) {
		shown = args[5:]
	}
	fmt.Fprintf(log, "+ %s\n", strings.Join(shown, " "))
	timeout := c.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	err := c.Container.Run(ctx, validate.Command{
		Args: args, Env: []string{"LC_ALL=C.UTF-8"}, Mounts: c.mounts(), Base: at.Base, Changes: at.Changes, Root: true,
		Timeout: timeout, Output: out, Errors: log,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(verb(shown), " "), err)
	}
	return nil
}

// verb is a command line up to the word that says what is done.
func verb(args []string) []string {
	for i, a := range args[1:] {
		if !strings.HasPrefix(a, "-") {
			return []string{args[0], args[1+i]}
		}
	}
	return args[:min(len(args), 2)]
}

// mounts shows a container the repositories, their definition and their keys.
func (c *Client) mounts() []validate.Mount {
	r := c.Repositories
	mounts := slices.Concat(r.Trees, []validate.Mount{
		{Source: r.RepoFile, Destination: reposDir + "/under-test.repo"},
	})
	for i, key := range r.Keys {
		mounts = append(mounts, validate.Mount{Source: key, Destination: keyPath(i)})
	}
	return mounts
}

// bounded keeps the first limit bytes of what is written to it. It has no further
// methods: with ReadFrom, whoever copies into it would pass the limit by.
type bounded struct {
	kept  bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.kept.Write(p[:max(0, min(len(p), b.limit-b.kept.Len()))])
	return len(p), nil
}

func (b *bounded) String() string { return b.kept.String() }
