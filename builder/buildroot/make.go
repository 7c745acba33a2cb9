package buildroot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

const (
	// installScript installs the packages that it is given, and lists all that are
	// installed then.
	installScript = `rpm --upgrade --nosignature --oldpackage --replacepkgs "$@" >&2 || exit
exec rpm --query --all --queryformat '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm\n'`

	maxTries = 3
)

// make makes a root on top of the one that holds most of it already.
func (a *Assembler) make(ctx context.Context, image Image, packages []Package, name string) (*root, error) {
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a build root: %w", err)
	}
	if below, rest := a.base(image, packages); below != nil {
		made, err := a.install(ctx, image, below, rest, packages, name)
		var refused *InstallError
		if !errors.As(err, &refused) || ctx.Err() != nil {
			return made, err
		}
		// Packages that exclude or replace each other may come out otherwise in two
		// steps. What counts is what comes out in one.
	}
	return a.install(ctx, image, &root{}, packages, packages, name)
}

// install adds the packages of rest to a root and keeps the result as the root of
// that name, which holds all.
func (a *Assembler) install(ctx context.Context, image Image, below *root, rest, all []Package, name string) (*root, error) {
	work, err := a.store.Temp("buildroot-")
	if err != nil {
		return nil, fmt.Errorf("making a build root: %w", err)
	}
	defer os.RemoveAll(work)
	files := filepath.Join(work, "packages")
	upper := filepath.Join(work, "upper")
	for _, dir := range []string{files, upper} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("making a build root: %w", err)
		}
	}
	// The signature of a package is made after it was built and proves where it
	// comes from to others; here the digest does, which was just verified.
	args := []string{"/bin/sh", "-c", installScript, "install"}
	for _, p := range rest {
		if filepath.Base(p.File) != p.File {
			return nil, fmt.Errorf("making a build root: %q is not a file name", p.File)
		}
		if err := a.store.Link(p.Digest, filepath.Join(files, p.File)); err != nil {
			return nil, fmt.Errorf("making a build root: %s: %w", p.File, err)
		}
		args = append(args, "/packages/"+p.File)
	}
	installed, messages := &limited{left: maxOutput}, &limited{left: maxOutput}
	err = a.sandbox.Run(ctx, sandbox.Spec{
		Name:       "buildroot",
		Layers:     a.stack(below, image),
		Upper:      upper,
		Args:       args,
		Mounts:     []sandbox.Mount{{Source: files, Destination: "/packages", ReadOnly: true}},
		Privileges: sandbox.PackageManager,
		Limits:     sandbox.Limits{Pids: maxPids, Disk: maxDisk},
		Timeout:    installTimeout,
		Stdout:     installed,
		Stderr:     messages,
	})
	if err == nil && len(below.Layers) > 0 {
		err = complete(installed.String(), all)
	}
	if err != nil {
		return nil, &InstallError{Packages: rest, Output: messages.String(), Err: err}
	}
	// The mount point is the sandbox's doing, not the packages'.
	if err := os.Remove(filepath.Join(upper, "packages")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("making a build root: %w", err)
	}
	made := &root{Packages: all, Layers: append([]string{layerName(name, below.Layers)}, below.Layers...)}
	return made, a.keep(made, name, upper)
}

// complete checks that all packages are in a list of installed ones.
func complete(installed string, all []Package) error {
	there := map[string]bool{}
	for line := range strings.Lines(installed) {
		there[strings.TrimSuffix(line, "\n")] = true
	}
	for _, p := range all {
		if !there[p.File] {
			return fmt.Errorf("%s is not installed afterwards", p.File)
		}
	}
	return nil
}

// keep gives a root's uppermost layer its name and records the root.
func (a *Assembler) keep(made *root, name, upper string) error {
	layer := filepath.Join(a.dir, made.Layers[0])
	// The name says that the folder is whole, even after the power was cut.
	if err := store.SyncFileSystem(upper); err != nil {
		return fmt.Errorf("making a build root: %w", err)
	}
	for range maxTries {
		// Another process may have been faster; then its folder is as good.
		if err := os.Rename(upper, layer); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making a build root: %w", err)
		}
		if err := a.store.PutRecord(recordKind, name, made); err != nil {
			return fmt.Errorf("making a build root: %w", err)
		}
		// Before the record was written, that folder may have been cleaned up.
		if a.there(made.Layers) {
			return nil
		}
	}
	return fmt.Errorf("making a build root: somebody removes %s all the time", layer)
}

// InstallError says that rpm did not install a set of packages.
type InstallError struct {
	Packages []Package
	Output   string // what rpm printed
	Err      error
}

func (e *InstallError) Error() string {
	names := make([]string, len(e.Packages))
	for i, p := range e.Packages {
		names[i] = p.File
	}
	return fmt.Sprintf("installing %s into a build root: %v\n%s", strings.Join(names, ", "), e.Err, strings.TrimSpace(e.Output))
}

func (e *InstallError) Unwrap() error { return e.Err }
