package buildroot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

const (
	// format is part of every root's name. It grows when the way in which a
	// root is made changes what is in it.
	format = "1"

	installTimeout = 15 * time.Minute
)

// Sandbox runs a command in a container.
type Sandbox interface {
	Run(ctx context.Context, spec sandbox.Spec) error
}

// Package is one package file to install.
type Package struct {
	File   string       `json:"file"` // name-version-release.arch.rpm
	Digest store.Digest `json:"digest"`
}

// Image is what a root begins with.
type Image struct {
	Digest store.Digest // of the image's configuration
	Layers []string     // unpacked layers, the uppermost first
}

// Assembler makes build roots and keeps their layers below a folder.
type Assembler struct {
	store   *store.Store
	sandbox Sandbox
	dir     string
	flight  singleflight.Group
}

// New keeps the layers below dir, which must be on the store's file system, and
// that one that overlayfs takes as an upper layer.
func New(st *store.Store, sb Sandbox, dir string) *Assembler {
	return &Assembler{store: st, sandbox: sb, dir: dir}
}

// Layers returns the layers, uppermost first, of a root that holds the image and
// the packages. A root that was made before is not made again.
func (a *Assembler) Layers(ctx context.Context, image Image, packages []Package) ([]string, error) {
	if len(packages) == 0 {
		return image.Layers, nil
	}
	packages = slices.Clone(packages)
	slices.SortFunc(packages, func(x, y Package) int { return strings.Compare(x.File, y.File) })
	layer := filepath.Join(a.dir, name(image, packages))
	_, err, _ := a.flight.Do(layer, func() (any, error) {
		if fi, err := os.Stat(layer); err == nil && fi.IsDir() {
			return nil, nil
		}
		return nil, a.make(ctx, image, packages, layer)
	})
	if err != nil {
		return nil, err
	}
	return append([]string{layer}, image.Layers...), nil
}

// name is a digest of all that decides what a layer holds.
func name(image Image, packages []Package) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", format, image.Digest)
	for _, p := range packages {
		fmt.Fprintf(h, "%s %s\n", p.Digest, p.File)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (a *Assembler) make(ctx context.Context, image Image, packages []Package, layer string) error {
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return fmt.Errorf("making a build root: %w", err)
	}
	work, err := a.store.Temp("buildroot-")
	if err != nil {
		return fmt.Errorf("making a build root: %w", err)
	}
	defer os.RemoveAll(work)
	files := filepath.Join(work, "packages")
	upper := filepath.Join(work, "upper")
	for _, dir := range []string{files, upper} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("making a build root: %w", err)
		}
	}
	// The signature of a package is made after it was built and proves where it
	// comes from to others; here the digest does, which was just verified.
	args := []string{"rpm", "--upgrade", "--nosignature", "--oldpackage", "--replacepkgs"}
	for _, p := range packages {
		if filepath.Base(p.File) != p.File {
			return fmt.Errorf("making a build root: %q is not a file name", p.File)
		}
		if err := a.store.Link(p.Digest, filepath.Join(files, p.File)); err != nil {
			return fmt.Errorf("making a build root: %s: %w", p.File, err)
		}
		args = append(args, "/packages/"+p.File)
	}
	var out bytes.Buffer
	err = a.sandbox.Run(ctx, sandbox.Spec{
		Name:       "buildroot",
		Layers:     image.Layers,
		Upper:      upper,
		Args:       args,
		Mounts:     []sandbox.Mount{{Source: files, Destination: "/packages", ReadOnly: true}},
		Privileges: sandbox.PackageManager,
		Timeout:    installTimeout,
		Stdout:     &out,
		Stderr:     &out,
	})
	if err != nil {
		return &InstallError{Packages: packages, Output: out.String(), Err: err}
	}
	// The mount point is the sandbox's doing, not the packages'.
	if err := os.Remove(filepath.Join(upper, "packages")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("making a build root: %w", err)
	}
	if err := os.Rename(upper, layer); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making a build root: %w", err)
	}
	return nil
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
