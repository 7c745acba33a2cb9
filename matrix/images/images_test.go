package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/matrix/jobs"
	"github.com/ohpc-build/ohpc-build/matrix/retry"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// served is a registry that counts how often it is asked for an image.
type served struct {
	host  string
	asked atomic.Int32
}

func newServed(t *testing.T) *served {
	t.Helper()
	s := &served{}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
			s.asked.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

// push puts an image of one file there.
func (s *served) push(t *testing.T, repository, arch string) (reference string) {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	require.NoError(t, tw.WriteHeader(&tar.Header{Name: "of", Mode: 0o644, Size: int64(len(repository)), Typeflag: tar.TypeReg}))
	_, err := io.WriteString(tw, repository)
	require.NoError(t, err)
	require.NoError(t, tw.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	require.NoError(t, err)
	img, err := mutate.AppendLayers(empty.Image, l)
	require.NoError(t, err)
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		OS: "linux", Architecture: map[string]string{"x86_64": "amd64", "aarch64": "arm64"}[arch], RootFS: mustConfig(t, img).RootFS,
	})
	require.NoError(t, err)
	reference = s.host + "/" + repository + ":1"
	ref, err := name.ParseReference(reference)
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, img))
	return reference
}

func mustConfig(t *testing.T, img v1.Image) *v1.ConfigFile {
	t.Helper()
	c, err := img.ConfigFile()
	require.NoError(t, err)
	return c
}

// steps are what was told of the progress.
type steps struct {
	mu    sync.Mutex
	ended map[string]string
}

func (s *steps) Begin(string) {}

func (s *steps) End(what, how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = map[string]string{}
	}
	s.ended[what] = how
}

// twice has to try everything once more, and remembers what.
type twice []string

func (w *twice) Try(_ context.Context, what string, _ io.Writer, try func() error) (int, error) {
	*w = append(*w, what)
	return 2, errors.Join(try(), try())
}

func newImages(t *testing.T, dir string, atHand bool, retries int) *Images {
	t.Helper()
	st, err := store.Open(filepath.Join(dir, "store"))
	require.NoError(t, err)
	quiet := slog.New(slog.DiscardHandler)
	return New(st, nil, Options{
		Layers: filepath.Join(dir, "layers"), Scratch: t.TempDir(), AtHand: atHand, Native: true, Log: quiet,
		Patience: retry.Patience{Retries: retries, Wait: time.Millisecond, Log: quiet},
		Logs:     func(name string) (*os.File, error) { return os.Create(filepath.Join(dir, name)) },
	})
}

// foreign is an architecture that is not the host's.
func foreign() string {
	if emulate.Host() == "x86_64" {
		return "aarch64"
	}
	return "x86_64"
}

func target(name, reference, evaluate string, archs ...string) *recipes.Target {
	t := &recipes.Target{Name: name, Architectures: archs, Evaluate: evaluate}
	t.Image.Reference = reference
	return t
}

func TestACellGetsItsOwnImageAndTheHostsReadsItsSpecs(t *testing.T) {
	testenv.Root(t)
	s := newServed(t)
	here := target("EL_9", s.push(t, "el", emulate.Host()), "", emulate.Host(), foreign())
	cell := &jobs.Cell{Target: here, Arch: emulate.Host()}
	images := newImages(t, t.TempDir(), false, 0)
	choice, err := images.Choose(&recipes.Catalog{Targets: []*recipes.Target{here}}, []*jobs.Cell{cell})
	require.NoError(t, err)
	require.Equal(t, 1, choice.Number())
	var patience twice
	images.opt.Patience = &patience
	var told steps
	require.NoError(t, choice.Provide(t.Context(), &told))
	require.Contains(t, told.ended[cell.String()], "image ")
	require.Equal(t, twice{"the image of " + cell.String()}, patience)
	text, err := os.ReadFile(filepath.Join(cell.Image.Layers[0], "of"))
	require.NoError(t, err)
	require.Equal(t, "el", string(text))
	require.Equal(t, jobs.Reader{Image: cell.Image, Arch: emulate.Host(), Target: "EL_9"}, cell.Reader)

	// What is emulated is read by the host's own.
	emulated := &jobs.Cell{Target: here, Arch: foreign(), Image: buildroot.Image{Digest: "sha256:other"}}
	other := &jobs.Cell{Target: target("Leap_15", "", ""), Arch: foreign(), Image: buildroot.Image{Digest: "sha256:leap"}}
	all := []*jobs.Cell{emulated, cell, other}
	require.Equal(t, cell.Reader, ownReader(emulated, all))
	require.Equal(t, jobs.Reader{Image: other.Image, Arch: foreign(), Target: "Leap_15"}, ownReader(other, all))
}

func TestARegistryThatIsGone(t *testing.T) {
	s := newServed(t)
	absent := target("EL_9", s.host+"/absent:1", "", "x86_64")
	images := newImages(t, t.TempDir(), false, 3)
	cell := &jobs.Cell{Target: absent, Arch: "x86_64"}
	var told steps
	err := images.Own(t.Context(), []*jobs.Cell{cell}, &told)
	require.ErrorContains(t, err, "the image of EL_9/x86_64: ")
	require.ErrorContains(t, err, "another image is given to a target under targets: in ohpc-build.yaml")
	require.Contains(t, told.ended["EL_9/x86_64"], "failed: ")
	require.Empty(t, cell.Image.Digest)
	require.EqualValues(t, 1, s.asked.Load(), "what is not there is not there the next time")
}

