package bridge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

const (
	// format is part of every image's key. It grows when the way in which the
	// package is made changes what it says.
	format = 1

	// Package is the name of the package.
	Package = "distro-bridge"

	// work is where the container sees what it reads and writes that is no part
	// of the image: a folder that every root has, so that no mount point is left.
	work = "/mnt"

	runTimeout = 10 * time.Minute

	// database is rpm's, as builder/image/debian puts it.
	database = "var/lib/rpm"
)

// Sandbox runs a command in a container.
type Sandbox interface {
	Run(ctx context.Context, spec sandbox.Spec) error
}

// Names are packages of RPM distributions and, for each, the system's packages
// that are it: {"zlib-devel": {"zlib1g-dev"}}. All of them must be installed, and
// the first one's version is the version.
type Names map[string][]string

// Key names the image that base becomes.
func (n Names) Key(base *image.Image) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(n)) {
		fmt.Fprintf(&text, " %s=%q", name, n[name])
	}
	return fmt.Sprintf("bridge %d %s%s", format, base.Digest, text.String())
}

// Image returns base with the package in it. It is made unless images has it; log
// gets what rpmbuild and rpm print. The base must have been bootstrapped by
// builder/image/debian: one layer, dpkg's database and rpm's.
func (n Names) Image(ctx context.Context, images *image.Images, sb Sandbox, base *image.Image, log io.Writer) (*image.Image, error) {
	key := n.Key(base)
	return images.Alone(ctx, key, func() (*image.Image, error) {
		img, err := n.make(ctx, images, sb, base, key, log)
		if err != nil {
			return nil, fmt.Errorf("adding %s to the image %s for %s: %w", Package, base.Digest.Short(), base.Arch, err)
		}
		return img, nil
	})
}

func (n Names) make(ctx context.Context, images *image.Images, sb Sandbox, base *image.Image, key string, log io.Writer) (*image.Image, error) {
	root, err := images.Unpack(ctx, base)
	if err != nil {
		return nil, err
	}
	if len(root.Layers) != 1 {
		return nil, fmt.Errorf("it has %d layers, what it holds can be read from one only", len(root.Layers))
	}
	system := System{Root: root.Layers[0], Arch: base.Arch}
	spec, err := system.spec(n)
	if err != nil {
		return nil, err
	}
	tmp, err := images.Temp("bridge-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	shared, upper := filepath.Join(tmp, "work"), filepath.Join(tmp, "upper")
	for _, dir := range []string{shared, upper} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(shared, Package+".spec"), spec, 0o644); err != nil {
		return nil, err
	}
	var output bytes.Buffer
	run := func(s sandbox.Spec) error {
		output.Reset()
		s.Name, s.Layers, s.Timeout = Package, root.Layers, runTimeout
		s.Env = []string{"HOME=/root", "LC_ALL=C.UTF-8", "SOURCE_DATE_EPOCH=" + strconv.Itoa(image.Epoch)}
		s.Stdout = io.MultiWriter(log, &output)
		s.Stderr = s.Stdout
		s.Privileges = sandbox.PackageManager
		if err := sb.Run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w\n%s", s.Args[0], err, bytes.TrimSpace(output.Bytes()))
		}
		return nil
	}
	// Two runs, as what rpmbuild leaves must not get into the image.
	if err := run(sandbox.Spec{Args: rpmbuild(base.Arch), Mounts: []sandbox.Mount{{Source: shared, Destination: work}}}); err != nil {
		return nil, err
	}
	if err := run(sandbox.Spec{
		Args:   []string{"rpm", "--install", filepath.Join(work, Package+".rpm")},
		Mounts: []sandbox.Mount{{Source: shared, Destination: work, ReadOnly: true}},
		Upper:  upper,
	}); err != nil {
		return nil, err
	}
	// SQLite's index of its journal is random and, the journal being empty, of no
	// use. The file itself must be there for users who may not write.
	if err := os.Truncate(filepath.Join(upper, database, "rpmdb.sqlite-shm"), 0); err != nil {
		return nil, fmt.Errorf("rpm's database is not in %s: %w", database, err)
	}
	return images.AppendFolder(ctx, key, base, Package, upper)
}

func rpmbuild(arch string) []string {
	return []string{
		"rpmbuild", "-bb", "--target", arch + "-linux",
		"--define", "_topdir " + work,
		"--define", "_tmppath " + work,
		"--define", "_rpmdir " + work,
		"--define", "_build_name_fmt " + Package + ".rpm",
		"--define", "_buildhost ohpc-build",
		"--define", "use_source_date_epoch_as_buildtime 1",
		"--define", "debug_package %{nil}",
		filepath.Join(work, Package+".spec"),
	}
}

// spec is the package's spec file.
func (s System) spec(names Names) ([]byte, error) {
	provides, err := s.Provides(names)
	if err != nil {
		return nil, err
	}
	release, err := s.release()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `Name: %s
Version: %s
Release: 1
Summary: What this system holds, in the words of RPM distributions
License: Apache-2.0
AutoReqProv: no
`, Package, release)
	for _, p := range provides {
		fmt.Fprintf(&b, "Provides: %s\n", p)
	}
	fmt.Fprintf(&b, `
%%description
This package is generated from the system that it is installed on. It holds
nothing and provides what the system's own packages hold.

%%files
`)
	return b.Bytes(), nil
}
