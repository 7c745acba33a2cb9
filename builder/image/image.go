package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/ohpc-build/ohpc-build/builder/image/fetch"
	"github.com/ohpc-build/ohpc-build/builder/image/layer"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

const (
	recordKind = "image"

	// Bounds on what others made: layers per image, and the two documents of an
	// image in bytes. Overlayfs joins at most 500 layers.
	maxLayers   = 128
	maxDocument = 8 << 20
)

// Epoch is when everything that is made here was made, in seconds since 1970, and
// the latest time of any file in it: an image is the same whenever it is made of
// the same.
const Epoch = layer.Epoch

var created = v1.Time{Time: time.Unix(Epoch, 0).UTC()}

// Image is an image whose blobs are in the store.
type Image struct {
	Digest   store.Digest `json:"digest"`   // of its configuration: the same however layers are compressed
	Manifest store.Digest `json:"manifest"` // what a registry calls it
	Arch     string       `json:"arch"`     // rpm's name
	Env      []string     `json:"env,omitempty"`
	Layers   []Layer      `json:"layers"` // the lowest first, as in a manifest
}

// Layer is one layer's blob.
type Layer struct {
	Blob      store.Digest    `json:"blob"`
	DiffID    store.Digest    `json:"diff_id"` // of its uncompressed bytes
	Size      int64           `json:"size"`    // of the blob, in bytes
	MediaType types.MediaType `json:"media_type"`
}

// Images are the images in a store and their unpacked layers in a folder. It is
// safe for concurrent use, and many processes may share store and folder.
type Images struct {
	store *store.Store
	dir   string
}

// New keeps unpacked layers below dir, which should be on the file system of the
// containers' changes.
func New(st *store.Store, dir string) *Images {
	return &Images{store: st, dir: dir}
}

// Find returns the image that was kept under a key, which says what it was made
// from. The error is [store.ErrNotFound] when it was not, or is not whole.
func (s *Images) Find(key string) (*Image, error) {
	var img Image
	if err := s.store.Record(recordKind, key, &img); err != nil {
		var corrupt *store.CorruptError
		if errors.As(err, &corrupt) {
			return nil, fmt.Errorf("image %s: %w (%w)", key, store.ErrNotFound, err)
		}
		return nil, err
	}
	objects := []store.Digest{img.Digest, img.Manifest}
	for _, l := range img.Layers {
		objects = append(objects, l.Blob)
	}
	for _, d := range objects {
		if !s.store.Has(d) {
			return nil, fmt.Errorf("image %s: object %s: %w", key, d, store.ErrNotFound)
		}
	}
	return &img, nil
}

// Alone runs build while no other process makes the image of that key, and first
// looks whether one has made it meanwhile.
func (s *Images) Alone(ctx context.Context, key string, build func() (*Image, error)) (*Image, error) {
	if img, err := s.Find(key); !errors.Is(err, store.ErrNotFound) {
		return img, err
	}
	unlock, err := s.lock(ctx, store.Of([]byte(key)).Hex())
	if err != nil {
		return nil, err
	}
	defer unlock()
	if img, err := s.Find(key); !errors.Is(err, store.ErrNotFound) {
		return img, err
	}
	return build()
}

// Temp makes an empty folder on the store's file system. The caller removes it.
func (s *Images) Temp(pattern string) (string, error) { return s.store.Temp(pattern) }

