package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// maxArchive bounds what an OCI archive may hold, in bytes.
const maxArchive = 64 << 30

// Pull gets an image for an architecture (rpm's name). A reference that begins
// with a slash or a dot, or ends in .tar, is a file or folder: an archive as
// docker and podman save it, or an OCI layout. Every other is a registry's, which
// is asked with the credentials that docker login has left.
//
// A reference by digest is asked for once; one by tag is resolved every time.
func (s *Images) Pull(ctx context.Context, ref, arch string) (*Image, error) {
	if isLocal(ref) {
		img, err := s.open(ctx, ref, arch)
		if err != nil {
			return nil, fmt.Errorf("image %s for %s: %w", ref, arch, err)
		}
		return img, nil
	}
	img, err := s.pull(ctx, ref, arch)
	if err != nil {
		return nil, fmt.Errorf("image %s for %s: %w", ref, arch, err)
	}
	return img, nil
}

func isLocal(ref string) bool {
	return strings.HasPrefix(ref, "/") || strings.HasPrefix(ref, ".") || strings.HasSuffix(ref, ".tar")
}

// pullKey names what a reference by digest stands for.
func pullKey(ref, arch string) string { return "pull " + ref + " " + arch }

func (s *Images) pull(ctx context.Context, ref, arch string) (*Image, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("%w; write registry/name:tag, registry/name@sha256:…, or the path of a file or folder", err)
	}
	if _, ok := parsed.(name.Digest); ok {
		if img, err := s.Find(pullKey(ref, arch)); err == nil {
			return img, nil
		}
	}
	platform, err := platformOf(arch)
	if err != nil {
		return nil, err
	}
	desc, err := remote.Get(parsed, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithPlatform(platform))
	if err != nil {
		return nil, explain(err, parsed)
	}
	img, err := desc.Image() // of an index, the platform's
	if err != nil {
		if index, ierr := desc.ImageIndex(); ierr == nil {
			if _, err := choose(index, platform); err != nil {
				return nil, err
			}
		}
		return nil, explain(err, parsed)
	}
	return s.keepFor(ctx, pullKey(ref, arch), arch, img)
}

// explain says what to do about the errors that people meet.
func explain(err error, ref name.Reference) error {
	var refused *transport.Error
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%s does not have it (check its spelling and tag): %w", ref.Context().RegistryStr(), err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s does not give it to us (docker login %[1]s): %w", ref.Context().RegistryStr(), err)
	}
	return err
}

// keepFor keeps an image if it is for the architecture that was asked for.
func (s *Images) keepFor(ctx context.Context, key, arch string, img v1.Image) (*Image, error) {
	platform, err := platformOf(arch)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading its configuration: %w", err)
	}
	if config.OS != platform.OS || config.Architecture != platform.Architecture {
		return nil, fmt.Errorf("it is for %s/%s, not for %s/%s", config.OS, config.Architecture, platform.OS, platform.Architecture)
	}
	return s.keep(ctx, key, arch, img)
}

// choose returns the image of an index that is for a platform.
func choose(index v1.ImageIndex, platform v1.Platform) (v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("reading its index: %w", err)
	}
	var offered []string
	for _, d := range manifest.Manifests {
		switch {
		case d.MediaType.IsIndex():
			nested, err := index.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			if len(manifest.Manifests) == 1 {
				return choose(nested, platform)
			}
		case d.MediaType.IsImage() && d.Platform == nil:
			// Layouts often leave the platform to the configuration.
			if len(manifest.Manifests) == 1 {
				return index.Image(d.Digest)
			}
		case d.MediaType.IsImage():
			if d.Platform.OS == platform.OS && d.Platform.Architecture == platform.Architecture {
				return index.Image(d.Digest)
			}
			offered = append(offered, d.Platform.OS+"/"+d.Platform.Architecture)
		}
	}
	return nil, fmt.Errorf("it is not for %s/%s, only for: %s", platform.OS, platform.Architecture, strings.Join(offered, ", "))
}

// open reads an image from a file or folder.
func (s *Images) open(ctx context.Context, path, arch string) (*Image, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	fi, err := os.Stat(abs)
	if err != nil {
		return nil, err
	}
	key := "open " + abs + " " + arch // only to have a name: the file is read every time
	if fi.IsDir() {
		return s.openLayout(ctx, key, abs, arch)
	}
	// docker's archives have a manifest.json; those of newer versions are OCI
	// layouts too, which is no matter then.
	if img, err := tarball.ImageFromPath(abs, nil); err == nil {
		return s.keepFor(ctx, key, arch, img)
	}
	dir, err := s.Temp("oci-archive-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := unpackLayout(abs, dir); err != nil {
		return nil, fmt.Errorf("reading it as an archive of docker's or OCI's: %w", err)
	}
	return s.openLayout(ctx, key, dir, arch)
}

func (s *Images) openLayout(ctx context.Context, key, dir, arch string) (*Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("reading it as an OCI layout: %w", err)
	}
	platform, err := platformOf(arch)
	if err != nil {
		return nil, err
	}
	img, err := choose(index, platform)
	if err != nil {
		return nil, err
	}
	return s.keepFor(ctx, key, arch, img)
}

// layoutFile matches what an OCI layout consists of (image-spec: image-layout.md).
var layoutFile = regexp.MustCompile(`^(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})$`)

// unpackLayout writes the files of an archived OCI layout, and no others, to dir.
func unpackLayout(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	files := 0
	left := int64(maxArchive)
	for tr := tar.NewReader(f); ; {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) && files > 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return errors.New("it holds neither manifest.json nor index.json")
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(hdr.Name, "./")
		if hdr.Typeflag != tar.TypeReg || !layoutFile.MatchString(name) {
			continue
		}
		if left -= hdr.Size; left < 0 {
			return fmt.Errorf("it holds more than %d bytes", int64(maxArchive))
		}
		files++
		if err := writeFile(filepath.Join(dir, name), tr); err != nil {
			return err
		}
	}
}

func writeFile(path string, r io.Reader) error {
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}
