package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

// entry is a file of a layer: a folder when its name ends in a slash.
type entry struct {
	name, body string
	hdr        tar.Header
}

// archive is a layer's archive.
func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, e := range entries {
		hdr := e.hdr
		hdr.Name, hdr.Size = e.name, int64(len(e.body))
		if hdr.Mode == 0 {
			hdr.Mode = 0o644
		}
		if strings.HasSuffix(e.name, "/") {
			hdr.Typeflag, hdr.Mode = tar.TypeDir, 0o755
		}
		require.NoError(t, tw.WriteHeader(&hdr))
		_, err := io.WriteString(tw, e.body)
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	return b.Bytes()
}

// newImages has an empty store, and returns its folders for layers and objects.
func newImages(t *testing.T) (images *image.Images, layers, st string) {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(filepath.Join(dir, "store"))
	require.NoError(t, err)
	layers = filepath.Join(dir, "layers")
	return image.New(s, layers), layers, s.Dir()
}

// ociImage is an image of one gzip layer that says which architecture it is for.
func ociImage(t *testing.T, arch string) v1.Image {
	t.Helper()
	tarBytes := archive(t, entry{name: "etc/"}, entry{name: "etc/arch", body: arch})
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(tarBytes)), nil })
	require.NoError(t, err)
	img, err := mutate.AppendLayers(empty.Image, l)
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	config.Config.Env = []string{"LANG=C.UTF-8"}
	img, err = mutate.ConfigFile(img, config)
	require.NoError(t, err)
	return img
}

// ociIndex is an index of images for architectures.
func ociIndex(t *testing.T, archs ...string) v1.ImageIndex {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, arch := range archs {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        ociImage(t, arch),
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return index
}

// newRegistry is an in-process registry that counts requests.
func newRegistry(t *testing.T) (host string, requests *int) {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	var mu sync.Mutex
	requests = new(int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		*requests++
		mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), requests
}

func readArch(t *testing.T, images *image.Images, img *image.Image) string {
	t.Helper()
	root, err := images.Unpack(t.Context(), img)
	require.NoError(t, err)
	require.Len(t, root.Layers, 1)
	require.Equal(t, img.Digest, root.Digest)
	require.Equal(t, []string{"LANG=C.UTF-8"}, root.Env)
	got, err := os.ReadFile(filepath.Join(root.Layers[0], "etc/arch"))
	require.NoError(t, err)
	return string(got)
}

func TestPullFromARegistry(t *testing.T) {
	testenv.Root(t)
	host, requests := newRegistry(t)
	ref := func(s string) name.Reference {
		r, err := name.ParseReference(host + "/" + s)
		require.NoError(t, err)
		return r
	}
	index := ociIndex(t, "amd64", "arm64")
	require.NoError(t, remote.WriteIndex(ref("many:1"), index))
	require.NoError(t, remote.Write(ref("arm:1"), ociImage(t, "arm64")))
	images, _, _ := newImages(t)

	for arch, want := range map[string]string{"x86_64": "amd64", "aarch64": "arm64"} {
		img, err := images.Pull(t.Context(), host+"/many:1", arch)
		require.NoError(t, err)
		require.Equal(t, arch, img.Arch)
		require.Equal(t, want, readArch(t, images, img))
	}

	digest, err := index.Digest()
	require.NoError(t, err)
	byDigest := host + "/many@" + digest.String()
	first, err := images.Pull(t.Context(), byDigest, "aarch64")
	require.NoError(t, err)
	asked := *requests
	second, err := images.Pull(t.Context(), byDigest, "aarch64")
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Equal(t, asked, *requests, "a digest cannot change, so that nobody is asked again")

	for what, tc := range map[string]struct{ ref, arch, want string }{
		"wrong architecture":       {host + "/arm:1", "x86_64", "it is for linux/arm64, not for linux/amd64"},
		"architecture not in list": {host + "/many:1", "s390x", `architecture "s390x" is not one that images are made for`},
		"unknown tag":              {host + "/many:2", "x86_64", "does not have it (check its spelling and tag)"},
		"unknown name":             {host + "/none:1", "x86_64", "does not have it (check its spelling and tag)"},
		"not a reference":          {"Not A Reference", "x86_64", "write registry/name:tag"},
		"no server":                {"127.0.0.1:1/name:1", "x86_64", "127.0.0.1:1 cannot be reached: "},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := images.Pull(t.Context(), tc.ref, tc.arch)
			require.ErrorContains(t, err, tc.want)
			require.ErrorContains(t, err, "image "+tc.ref+" for "+tc.arch)
		})
	}
}

