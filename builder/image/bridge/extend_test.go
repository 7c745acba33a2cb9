package bridge_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/bridge"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

// TestExtension adds a development package to the image, as a build that requires it
// does, and asks rpm and the compiler.
func TestExtension(t *testing.T) {
	s := newSystem(t, emulate.Host())
	st, err := store.Open(filepath.Join(testenv.State(t), "store"))
	require.NoError(t, err)
	images := image.New(st, filepath.Join(testenv.State(t), "layers", "images"))
	bootstrap, names := debian12(t)
	below, err := bootstrap.Image(t.Context(), images, emulate.Host(), t.Output())
	require.NoError(t, err)
	base, err := names.Image(t.Context(), images, s.runtime, below, t.Output())
	require.NoError(t, err)

	downloaded, err := bootstrap.Download(t.Context(), s.root.Layers[len(s.root.Layers)-1], emulate.Host(), []string{"libssl-dev"}, t.TempDir())
	require.NoError(t, err)
	require.NotEmpty(t, downloaded)
	// A store of its own, so that the extension is made here and not found.
	own, err := store.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	var debs []bridge.Deb
	for _, d := range downloaded {
		digest, _, err := own.PutFile(t.Context(), d.Path)
		require.NoError(t, err)
		debs = append(debs, bridge.Deb{File: filepath.Base(d.Path), Digest: digest})
	}
	demand := bridge.Names{"openssl-devel": {"libssl-dev"}, "python3-devel": {"python3-dev"}}
	img, err := demand.Extend(t.Context(), images, own, s.runtime, base, debs, t.Output())
	require.NoError(t, err)
	again, err := demand.Extend(t.Context(), images, own, s.runtime, base, debs, t.Output())
	require.NoError(t, err)
	require.Equal(t, img.Digest, again.Digest)
	require.NotEqual(t, base.Digest, img.Digest)
	s.root, err = images.Unpack(t.Context(), img)
	require.NoError(t, err)
	out, err := s.run(`rpm --query --whatprovides openssl-devel 'pkgconfig(libssl)' gcc &&
		rpm --query --provides distro-bridge-on-demand | grep '^openssl-devel = 3' &&
		echo '#include <openssl/ssl.h>' | gcc -E - >/dev/null && ! rpm --query --whatprovides python3-devel && dpkg --audit`, func(spec *sandbox.Spec) {
		spec.UID, spec.GID, spec.Privileges, spec.Mounts = 65534, 65534, sandbox.None, nil
	})
	require.NoError(t, err, out)
	require.Contains(t, out, "distro-bridge-on-demand")
}
