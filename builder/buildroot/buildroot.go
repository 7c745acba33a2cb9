package buildroot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
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
	format = "2"

	// recordKind is where the store has what a root is made of.
	recordKind = "buildroot"

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

// root is what was added to an image.
type root struct {
	Packages []Package `json:"packages"` // by file name
	Layers   []string  `json:"layers"`   // names of folders, the uppermost first
}

// Layers returns the layers, uppermost first, of a root that holds the image and
// the packages. A root that was made before is not made again. native are files that
// make a foreign image's rpm faster and change nothing in what it does (package
// emulate/toolchain); none of them gets into the root.
func (a *Assembler) Layers(ctx context.Context, image Image, packages []Package, native ...sandbox.Mount) ([]string, error) {
	if len(packages) == 0 {
		return image.Layers, nil
	}
	packages = slices.Clone(packages)
	slices.SortFunc(packages, comparePackages)
	name := rootName(image, packages)
	made, err, _ := a.flight.Do(name, func() (any, error) {
		if made := a.kept(name); made != nil {
			return made, nil
		}
		return a.make(ctx, wanted{name, image, packages, native})
	})
	if err != nil {
		return nil, err
	}
	return a.stack(made.(*root), image), nil
}

// kept returns a root that was made before and is whole, or nil. From here on no
// cleaning up takes it away.
func (a *Assembler) kept(name string) *root {
	var r root
	if err := a.store.Record(recordKind, name, &r); err != nil {
		return nil // there is none, or it is damaged: it is made anew
	}
	if len(r.Layers) == 0 || !a.there(r.Layers) {
		return nil
	}
	return &r
}

func (a *Assembler) there(layers []string) bool {
	for _, layer := range layers {
		if fi, err := os.Lstat(filepath.Join(a.dir, layer)); err != nil || !fi.IsDir() {
			return false
		}
	}
	return true
}

// stack is a root's layers above those of its image.
func (a *Assembler) stack(r *root, image Image) []string {
	layers := make([]string, 0, len(r.Layers)+len(image.Layers))
	for _, name := range r.Layers {
		layers = append(layers, filepath.Join(a.dir, name))
	}
	return append(layers, image.Layers...)
}

// rootName begins with the image's digest, so that the roots of an image are found
// by the names of their layers. The rest is a digest of all that decides what is in
// the root.
func rootName(image Image, packages []Package) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", format, image.Digest)
	for _, p := range packages {
		fmt.Fprintf(h, "%s %s\n", p.Digest, p.File)
	}
	return imagePrefix(image) + hex.EncodeToString(h.Sum(nil))[:32]
}

func imagePrefix(image Image) string {
	return store.Of([]byte(image.Digest)).Hex()[:32] + "-"
}

// layerName tells layers apart that make the same root on top of different ones.
// Mount options are short, hence so is the name.
func layerName(name string, below []string) string {
	h := sha256.New()
	_, _ = io.WriteString(h, strings.Join(below, "\n"))
	return name + "-" + hex.EncodeToString(h.Sum(nil))[:16]
}

func comparePackages(x, y Package) int {
	if c := strings.Compare(x.File, y.File); c != 0 {
		return c
	}
	return strings.Compare(string(x.Digest), string(y.Digest))
}