func TestPullFromAnIndexWithoutTheArchitecture(t *testing.T) {
	host, _ := newRegistry(t)
	ref, err := name.ParseReference(host + "/one:1")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(ref, ociIndex(t, "arm64", "s390x")))
	images, _, _ := newImages(t)
	_, err = images.Pull(t.Context(), host+"/one:1", "x86_64")
	require.ErrorContains(t, err, "it is not for linux/amd64, only for: linux/arm64, linux/s390x")
}

func TestPullFromFiles(t *testing.T) {
	testenv.Root(t)
	dir := t.TempDir()
	layoutDir := filepath.Join(dir, "layout")
	_, err := layout.Write(layoutDir, ociIndex(t, "amd64", "arm64"))
	require.NoError(t, err)
	dockerTar := filepath.Join(dir, "docker.tar")
	tag, err := name.NewTag("example.org/debian:12")
	require.NoError(t, err)
	require.NoError(t, tarball.WriteToFile(dockerTar, tag, ociImage(t, "arm64")))
	ociTar := filepath.Join(dir, "oci.tar")
	tarFolder(t, layoutDir, ociTar)

	images, _, _ := newImages(t)
	for _, path := range []string{layoutDir, dockerTar, ociTar} {
		img, err := images.Pull(t.Context(), path, "aarch64")
		require.NoError(t, err, path)
		require.Equal(t, "arm64", readArch(t, images, img), path)
	}
	_, err = images.Pull(t.Context(), dockerTar, "x86_64")
	require.ErrorContains(t, err, "it is for linux/arm64, not for linux/amd64")
	_, err = images.Pull(t.Context(), filepath.Join(dir, "absent.tar"), "x86_64")
	require.ErrorIs(t, err, fs.ErrNotExist)
	noise := filepath.Join(dir, "noise.tar")
	require.NoError(t, os.WriteFile(noise, archive(t, entry{name: "hello", body: "world"}), 0o644))
	_, err = images.Pull(t.Context(), noise, "x86_64")
	require.ErrorContains(t, err, "it holds neither manifest.json nor index.json")
}

// tarFolder writes a folder's files to an archive.
func tarFolder(t *testing.T, dir, path string) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	tw := tar.NewWriter(f)
	require.NoError(t, tw.AddFS(os.DirFS(dir)))
	require.NoError(t, tw.Close())
	require.NoError(t, f.Close())
}

