package resolve_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/bridge"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// index writes metadata as package matrix does.
type index struct{}

func (index) Index(ctx context.Context, dir string, files []string) error {
	var entries []rpmmd.Entry
	for _, file := range files {
		path := filepath.Join(dir, file)
		p, err := rpm.ReadFile(path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		digest := sha256.Sum256(text)
		entries = append(entries, rpmmd.Entry{Package: p, Location: file, SHA256: hex.EncodeToString(digest[:])})
	}
	_, err := rpmmd.Write(ctx, dir, entries, rpmmd.Options{})
	return err
}

// base is the catalogue's Debian_12, which every test of the project shares.
func base(t *testing.T, arch string) (buildroot.Image, *sandbox.Runtime) {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "mmdebstrap", "runc")
	if err := emulate.Preflight(t.Context(), arch); err != nil {
		testenv.Missing(t, err.Error())
	}
	text, err := os.ReadFile("../../recipes/catalog/targets/Debian_12.yaml")
	require.NoError(t, err)
	var target struct {
		Image struct {
			Bootstrap struct {
				Suite      string   `yaml:"suite"`
				Components []string `yaml:"components"`
				Packages   []string `yaml:"packages"`
			} `yaml:"bootstrap"`
		} `yaml:"image"`
		Bridge map[string][]string `yaml:"bridge"`
	}
	require.NoError(t, yaml.Unmarshal(text, &target))
	state := testenv.State(t)
	st, err := store.Open(filepath.Join(state, "store"))
	require.NoError(t, err)
	runtime, err := sandbox.New("runc", filepath.Join(state, "run"))
	require.NoError(t, err)
	images := image.New(st, filepath.Join(state, "layers", "images"))
	b := target.Image.Bootstrap
	img, err := debian.Bootstrap{Suite: b.Suite, Components: b.Components, Packages: b.Packages}.Image(t.Context(), images, arch, t.Output())
	require.NoError(t, err)
	img, err = bridge.Names(target.Bridge).Image(t.Context(), images, runtime, img, t.Output())
	require.NoError(t, err)
	root, err := images.Unpack(t.Context(), img)
	require.NoError(t, err)
	return buildroot.Image{Digest: root.Digest, Layers: root.Layers}, runtime
}

var keys = sync.OnceValues(func() ([2]*sign.Key, error) {
	var pair [2]*sign.Key
	for i := range pair {
		key, err := sign.Generate(sign.Params{Name: fmt.Sprintf("Distribution %d", i), Email: "root@localhost"})
		if err != nil {
			return pair, err
		}
		pair[i] = key
	}
	return pair, nil
})

// distribution is a repository that a loopback server offers.
type distribution struct {
	dir    string
	key    []byte
	server *httptest.Server
	serve  func(http.ResponseWriter, *http.Request) bool // instead of the files
}

func dep(t *testing.T, text string) rpm.Dependency {
	t.Helper()
	if strings.HasPrefix(text, "(") {
		return rpm.Dependency{Name: text}
	}
	d, err := write.ParseDependency(text)
	require.NoError(t, err)
	return d
}

func deps(t *testing.T, texts ...string) []rpm.Dependency {
	t.Helper()
	var all []rpm.Dependency
	for _, text := range texts {
		all = append(all, dep(t, text))
	}
	return all
}

type pkg struct {
	name, version      string
	provides, requires []string
	conflicts          []string
	files              []string
	unsigned, stranger bool
}

func (p pkg) file() string { return p.name + "-" + p.version + "-1.noarch.rpm" }

func (p pkg) bytes(t *testing.T) []byte {
	t.Helper()
	w := write.Package{
		Name: p.name, Version: p.version, Release: "1", Arch: "noarch", Summary: p.name, Description: p.name, License: "Apache-2.0",
		SourceRPM: p.name + "-" + p.version + "-1.src.rpm", BuildTime: time.Unix(1700000000, 0), BuildHost: "test",
		Provides: deps(t, p.provides...), Requires: deps(t, p.requires...), Conflicts: deps(t, p.conflicts...),
	}
	for _, f := range p.files {
		w.Files = append(w.Files, write.File{Path: f, Data: []byte(f)})
	}
	var plain, signed bytes.Buffer
	require.NoError(t, write.Write(&plain, w))
	if p.unsigned {
		return plain.Bytes()
	}
	pair, err := keys()
	require.NoError(t, err)
	key := pair[0]
	if p.stranger {
		key = pair[1]
	}
	require.NoError(t, key.SignPackage(t.Context(), bytes.NewReader(plain.Bytes()), int64(plain.Len()), &signed, time.Unix(1700000000, 0)))
	return signed.Bytes()
}