// TestWhatIsOnlyPlanned is read in another target's image as long as the target's own has
// not been pulled.
func TestWhatIsOnlyPlanned(t *testing.T) {
	testenv.Root(t)
	s := newServed(t)
	dir := t.TempDir()
	lender := target("Debian_12", s.push(t, "debian", emulate.Host()), "", foreign(), emulate.Host())
	far := target("openEuler_22.03", s.push(t, "euler", emulate.Host()), "Debian_12", emulate.Host())
	catalog := &recipes.Catalog{Targets: []*recipes.Target{lender, far}}
	plan := func() (*jobs.Cell, *Choice) {
		t.Helper()
		cell := &jobs.Cell{Target: far, Arch: emulate.Host()}
		choice, err := newImages(t, dir, true, 0).Choose(catalog, []*jobs.Cell{cell})
		require.NoError(t, err)
		require.Equal(t, 1, choice.Number())
		var told steps
		require.NoError(t, choice.Provide(t.Context(), &told))
		return cell, choice
	}
	cell, choice := plan()
	require.Contains(t, choice.borrowed, "Debian_12")
	require.Empty(t, cell.Image.Digest)
	require.Equal(t, "Debian_12", cell.Reader.Target)
	require.Equal(t, emulate.Host(), cell.Reader.Arch, "it has it")
	require.NotEmpty(t, cell.Reader.Image.Layers)

	require.NoError(t, newImages(t, dir, false, 0).Own(t.Context(), []*jobs.Cell{{Target: far, Arch: emulate.Host()}}, &steps{}))
	s.asked.Store(0)
	cell, choice = plan()
	require.Empty(t, choice.borrowed)
	require.NotEmpty(t, cell.Image.Digest)
	require.Equal(t, "openEuler_22.03", cell.Reader.Target)
	require.Zero(t, s.asked.Load(), "it is at hand")

	far.Evaluate, far.Image.Reference = "no such target", s.host+"/never:1"
	_, err := newImages(t, dir, true, 0).Choose(catalog, []*jobs.Cell{{Target: far, Arch: emulate.Host()}})
	require.ErrorAs(t, err, new(*TargetError))
	require.ErrorContains(t, err, "target openEuler_22.03 has no image here")
	require.Equal(t, foreign(), readerArch(target("x", "", "", foreign())))
}

func TestOnlyWhatWasBootstrappedIsExtended(t *testing.T) {
	images := newImages(t, t.TempDir(), false, 0)
	pulled := &jobs.Cell{Target: target("EL_9", "example.org/el:9", ""), Arch: "x86_64"}
	require.Empty(t, images.Key(pulled))
	_, err := images.Download(t.Context(), pulled, []string{"uuid-dev"})
	require.ErrorAs(t, err, new(*TargetError))
	require.ErrorContains(t, err, "target EL_9 has on_demand packages and no bootstrap")
	_, err = images.Extend(t.Context(), pulled, nil)
	require.ErrorAs(t, err, new(*TargetError))

	made := &jobs.Cell{Target: &recipes.Target{Name: "Debian_12"}, Arch: emulate.Host()}
	made.Target.Image.Bootstrap = &recipes.Bootstrap{Suite: "bookworm", Components: []string{"main"}}
	key := images.Key(made)
	require.NotEmpty(t, key)
	images.opt.Mirror = "http://mirror.example.org/debian"
	require.NotEqual(t, key, images.Key(made), "another archive may have other packages")
	_, err = images.Extend(t.Context(), made, nil)
	require.ErrorContains(t, err, "extending the image of Debian_12/"+emulate.Host())

	layers := []string{t.TempDir(), t.TempDir()}
	_, err = bottom(buildroot.Image{Digest: "sha256:0123456789abcdef", Layers: layers})
	require.ErrorContains(t, err, "has no list of Debian packages")
	require.NoError(t, os.MkdirAll(filepath.Join(layers[1], "var/lib/dpkg"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(layers[1], "var/lib/dpkg/status"), nil, 0o644))
	dir, err := bottom(buildroot.Image{Layers: layers})
	require.NoError(t, err)
	require.Equal(t, layers[1], dir)
}

func TestNativeProgramsAreWantedForEmulatedCellsOnly(t *testing.T) {
	images := newImages(t, t.TempDir(), false, 0)
	debian := &recipes.Target{Name: "Debian_12"}
	debian.Image.Bootstrap = &recipes.Bootstrap{Toolchain: map[string][]string{foreign(): {"gcc"}, emulate.Host(): {"gcc"}}}
	require.True(t, images.wantsToolchain(&jobs.Cell{Target: debian, Arch: foreign()}))
	require.False(t, images.wantsToolchain(&jobs.Cell{Target: debian, Arch: emulate.Host()}))
	require.False(t, images.wantsToolchain(&jobs.Cell{Target: debian, Arch: "riscv64"}), "the target has none for it")
	require.False(t, images.wantsToolchain(&jobs.Cell{Target: target("EL_9", "example.org/el:9", ""), Arch: foreign()}))
	images.opt.Native = false
	require.False(t, images.wantsToolchain(&jobs.Cell{Target: debian, Arch: foreign()}), "all is to be emulated")
}

// TestALogThatCannotBeMade stops a bootstrap before it begins.
func TestALogThatCannotBeMade(t *testing.T) {
	images := newImages(t, t.TempDir(), false, 0)
	images.opt.Logs = func(string) (*os.File, error) { return nil, errors.New("creating a log: no room") }
	debian := &recipes.Target{Name: "Debian_12"}
	debian.Image.Bootstrap = &recipes.Bootstrap{Suite: "bookworm"}
	err := images.Own(t.Context(), []*jobs.Cell{{Target: debian, Arch: emulate.Host()}}, &steps{})
	require.ErrorContains(t, err, "the image of Debian_12/"+emulate.Host()+": creating a log: no room")
}