// keep puts an image's blobs into the store, verified, and records it under key.
func (s *Images) keep(ctx context.Context, key, arch string, from v1.Image) (*Image, error) {
	manifest, err := from.Manifest()
	if err != nil {
		return nil, fmt.Errorf("reading its manifest: %w", err)
	}
	config, err := from.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading its configuration: %w", err)
	}
	n := len(manifest.Layers)
	if n == 0 || n > maxLayers || n != len(config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("its manifest has %d layers and its configuration %d; both must be equal, at least 1 and at most %d", n, len(config.RootFS.DiffIDs), maxLayers)
	}
	img := &Image{Arch: arch, Env: config.Config.Env}
	for i, d := range manifest.Layers {
		l := Layer{Size: d.Size, MediaType: d.MediaType}
		if l.Blob, err = store.ParseDigest(d.Digest.String()); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i+1, err)
		}
		if l.DiffID, err = store.ParseDigest(config.RootFS.DiffIDs[i].String()); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i+1, err)
		}
		if !d.MediaType.IsDistributable() {
			return nil, fmt.Errorf("layer %d (%s) may not be copied, so that its image cannot be kept", i+1, d.MediaType)
		}
		if err := s.keepLayer(ctx, from, d, l); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i+1, err)
		}
		img.Layers = append(img.Layers, l)
	}
	if img.Digest, err = s.keepDocument(ctx, from.RawConfigFile); err != nil {
		return nil, fmt.Errorf("its configuration: %w", err)
	}
	if img.Manifest, err = s.keepDocument(ctx, from.RawManifest); err != nil {
		return nil, fmt.Errorf("its manifest: %w", err)
	}
	if err := s.store.PutRecord(recordKind, key, img); err != nil {
		return nil, err
	}
	return img, nil
}

func (s *Images) keepLayer(ctx context.Context, from v1.Image, d v1.Descriptor, l Layer) error {
	if s.store.Has(l.Blob) {
		return nil // it is verified whenever it is read
	}
	found, err := from.LayerByDigest(d.Digest)
	if err != nil {
		return err
	}
	blob, err := found.Compressed()
	if err != nil {
		return err
	}
	defer blob.Close()
	// A byte more than announced is enough to make the digest wrong.
	_, err = s.store.PutVerified(ctx, io.LimitReader(blob, d.Size+1), l.Blob)
	var mismatch *store.MismatchError
	if errors.As(err, &mismatch) {
		return fmt.Errorf("its blob is corrupt: %w", err)
	}
	return err
}

func (s *Images) keepDocument(ctx context.Context, raw func() ([]byte, error)) (store.Digest, error) {
	b, err := raw()
	if err != nil {
		return "", err
	}
	if len(b) > maxDocument {
		return "", fmt.Errorf("%d bytes are more than the %d that are accepted", len(b), maxDocument)
	}
	return s.store.PutBytes(ctx, b)
}

// Pull gets an image for an architecture (rpm's name) from a registry, or from a
// file or folder; see [fetch.Image] for how references are read. A reference by
// digest is asked for once, every other each time.
func (s *Images) Pull(ctx context.Context, ref, arch string) (*Image, error) {
	img, err := s.pull(ctx, ref, arch)
	if err != nil {
		return nil, fmt.Errorf("image %s for %s: %w", ref, arch, err)
	}
	return img, nil
}

// Pulled returns what [Images.Pull] got last for a reference, without asking for
// it again. The error is [store.ErrNotFound] when that was never.
func (s *Images) Pulled(ref, arch string) (*Image, error) { return s.Find(pullKey(ref, arch)) }

func pullKey(ref, arch string) string { return "pull " + ref + " " + arch }