func TestUnpack(t *testing.T) {
	testenv.Root(t)
	images, layers, _ := newImages(t)
	lower := archive(
		t,
		entry{name: "bin/"}, entry{name: "bin/tool", body: "#!/bin/sh\n", hdr: tar.Header{Mode: 0o4755, Uid: 12, Gid: 34}},
		entry{name: "bin/again", hdr: tar.Header{Typeflag: tar.TypeLink, Linkname: "bin/tool", Mode: 0o4755, Uid: 12, Gid: 34}},
		entry{name: "bin/link", hdr: tar.Header{Typeflag: tar.TypeSymlink, Linkname: "/bin/tool"}},
		entry{name: "old/"}, entry{name: "old/file", body: "x"},
	)
	upper := archive(t, entry{name: "bin/"}, entry{name: "bin/.wh.tool"}, entry{name: "old/"}, entry{name: "old/.wh..wh..opq"})
	base, err := images.Append(t.Context(), "lower", nil, "x86_64", "a test", bytes.NewReader(lower))
	require.NoError(t, err)
	img, err := images.Append(t.Context(), "upper", base, "x86_64", "a test", bytes.NewReader(upper))
	require.NoError(t, err)

	root, err := images.Unpack(t.Context(), img)
	require.NoError(t, err)
	require.Len(t, root.Layers, 2)
	top, bottom := root.Layers[0], root.Layers[1]
	fi, err := os.Stat(filepath.Join(bottom, "bin/tool"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o755)|fs.ModeSetuid, fi.Mode())
	stat := fi.Sys().(*syscall.Stat_t)
	require.Equal(t, []uint32{12, 34, 2}, []uint32{stat.Uid, stat.Gid, uint32(stat.Nlink)})
	target, err := os.Readlink(filepath.Join(bottom, "bin/link"))
	require.NoError(t, err)
	require.Equal(t, "/bin/tool", target)
	fi, err = os.Lstat(filepath.Join(top, "bin/tool"))
	require.NoError(t, err)
	require.NotZero(t, fi.Mode()&fs.ModeCharDevice, "what the layer deletes, overlayfs knows by a device")

	again, err := images.Unpack(t.Context(), img)
	require.NoError(t, err)
	require.Equal(t, root, again)
	found, err := images.Find("upper")
	require.NoError(t, err)
	require.Equal(t, img, found)
	_, err = images.Find("another")
	require.ErrorIs(t, err, store.ErrNotFound)
	requireNoTemporary(t, layers)
}

func requireNoTemporary(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTheSameContentIsTheSameImage(t *testing.T) {
	content := archive(t, entry{name: "file", body: strings.Repeat("content", 1<<16)})
	var digests []string
	for range 2 {
		images, _, _ := newImages(t)
		img, err := images.Append(t.Context(), "key", nil, "aarch64", "a test", bytes.NewReader(content))
		require.NoError(t, err)
		digests = append(digests, string(img.Digest)+string(img.Manifest))
	}
	require.Equal(t, digests[0], digests[1])
}

func TestManyUnpackAtOnce(t *testing.T) {
	testenv.Root(t)
	images, layers, _ := newImages(t)
	img, err := images.Append(t.Context(), "key", nil, "x86_64", "a test", bytes.NewReader(archive(t, entry{name: "file", body: "content"})))
	require.NoError(t, err)
	errs := make(chan error)
	for range 8 {
		go func() {
			_, err := images.Unpack(t.Context(), img)
			errs <- err
		}()
	}
	for range 8 {
		require.NoError(t, <-errs)
	}
	requireNoTemporary(t, layers)
}

func TestAloneMakesOnce(t *testing.T) {
	images, _, _ := newImages(t)
	made := 0
	errs := make(chan error)
	for range 4 {
		go func() {
			_, err := images.Alone(t.Context(), "key", func() (*image.Image, error) {
				made++
				return images.Append(t.Context(), "key", nil, "x86_64", "a test", bytes.NewReader(archive(t, entry{name: "file"})))
			})
			errs <- err
		}()
	}
	for range 4 {
		require.NoError(t, <-errs)
	}
	require.Equal(t, 1, made)

	// Who waits for another does not wait longer than it wants to.
	waits, release := make(chan struct{}), make(chan struct{})
	go func() {
		_, err := images.Alone(context.Background(), "slow", func() (*image.Image, error) {
			close(waits)
			<-release
			return nil, errors.New("failed")
		})
		errs <- err
	}()
	<-waits
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("somebody pressed a key")
	cancel(why)
	_, err := images.Alone(ctx, "slow", nil)
	require.ErrorIs(t, err, why)
	close(release)
	require.ErrorContains(t, <-errs, "failed")
}

// findBlob returns the file of an object.
func findBlob(t *testing.T, st string, d store.Digest) string {
	t.Helper()
	path := filepath.Join(st, "objects", "sha256", d.Hex()[:2], d.Hex())
	require.FileExists(t, path)
	return path
}

func TestARottenLayerIsNotUsed(t *testing.T) {
	testenv.Root(t)
	images, layers, st := newImages(t)
	content := archive(t, entry{name: "file", body: "content"})
	img, err := images.Append(t.Context(), "key", nil, "x86_64", "a test", bytes.NewReader(content))
	require.NoError(t, err)
	blob := findBlob(t, st, img.Layers[0].Blob)
	bytes, err := os.ReadFile(blob)
	require.NoError(t, err)
	bytes[len(bytes)/2] ^= 1
	require.NoError(t, os.Chmod(blob, 0o644))
	require.NoError(t, os.WriteFile(blob, bytes, 0o644))

	_, err = images.Unpack(t.Context(), img)
	require.ErrorContains(t, err, "unpacking layer 1 of the image")
	require.ErrorContains(t, err, "is corrupt: expected "+string(img.Layers[0].Blob)+", its bytes are sha256:")
	require.ErrorContains(t, err, "it was removed, and the next run gets it anew")
	requireNoTemporary(t, layers)
	require.NoDirExists(t, filepath.Join(layers, img.Layers[0].DiffID.Hex()))
	_, err = images.Find("key")
	require.ErrorIs(t, err, store.ErrNotFound, "it is made anew")
}

func TestALayerThatIsDamagedOnItsWay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	index := ociIndex(t, "amd64")
	_, err := layout.Write(dir, index)
	require.NoError(t, err)
	layers, err := ociImage(t, "amd64").Layers()
	require.NoError(t, err)
	digest, err := layers[0].Digest()
	require.NoError(t, err)
	blob := filepath.Join(dir, "blobs", "sha256", digest.Hex)
	content, err := os.ReadFile(blob)
	require.NoError(t, err)
	content[len(content)/2] ^= 1
	require.NoError(t, os.WriteFile(blob, content, 0o644))

	images, _, _ := newImages(t)
	_, err = images.Pull(t.Context(), dir, "x86_64")
	require.ErrorContains(t, err, "image "+dir+" for x86_64: layer 1: its blob is corrupt: ")
	require.ErrorContains(t, err, digest.Hex)
}

