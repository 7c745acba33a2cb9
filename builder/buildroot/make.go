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
func (a *Assembler) make(ctx context.Context, w wanted) (*root, error) {
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a build root: %w", err)
	}
	if below, rest := a.base(w.image, w.packages); below != nil {
		made, err := a.install(ctx, w, below, rest)
		if !refused(ctx, err) {
			return made, err
		}
		// Packages that exclude or replace each other may come out otherwise in two
		// steps. What counts is what comes out in one.
	}
	made, err := a.install(ctx, w, &root{}, w.packages)
	if len(w.native) > 0 && refused(ctx, err) {
		// Nothing can be put in the place of what is mounted.
		w.native = nil
		return a.install(ctx, w, &root{}, w.packages)
	}
	return made, err
}

// wanted is a root that is to be made.
type wanted struct {
	name     string
	image    Image
	packages []Package
	native   []sandbox.Mount
}

// refused says whether rpm did not install a set of packages.
func refused(ctx context.Context, err error) bool {
	return errors.As(err, new(*InstallError)) && ctx.Err() == nil
}

// install adds the packages of rest to a root and keeps the result, which holds all
// that is wanted.
func (a *Assembler) install(ctx context.Context, w wanted, below *root, rest []Package) (*root, error) {
	work, err := a.store.Temp("buildroot-")
	if err != nil {
		return nil, fmt.Errorf("making a build root: %w", err)
	}
	defer os.RemoveAll(work)
	files := filepath.Join(work, "packages")
	upper := filepath.Join(work, "upper")
	places := filepath.Join(work, "places")
	for _, dir := range []string{files, upper, places} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("making a build root: %w", err)
		}
	}
	layers := a.stack(below, w.image)
	if len(w.native) > 0 {
		if err := makePlaces(places, w.native); err != nil {
			return nil, fmt.Errorf("making a build root: %w", err)
		}
		layers = append(layers, places)
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
		Layers:     layers,
		Upper:      upper,
		Args:       args,
		Mounts:     append([]sandbox.Mount{{Source: files, Destination: "/packages", ReadOnly: true}}, w.native...),
		Privileges: sandbox.PackageManager,
		Limits:     sandbox.Limits{Pids: maxPids, Disk: maxDisk},
		Timeout:    installTimeout,
		Stdout:     installed,
		Stderr:     messages,
	})
	if err == nil && len(below.Layers) > 0 {
		err = complete(installed.String(), w.packages)
	}
	if err != nil {
		return nil, &InstallError{Packages: rest, Output: messages.String(), Err: err}
	}
	// The mount point is the sandbox's doing, not the packages'.
	if err := os.Remove(filepath.Join(upper, "packages")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("making a build root: %w", err)
	}
	made := &root{Packages: w.packages, Layers: append([]string{layerName(w.name, below.Layers)}, below.Layers...)}
	return made, a.keep(made, w.name, upper)
}

// makePlaces makes a layer of empty files to mount others over. As the lowest one of
// a root that is being made it keeps them out of the layer that is kept.
func makePlaces(dir string, mounts []sandbox.Mount) error {
	for _, m := range mounts {
		at := filepath.Join(dir, m.Destination)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, nil, 0o755); err != nil {
			return err
		}
	}
	return nil
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