func (s *Images) pull(ctx context.Context, ref, arch string) (*Image, error) {
	key := pullKey(ref, arch)
	if fetch.Immutable(ref) {
		if img, err := s.Find(key); err == nil {
			return img, nil
		}
	}
	platform, err := platformOf(arch)
	if err != nil {
		return nil, err
	}
	tmp, err := s.Temp("fetch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	from, err := fetch.Image(ctx, ref, platform, tmp)
	if err != nil {
		return nil, err
	}
	return s.keep(ctx, key, arch, from)
}

// Append makes an image of base (nil: of nothing) and one more layer, the
// uncompressed archive that tar holds, and keeps it under key.
func (s *Images) Append(ctx context.Context, key string, base *Image, arch, comment string, tar io.Reader) (*Image, error) {
	below, err := s.base(base, arch)
	if err != nil {
		return nil, fmt.Errorf("making the image %s: %w", key, err)
	}
	added, err := s.putLayer(ctx, tar)
	if err != nil {
		return nil, fmt.Errorf("writing a layer of the image %s: %w", key, err)
	}
	made, err := mutate.Append(below, mutate.Addendum{
		Layer:   &storedLayer{added, s.store},
		History: v1.History{Created: created, CreatedBy: "ohpc-build", Comment: comment},
	})
	if err != nil {
		return nil, fmt.Errorf("making the image %s: %w", key, err)
	}
	img, err := s.keep(ctx, key, arch, made)
	if err != nil {
		return nil, fmt.Errorf("keeping the image %s: %w", key, err)
	}
	return img, nil
}

// base is the image in go-containerregistry's terms, or one without layers.
// Nothing in what is made here depends on when or where.
func (s *Images) base(img *Image, arch string) (v1.Image, error) {
	if img != nil {
		return s.OCI(img)
	}
	platform, err := platformOf(arch)
	if err != nil {
		return nil, err
	}
	none := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	return mutate.ConfigFile(none, &v1.ConfigFile{
		Architecture: platform.Architecture, OS: platform.OS, Created: created,
		Config: v1.Config{Cmd: []string{"/bin/bash"}},
		RootFS: v1.RootFS{Type: "layers"},
	})
}

// putLayer compresses an archive into the store.
func (s *Images) putLayer(ctx context.Context, tar io.Reader) (Layer, error) {
	diff := sha256.New()
	pr, pw := io.Pipe()
	defer pr.Close()
	go func() {
		// One worker: the bytes must not depend on the number of cores.
		zw, err := zstd.NewWriter(pw, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err == nil {
			_, err = io.Copy(io.MultiWriter(zw, diff), tar)
			err = errors.Join(err, zw.Close())
		}
		pw.CloseWithError(err)
	}()
	blob, size, err := s.store.Put(ctx, pr)
	if err != nil {
		return Layer{}, err
	}
	id, err := store.ParseDigest(hex.EncodeToString(diff.Sum(nil)))
	if err != nil {
		return Layer{}, err
	}
	return Layer{Blob: blob, DiffID: id, Size: size, MediaType: types.OCILayerZStd}, nil
}

// AppendFolder makes an image of base and the changes in dir, the upper layer of
// an overlay whose lower ones are base's, and keeps it under key. The layer does
// not depend on when its files were written.
func (s *Images) AppendFolder(ctx context.Context, key string, base *Image, comment, dir string) (*Image, error) {
	pr, pw := io.Pipe()
	defer pr.Close()
	go func() { pw.CloseWithError(layer.Diff(pw, dir)) }()
	return s.Append(ctx, key, base, base.Arch, comment, pr)
}

// OCI returns a kept image in go-containerregistry's terms, so that it can be
// written to a registry, a layout or an archive.
func (s *Images) OCI(img *Image) (v1.Image, error) {
	return partial.CompressedToImage(&storedImage{img, s.store})
}

// storedImage is an image whose blobs are in the store.
type storedImage struct {
	*Image
	store *store.Store
}

func (i *storedImage) RawManifest() ([]byte, error) {
	return i.store.ReadAll(i.Manifest, maxDocument)
}

func (i *storedImage) RawConfigFile() ([]byte, error) {
	return i.store.ReadAll(i.Digest, maxDocument)
}

func (i *storedImage) MediaType() (types.MediaType, error) {
	manifest, err := partial.Manifest(i)
	if err != nil {
		return "", err
	}
	return manifest.MediaType, nil
}

func (i *storedImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range i.Layers {
		if string(l.Blob) == h.String() {
			return &storedLayer{l, i.store}, nil
		}
	}
	return nil, fmt.Errorf("the image has no layer %s", h)
}

// storedLayer is a layer whose blob is in the store.
type storedLayer struct {
	layer Layer
	store *store.Store
}

func (l *storedLayer) Digest() (v1.Hash, error) { return v1.NewHash(string(l.layer.Blob)) }

func (l *storedLayer) DiffID() (v1.Hash, error)             { return v1.NewHash(string(l.layer.DiffID)) }
func (l *storedLayer) Size() (int64, error)                 { return l.layer.Size, nil }
func (l *storedLayer) MediaType() (types.MediaType, error)  { return l.layer.MediaType, nil }
func (l *storedLayer) Compressed() (io.ReadCloser, error)   { return l.store.Open(l.layer.Blob) }
func (l *storedLayer) Uncompressed() (io.ReadCloser, error) { return uncompressed(l.store, l.layer) }