func TestALayerThatIsNotWhatItsImagePromises(t *testing.T) {
	testenv.Root(t)
	host, _ := newRegistry(t)
	l := static.NewLayer(archive(t, entry{name: "file", body: "evil"}), types.OCIUncompressedLayer)
	img, err := mutate.AppendLayers(empty.Image, l)
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.RootFS.DiffIDs[0], err = v1.NewHash("sha256:" + strings.Repeat("a", 64))
	require.NoError(t, err)
	img, err = mutate.ConfigFile(img, config)
	require.NoError(t, err)
	ref, err := name.ParseReference(host + "/evil:1")
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, img))

	images, layers, _ := newImages(t)
	pulled, err := images.Pull(t.Context(), host+"/evil:1", "x86_64")
	require.NoError(t, err)
	_, err = images.Unpack(t.Context(), pulled)
	require.ErrorContains(t, err, "its image promises sha256:aaaa")
	require.NoDirExists(t, filepath.Join(layers, strings.Repeat("a", 64)))
}

func TestHostileArchivesStayInside(t *testing.T) {
	testenv.Root(t)
	outside := filepath.Join(t.TempDir(), "outside")
	for what, entries := range map[string][]entry{
		"dots":     {{name: "../../../../../../.." + outside, body: "x"}},
		"absolute": {{name: outside, body: "x"}},
		"through a link": {
			{name: "door", hdr: tar.Header{Typeflag: tar.TypeSymlink, Linkname: filepath.Dir(outside)}},
			{name: "door/outside", body: "x"},
		},
		"hard link": {{name: "file", hdr: tar.Header{Typeflag: tar.TypeLink, Linkname: "../../../../../../../etc/passwd"}}},
	} {
		t.Run(what, func(t *testing.T) {
			images, _, _ := newImages(t)
			img, err := images.Append(t.Context(), "key", nil, "x86_64", "a test", bytes.NewReader(archive(t, entries...)))
			require.NoError(t, err)
			root, err := images.Unpack(t.Context(), img)
			require.NoFileExists(t, outside)
			if err == nil && what == "hard link" {
				t.Errorf("a link to the host's file was made in %s", root.Layers)
			}
		})
	}
}

