package suitetree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/validate"
)

// Tree is a tests/ tree and where it runs.
type Tree struct {
	Check, Subject string // of the check
	Dir            string // on the host
	BATS           string // folder on the host with bats-core

	Areas    []Area
	Families Families

	Base    []string // folders with what was installed for it, the uppermost first
	Changes string   // an empty folder for what it changes, where results are read
	Limit   time.Duration
}

// Bounds of a tree.
const (
	maxTreeFiles = 100_000
	maxTreeSize  = 1 << 30
)

// Where a container finds things, and the user whom OpenHPC's own tests run as.
const (
	treeInside = "/srv/suite-tree"
	batsInside = "/opt/bats"
	user       = "ohpc-test"
	userID     = 5000
	home       = "/home/" + user
)

// Configure reads a tree's configure.ac. The error tells what is no such tree.
func Configure(dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("the tree of tests: %w", err)
	}
	defer root.Close()
	const limit = 4 << 20
	f, err := root.Open("configure.ac")
	if err != nil {
		return "", fmt.Errorf("the tree of tests in %s: %w; it is the folder tests of an OpenHPC checkout that is wanted", dir, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return "", fmt.Errorf("the tree of tests in %s: %w", dir, err)
	}
	var files, size int64
	err = fs.WalkDir(root.FS(), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			fi, err := d.Info()
			if err != nil {
				return err
			}
			size += fi.Size()
		} else if !d.IsDir() && d.Type() != fs.ModeSymlink {
			return errors.New("there are files in it that are neither files, folders nor links")
		}
		if files++; files > maxTreeFiles || size > maxTreeSize {
			return fmt.Errorf("it has more than %d files or %d MiB", maxTreeFiles, maxTreeSize>>20)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("the tree of tests in %s: %w", dir, err)
	}
	return string(b), nil
}

// Fixed scripts; what varies are their arguments.
const (
	copyScript = `useradd --create-home --home-dir "$3" --uid "$2" "$1" &&
cp -R -- "$4/." "$3/tests" && chown -R "$1" "$3/tests"`
	// A login shell has set the PATH to its own.
	checkScript = `cd "$HOME/tests" || exit
PATH=` + batsInside + `/bin:$PATH
./bootstrap && ./configure --disable-all "$@" || { echo "the tree could not be configured" >&2; exit 99; }
make -k check && exit
status=$?
[ ! -f test-suite.log ] || tail -c 200000 test-suite.log
exit "$status"`
)

// Run copies the tree into a container where the packages are installed, and has it
// check the areas that there are.
func Run(ctx context.Context, c validate.Container, t Tree) validate.Check {
	var cases []validate.Case
	check := validate.Run(ctx, t.Check, t.Subject, func(log io.Writer) (err error) {
		cases, err = t.run(ctx, c, log)
		return err
	})
	check.Cases = cases
	return check
}

func (t Tree) run(ctx context.Context, c validate.Container, log io.Writer) ([]validate.Case, error) {
	if len(t.Areas) == 0 {
		return nil, &validate.SkipError{Reason: "no package under test calls for any area of the tree"}
	}
	mounts := []validate.Mount{{Source: t.Dir, Destination: treeInside}, {Source: t.BATS, Destination: batsInside}}
	err := c.Run(ctx, validate.Command{
		Args:   []string{"/bin/sh", "-c", copyScript, "copy", user, fmt.Sprint(userID), home, treeInside},
		Mounts: mounts, Base: t.Base, Changes: t.Changes, Root: true, Timeout: t.Limit, Output: log,
	})
	if err != nil {
		return nil, fmt.Errorf("copying the tree: %w", err)
	}
	options := t.options()
	fmt.Fprintf(log, "+ ./bootstrap && ./configure --disable-all %s && make check\n", strings.Join(options, " "))
	err = c.Run(ctx, validate.Command{
		Args: append([]string{"/bin/bash", "-l", "-c", checkScript, "check"}, options...),
		Env: []string{
			"HOME=" + home, "USER=" + user, "LOGNAME=" + user, "LC_ALL=C.UTF-8", "TERM=dumb", "SIMPLE_CI=1", "BATS_NO_SUMMARY=1",
		},
		Mounts: mounts, Base: t.Base, Changes: t.Changes, User: userID, Timeout: t.Limit, Output: log,
	})
	if ctx.Err() != nil {
		return nil, err
	}
	cases, problems, rerr := results(filepath.Join(t.Changes, filepath.FromSlash(home), "tests"))
	if rerr != nil {
		return cases, rerr
	}
	return cases, verdict(cases, problems, err)
}

func (t Tree) options() []string {
	var options []string
	for _, a := range t.Areas {
		options = append(options, "--enable-"+a.Option)
	}
	return append(options, "--with-compiler-families="+strings.Join(t.Families.Compilers, " "), "--with-mpi-families="+strings.Join(t.Families.MPIs, " "))
}

func verdict(cases []validate.Case, problems []string, err error) error {
	failed, skipped := 0, 0
	var lines []string
	const told = 5
	for _, c := range cases {
		switch c.Outcome {
		case validate.Fail:
			if failed++; failed <= told {
				lines = append(lines, c.Name+": "+c.Reason)
			}
		case validate.Skip:
			skipped++
		}
	}
	switch {
	case len(cases) == 0 && err == nil:
		problems = append(problems, "make check succeeded, and there is no result of any test")
	case len(cases) == 0:
		return err // with the log's last lines
	case err != nil && failed == 0:
		problems = append(problems, fmt.Sprintf("no test failed, but make check: %v", err))
	}
	if failed > 0 {
		problems = append(problems, fmt.Sprintf("%d of %d tests failed", failed, len(cases)))
	}
	if len(problems) > 0 {
		return &validate.Finding{Text: strings.Join(append(problems, lines...), "\n")}
	}
	if skipped == len(cases) {
		return &validate.SkipError{Reason: fmt.Sprintf("all %d tests were skipped", skipped)}
	}
	return nil
}
