package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/image/bridge"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/matrix/host"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
)

// Key implements [jobs.Extender]: what is downloaded depends on it. Images that were not
// bootstrapped are not extended.
func (s *Images) Key(c *jobs.Cell) string {
	if c.Target.Image.Bootstrap == nil {
		return ""
	}
	b := s.bootstrap(c.Target.Image.Bootstrap, nil)
	return fmt.Sprintf("%s %q %q", b.Suite, b.Components, b.Mirrors)
}

// Download implements [jobs.Extender]: it brings packages of the archive that an image
// was bootstrapped from.
func (s *Images) Download(ctx context.Context, c *jobs.Cell, names []string) ([]resolve.Package, error) {
	from := c.Target.Image.Bootstrap
	if from == nil {
		return nil, &TargetError{fmt.Errorf("target %s has on_demand packages and no bootstrap that says where they come from", c.Target.Name)}
	}
	system, err := bottom(c.Image)
	if err != nil {
		return nil, err
	}
	dir, err := s.store.Temp("demand-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	debs, err := s.bootstrap(from, nil).Download(ctx, system, c.Arch, names, dir)
	var missing *debian.MissingError
	if errors.As(err, &missing) {
		return nil, &host.Error{Problems: []error{missing}}
	}
	if err != nil {
		return nil, err
	}
	packages := make([]resolve.Package, len(debs))
	for i, d := range debs {
		digest, _, err := s.store.PutFile(ctx, d.Path)
		if err != nil {
			return nil, fmt.Errorf("keeping %s: %w", filepath.Base(d.Path), err)
		}
		packages[i] = resolve.Package{
			Name: d.Name, EVR: d.Version, Arch: d.Arch, Kind: resolve.KindDeb, File: filepath.Base(d.Path), Digest: digest,
			Origin: resolve.Origin{Repository: from.Suite, URL: d.URL},
		}
	}
	return packages, nil
}

// bottom is the layer of an image that has the system's own list of packages.
func bottom(img buildroot.Image) (string, error) {
	for _, layer := range img.Layers {
		if _, err := os.Lstat(filepath.Join(layer, "var/lib/dpkg/status")); err == nil {
			return layer, nil
		}
	}
	return "", fmt.Errorf("the image %s has no list of Debian packages", img.Digest.Short())
}

// Extend implements [jobs.Extender]: it adds such packages to an image.
func (s *Images) Extend(ctx context.Context, c *jobs.Cell, packages []resolve.Package) (buildroot.Image, error) {
	var none buildroot.Image
	from := c.Target.Image.Bootstrap
	if from == nil {
		return none, &TargetError{fmt.Errorf("the lock has Debian packages, and target %s is not made of such", c.Target.Name)}
	}
	base, err := s.images.Find(s.bootstrap(from, from.Packages).Key(c.Arch))
	if err == nil && len(c.Target.Bridge) > 0 {
		base, err = s.images.Find(bridge.Names(c.Target.Bridge).Key(base))
	}
	if err == nil && base.Digest != c.Image.Digest {
		err = errors.New("it has changed since the run began")
	}
	if err != nil {
		return none, fmt.Errorf("extending the image of %s: %w", c, err)
	}
	debs := make([]bridge.Deb, len(packages))
	for i, p := range packages {
		debs[i] = bridge.Deb{File: p.File, Digest: p.Digest}
	}
	// An error has what dpkg and rpm printed; nobody asks for it when there is none.
	extended, err := bridge.Names(c.Target.OnDemand).Extend(ctx, s.images, s.store, s.sandbox, base, debs, io.Discard)
	if err != nil {
		return none, err
	}
	root, err := s.images.Unpack(ctx, extended)
	if err != nil {
		return none, err
	}
	return buildroot.Image{Digest: root.Digest, Layers: root.Layers}, nil
}