func TestAppendFolder(t *testing.T) {
	testenv.Root(t)
	images, _, _ := newImages(t)
	base, err := images.Append(t.Context(), "base", nil, "x86_64", "a test", bytes.NewReader(archive(t, entry{name: "etc/"})))
	require.NoError(t, err)

	var digests []store.Digest
	for i := range 2 {
		// What overlayfs leaves in its upper layer.
		upper := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(upper, "etc/opaque"), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(upper, "etc/file"), []byte("content"), 0o600))
		require.NoError(t, os.Chown(filepath.Join(upper, "etc/file"), 12, 34))
		require.NoError(t, os.Link(filepath.Join(upper, "etc/file"), filepath.Join(upper, "etc/link")))
		require.NoError(t, os.Symlink("file", filepath.Join(upper, "etc/symlink")))
		require.NoError(t, syscall.Mknod(filepath.Join(upper, "etc/gone"), syscall.S_IFCHR, 0))
		require.NoError(t, syscall.Setxattr(filepath.Join(upper, "etc/opaque"), "trusted.overlay.opaque", []byte("y"), 0))
		require.NoError(t, syscall.Setxattr(filepath.Join(upper, "etc"), "trusted.overlay.impure", []byte("y"), 0))
		require.NoError(t, syscall.Setxattr(filepath.Join(upper, "etc/file"), "user.note", []byte("kept"), 0))
		img, err := images.AppendFolder(t.Context(), fmt.Sprint("key", i), base, "a test", upper)
		require.NoError(t, err)
		digests = append(digests, img.Digest)

		root, err := images.Unpack(t.Context(), img)
		require.NoError(t, err)
		top := root.Layers[0]
		got, err := os.ReadFile(filepath.Join(top, "etc/link"))
		require.NoError(t, err)
		require.Equal(t, "content", string(got))
		fi, err := os.Stat(filepath.Join(top, "etc/file"))
		require.NoError(t, err)
		stat := fi.Sys().(*syscall.Stat_t)
		require.Equal(t, []uint32{12, 34, 2}, []uint32{stat.Uid, stat.Gid, uint32(stat.Nlink)})
		require.EqualValues(t, image.Epoch, fi.ModTime().Unix())
		value := make([]byte, 16)
		n, err := syscall.Getxattr(filepath.Join(top, "etc/file"), "user.note", value)
		require.NoError(t, err)
		require.Equal(t, "kept", string(value[:n]))
		n, err = syscall.Getxattr(filepath.Join(top, "etc/opaque"), "trusted.overlay.opaque", value)
		require.NoError(t, err)
		require.Equal(t, "y", string(value[:n]))
		_, err = syscall.Getxattr(filepath.Join(top, "etc"), "trusted.overlay.impure", value)
		require.Error(t, err)
		fi, err = os.Lstat(filepath.Join(top, "etc/gone"))
		require.NoError(t, err)
		require.NotZero(t, fi.Mode()&fs.ModeCharDevice)
	}
	require.Equal(t, digests[0], digests[1], "the layer does not tell when it was written")
}

func TestOCI(t *testing.T) {
	images, _, _ := newImages(t)
	img, err := images.Append(t.Context(), "key", nil, "aarch64", "a test", bytes.NewReader(archive(t, entry{name: "file", body: "content"})))
	require.NoError(t, err)
	oci, err := images.OCI(img)
	require.NoError(t, err)
	host, _ := newRegistry(t)
	ref, err := name.ParseReference(host + "/ours:1")
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, oci))

	others, _, _ := newImages(t)
	pulled, err := others.Pull(t.Context(), host+"/ours:1", "aarch64")
	require.NoError(t, err)
	require.Equal(t, img, pulled)
}
