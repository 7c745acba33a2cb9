package fetch

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

// Image gets an image for a platform. A reference that begins with a slash or a
// dot, or ends in .tar, is a file or folder: an archive as docker and podman save
// it, or an OCI layout. Every other is a registry's, which is asked with the
// credentials that docker login has left. What must be unpacked goes to tmp, where
// the image is read from.
func Image(ctx context.Context, ref string, platform v1.Platform, tmp string) (v1.Image, error) {
	get := fromRegistry
	if isLocal(ref) {
		get = func(_ context.Context, ref string, platform v1.Platform) (v1.Image, error) {
			return fromFiles(ref, platform, tmp)
		}
	}
	img, err := get(ctx, ref, platform)
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
	return img, nil
}

// Immutable says whether a reference names its image by digest, so that it never
// stands for another.
func Immutable(ref string) bool {
	_, err := name.NewDigest(ref)
	return err == nil && !isLocal(ref)
}

func isLocal(ref string) bool {
	return strings.HasPrefix(ref, "/") || strings.HasPrefix(ref, ".") || strings.HasSuffix(ref, ".tar")
}

func fromRegistry(ctx context.Context, ref string, platform v1.Platform) (v1.Image, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("%w; write registry/name:tag, registry/name@sha256:…, or the path of a file or folder", err)
	}
	desc, err := remote.Get(parsed, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithPlatform(platform))
	if err != nil {
		return nil, explain(err, parsed)
	}
	if desc.MediaType.IsIndex() {
		index, err := desc.ImageIndex()
		if err != nil {
			return nil, explain(err, parsed)
		}
		return choose(index, platform)
	}
	img, err := desc.Image()
	if err != nil {
		return nil, explain(err, parsed)
	}
	return img, nil
}

// explain says what to do about the errors that people meet.
func explain(err error, ref name.Reference) error {
	var refused *transport.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("%s cannot be reached: %w; where it cannot be, name an archive or an OCI layout of the image instead, such as skopeo copy writes", ref.Context().RegistryStr(), err)
	}
	switch refused.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%s does not have it (check its spelling and tag): %w", ref.Context().RegistryStr(), err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s does not give it to us (docker login %[1]s): %w", ref.Context().RegistryStr(), err)
	}
	return err
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

// fromFiles reads an image from a file or folder.
func fromFiles(path string, platform v1.Platform, tmp string) (v1.Image, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.IsDir() {
		return fromLayout(path, platform)
	}
	// docker's archives have a manifest.json; those of newer versions are OCI
	// layouts too, which is no matter then.
	if img, err := tarball.ImageFromPath(path, nil); err == nil {
		return img, nil
	}
	if err := unpackLayout(path, tmp); err != nil {
		return nil, fmt.Errorf("reading it as an archive of docker's or OCI's: %w", err)
	}
	return fromLayout(tmp, platform)
}

func fromLayout(dir string, platform v1.Platform) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("reading it as an OCI layout: %w", err)
	}
	return choose(index, platform)
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