func newDistribution(t *testing.T, packages ...pkg) *distribution {
	t.Helper()
	d := &distribution{dir: t.TempDir()}
	var files []string
	for _, p := range packages {
		require.NoError(t, os.WriteFile(filepath.Join(d.dir, p.file()), p.bytes(t), 0o644))
		files = append(files, p.file())
	}
	slices.Sort(files)
	require.NoError(t, index{}.Index(t.Context(), d.dir, files))
	pair, err := keys()
	require.NoError(t, err)
	d.key = pair[0].PublicKey()
	static := http.FileServer(http.Dir(d.dir))
	d.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.serve == nil || !d.serve(w, r) {
			static.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(d.server.Close)
	return d
}

// configured is an image that knows the repository.
func configured(t *testing.T, img buildroot.Image, d *distribution) buildroot.Image {
	t.Helper()
	layer, url := t.TempDir(), d.server.URL
	require.NoError(t, os.MkdirAll(filepath.Join(layer, "etc/pki"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(layer, "etc/pki/dist.asc"), d.key, 0o644))
	definition := "[dist]\nname=The distribution\nbaseurl=" + url + "\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=0\ngpgkey=file:///etc/pki/dist.asc\n"
	for _, dir := range []string{"etc/yum.repos.d", "etc/zypp/repos.d"} {
		require.NoError(t, os.MkdirAll(filepath.Join(layer, dir), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(layer, dir, "dist.repo"), []byte(definition), 0o644))
	}
	return buildroot.Image{Digest: store.Of([]byte(img.Digest + "with a repository")), Layers: append([]string{layer}, img.Layers...)}
}

func temporary(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	return st
}

func names(l *resolve.Lock) []string {
	var all []string
	for _, p := range l.Packages {
		all = append(all, p.Name+"-"+p.EVR)
	}
	return all
}

// offered is a distribution with something of everything.
func offered() []pkg {
	return []pkg{
		{name: "plain", version: "1"},
		{name: "versioned", version: "1"},
		{name: "versioned", version: "2"},
		{name: "versioned", version: "3"},
		{name: "behind", version: "1", provides: []string{"virtual(thing) = 4"}, requires: []string{"plain"}},
		{name: "holder", version: "1", files: []string{"/opt/holder/bin/tool"}},
		{name: "one", version: "1", conflicts: []string{"other"}},
		{name: "other", version: "1"},
		{name: "incomplete", version: "1", requires: []string{"nowhere"}},
		{name: "unsigned", version: "1", unsigned: true},
		{name: "strange", version: "1", stranger: true},
	}
}

func TestResolve(t *testing.T) {
	img, runtime := base(t, emulate.Host())
	dist := newDistribution(t, offered()...)
	img = configured(t, img, dist)
	st := temporary(t)
	ours := pkg{name: "ours", version: "7", provides: []string{"mpi"}, requires: []string{"plain"}, unsigned: true}
	digest, err := st.PutBytes(t.Context(), ours.bytes(t))
	require.NoError(t, err)
	for _, tc := range []struct {
		name     string
		requires []string
		chosen   bool
		both     bool // zypper is asked as well
		want     []string
		unmet    []string // requirements in the error
		says     string
	}{
		{name: "plain", both: true, requires: []string{"plain"}, want: []string{"plain-1-1"}},
		{name: "held by the image", requires: []string{"make", "/usr/bin/gcc"}},
		{name: "the newest", requires: []string{"versioned"}, want: []string{"versioned-3-1"}},
		{name: "a range", both: true, requires: []string{"versioned >= 2", "versioned < 3"}, want: []string{"versioned-2-1"}},
		{name: "virtual, and what it requires", requires: []string{"virtual(thing) >= 3"}, want: []string{"behind-1-1", "plain-1-1"}},
		{name: "rich", both: true, requires: []string{"(absent or versioned = 1)"}, want: []string{"versioned-1-1"}},
		{name: "a condition that is true", requires: []string{"(plain if make)"}, want: []string{"plain-1-1"}},
		{name: "a condition that is not", requires: []string{"(plain if holder)"}},
		{name: "a file", requires: []string{"/opt/holder/bin/tool"}, want: []string{"holder-1-1"}},
		{name: "ours", both: true, requires: []string{"mpi"}, want: []string{"ours-7-1", "plain-1-1"}},
		{name: "ours, chosen", chosen: true, want: []string{"ours-7-1", "plain-1-1"}},
		{name: "nothing provides", both: true, requires: []string{"plain", "absent >= 2", "gone"}, unmet: []string{"absent >= 2", "gone"}, says: "nothing provides"},
		{name: "a dependency is missing", requires: []string{"incomplete"}, unmet: []string{"incomplete"}, says: "nowhere"},
		{name: "conflict", both: true, requires: []string{"one", "other"}, unmet: []string{"one", "other"}, says: "other-1-1.noarch"},
		{name: "too old", requires: []string{"versioned > 3-9"}, unmet: []string{"versioned > 3-9"}, says: "nothing provides"},
		{name: "unsigned", both: true, requires: []string{"unsigned"}, says: "unsigned"},
		{name: "signed by somebody else", requires: []string{"strange"}, says: "strange"},
	} {
		for _, manager := range resolve.Managers() {
			if manager != "dnf" && !tc.both {
				continue
			}
			t.Run(tc.name+" "+manager, func(t *testing.T) {
				q := resolve.Request{
					Job: "job/T/" + emulate.Host(), Target: "T", Arch: emulate.Host(), Image: img, Manager: manager, Requires: deps(t, tc.requires...),
					Own: []resolve.Own{{File: ours.file(), Digest: digest, Job: "ours/T", Chosen: tc.chosen}}, Timeout: 2 * time.Minute,
				}
				l, err := resolve.New(st, runtime, index{}).Resolve(t.Context(), q)
				if tc.says != "" {
					require.ErrorContains(t, err, tc.says)
					var unresolvable *resolve.UnresolvableError
					if len(tc.unmet) > 0 {
						require.ErrorAs(t, err, &unresolvable)
						require.Subset(t, tc.unmet, unresolvable.Requirements)
						require.NotEmpty(t, unresolvable.Requirements)
						require.ErrorContains(t, err, dist.server.URL)
						require.NotContains(t, err.Error(), "ohpc-build-requirement")
					} else {
						var bad *resolve.RepositoryError
						require.ErrorAs(t, err, &bad)
					}
					return
				}
				require.NoError(t, err)
				require.Equal(t, tc.want, names(l))
				for _, p := range l.Packages {
					require.True(t, st.Has(p.Digest))
					if p.Name == "ours" {
						require.Equal(t, resolve.Origin{Job: "ours/T"}, p.Origin)
						require.Equal(t, digest, p.Digest)
						continue
					}
					require.Equal(t, resolve.Origin{Repository: "dist", URL: dist.server.URL + "/" + p.File}, p.Origin)
				}
				if tc.name != "rich" {
					return
				}
				again, err := resolve.New(st, runtime, index{}).Resolve(t.Context(), q)
				require.NoError(t, err)
				first, err := l.JSON()
				require.NoError(t, err)
				second, err := again.JSON()
				require.NoError(t, err)
				require.Equal(t, string(first), string(second))
				read, err := resolve.ReadLock(first)
				require.NoError(t, err)
				require.Equal(t, l.Packages, read.Packages)
			})
		}
	}
}

func TestTooMuchToDownload(t *testing.T) {
	img, runtime := base(t, emulate.Host())
	dist := newDistribution(t, pkg{name: "plain", version: "1"})
	_, err := resolve.New(temporary(t), runtime, index{}).Resolve(t.Context(), resolve.Request{
		Job: "job", Target: "T", Arch: emulate.Host(), Image: configured(t, img, dist), Manager: "dnf", Requires: deps(t, "plain"), Limit: 100,
	})
	require.ErrorContains(t, err, "more than the limit of 100 bytes")
}

// TestForeignArchitecture asks an emulated dnf.
func TestForeignArchitecture(t *testing.T) {
	arch := map[string]string{"x86_64": "aarch64", "aarch64": "x86_64"}[emulate.Host()]
	img, runtime := base(t, arch)
	dist := newDistribution(t, pkg{name: "plain", version: "1"})
	l, err := resolve.New(temporary(t), runtime, index{}).Resolve(t.Context(), resolve.Request{
		Job: "job", Target: "T", Arch: arch, Image: configured(t, img, dist), Manager: "dnf", Requires: deps(t, "plain", "make"),
	})
	require.NoError(t, err)
	require.Equal(t, []string{"plain-1-1"}, names(l))
	require.Equal(t, arch, l.Arch)
}

// TestBadRepositories are those that do not keep what their metadata promise.
func TestBadRepositories(t *testing.T) {
	img, runtime := base(t, emulate.Host())
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, d *distribution)
		both  bool // zypper is asked as well
		says  string
	}{
		{"truncated", func(t *testing.T, d *distribution) {
			require.NoError(t, os.Truncate(filepath.Join(d.dir, "plain-1-1.noarch.rpm"), 1000))
		}, true, "plain"},
		{"another package under its name", func(t *testing.T, d *distribution) {
			require.NoError(t, os.Rename(filepath.Join(d.dir, "other-1-1.noarch.rpm"), filepath.Join(d.dir, "plain-1-1.noarch.rpm")))
		}, false, "plain"},
		{"it has gone", func(_ *testing.T, d *distribution) { d.server.Close() }, false, "dist"},
		{"it hangs", func(_ *testing.T, d *distribution) {
			d.serve = func(_ http.ResponseWriter, r *http.Request) bool {
				<-r.Context().Done()
				return true
			}
		}, false, "was ended after 5s"},
		{"metadata that lie", func(t *testing.T, d *distribution) {
			// The header says another name than the metadata, whose checksum is right.
			path := filepath.Join(d.dir, "plain-1-1.noarch.rpm")
			require.NoError(t, os.Rename(filepath.Join(d.dir, "other-1-1.noarch.rpm"), path))
			require.NoError(t, relabel{"other", "plain"}.Index(t.Context(), d.dir, []string{"plain-1-1.noarch.rpm"}))
		}, true, "plain"},
	} {
		for _, manager := range resolve.Managers() {
			if manager != "dnf" && !tc.both {
				continue
			}
			t.Run(tc.name+" "+manager, func(t *testing.T) {
				dist := newDistribution(t, pkg{name: "plain", version: "1"}, pkg{name: "other", version: "1"})
				tc.spoil(t, dist)
				q := resolve.Request{
					Job: "job", Target: "T", Arch: emulate.Host(), Image: configured(t, img, dist), Manager: manager, Requires: deps(t, "plain"),
					Timeout: 2 * time.Minute,
				}
				if tc.name == "it hangs" {
					q.Timeout = 5 * time.Second
				}
				_, err := resolve.New(temporary(t), runtime, index{}).Resolve(t.Context(), q)
				var bad *resolve.RepositoryError
				require.ErrorAs(t, err, &bad)
				require.ErrorContains(t, err, tc.says)
			})
		}
	}
}

// relabel writes metadata that call a package by another name.
type relabel struct{ is, called string }

func (l relabel) Index(_ context.Context, dir string, files []string) error {
	path := filepath.Join(dir, files[0])
	p, err := rpm.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(text)
	var f rpmmd.Fragments
	if err := f.Append(rpmmd.Entry{Package: p, Location: files[0], SHA256: hex.EncodeToString(digest[:])}, 0); err != nil {
		return err
	}
	f.Primary = bytes.ReplaceAll(f.Primary, []byte(l.is), []byte(l.called))
	f.Filelists = bytes.ReplaceAll(f.Filelists, []byte(l.is), []byte(l.called))
	f.Other = bytes.ReplaceAll(f.Other, []byte(l.is), []byte(l.called))
	w, err := rpmmd.NewWriter(dir, 1, rpmmd.Options{})
	if err != nil {
		return err
	}
	defer w.Discard()
	if err := w.AddFragments(files[0], p.BuildTime, f); err != nil {
		return err
	}
	_, err = w.Close()
	return err
}

func TestLockFilesFromElsewhere(t *testing.T) {
	good := resolve.Lock{
		Version: resolve.LockVersion, Job: "a/T/x86_64", Arch: "x86_64", Image: store.Of([]byte("image")), Requires: []string{"a", "b"},
		Packages: []resolve.Package{{Name: "a", EVR: "1-1", Arch: "noarch", Kind: resolve.KindRPM, File: "a-1-1.noarch.rpm", Digest: store.Of(nil), Origin: resolve.Origin{Job: "x"}}},
	}
	for name, spoil := range map[string]func(*resolve.Lock){
		"it is a lock file of version 9": func(l *resolve.Lock) { l.Version = 9 },
		"is not the name of a file":      func(l *resolve.Lock) { l.Packages[0].File = "../a.rpm" },
		"of the kind rpm":                func(l *resolve.Lock) { l.Packages[0].File = "--eval=x" },
		"is no kind of package":          func(l *resolve.Lock) { l.Packages[0].Kind = "apk" },
		"is not a digest":                func(l *resolve.Lock) { l.Packages[0].Digest = "sha256:../../x" },
		"where it comes from":            func(l *resolve.Lock) { l.Packages[0].Origin = resolve.Origin{} },
		"names no job":                   func(l *resolve.Lock) { l.Job = "" },
		"":                               func(*resolve.Lock) {},
	} {
		l := good
		l.Packages = slices.Clone(good.Packages)
		spoil(&l)
		text, err := l.JSON()
		require.NoError(t, err)
		_, err = resolve.ReadLock(text)
		if name == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, name)
		}
	}
	require.NoError(t, good.Differs("a/T/x86_64", "x86_64", good.Image, []string{"b", "a"}))
	err := good.Differs("a/T/x86_64", "x86_64", store.Of([]byte("other")), []string{"a", "c"})
	require.ErrorContains(t, err, "the image was")
	require.ErrorContains(t, err, "it did not require c")
	require.ErrorContains(t, err, "it no longer requires b")
}

func FuzzReadLock(f *testing.F) {
	f.Add([]byte(`{"version":1,"job":"a","packages":[{"kind":"rpm","file":"a.rpm"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := resolve.ReadLock(text)
		if err != nil {
			return
		}
		for _, p := range l.Packages {
			require.Equal(t, filepath.Base(p.File), p.File)
		}
	})
}
