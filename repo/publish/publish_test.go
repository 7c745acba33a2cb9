package publish_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

var update = flag.Bool("update", false, "write the golden files anew")

var created = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)

// Keys are made once for all tests: they take seconds.
var (
	ourKey = sync.OnceValues(func() (*sign.Key, error) {
		return sign.Generate(sign.Params{Name: "OpenHPC 3", Comment: "built by ohpc-build", Email: "root@localhost", Created: created, Bits: 2048})
	})
	otherKey = sync.OnceValues(func() (*sign.Key, error) {
		return sign.Generate(sign.Params{Name: "Somebody else", Created: created, Bits: 2048})
	})
)

// fixture is a store, a key and what is to be published where.
type fixture struct {
	testing.TB
	store *store.Store
	spec  publish.Spec
}

func setUp(t testing.TB) *fixture {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(filepath.Join(dir, "store"))
	require.NoError(t, err)
	key, err := ourKey()
	require.NoError(t, err)
	root := filepath.Join(dir, "repos")
	return &fixture{TB: t, store: st, spec: publish.Spec{
		Root: root, Release: "3.2", Target: "EL_9", Arches: []string{"x86_64", "aarch64"}, BaseURL: "file://" + root, Key: key,
	}}
}

// add puts a package into the store, signed.
func (f *fixture) add(c rpmtest.Craft, origin string) publish.Package {
	f.Helper()
	return f.addSigned(c, origin, f.spec.Key, created)
}

func (f *fixture) addSigned(c rpmtest.Craft, origin string, key *sign.Key, at time.Time) publish.Package {
	f.Helper()
	b := c.Bytes()
	var out bytes.Buffer
	require.NoError(f, key.SignPackage(f.Context(), bytes.NewReader(b), int64(len(b)), &out, at))
	return f.raw(out.Bytes(), origin)
}

func (f *fixture) raw(b []byte, origin string) publish.Package {
	f.Helper()
	d, err := f.store.PutBytes(f.Context(), b)
	require.NoError(f, err)
	return publish.Package{Digest: d, Origin: origin}
}

func (f *fixture) make(packages ...publish.Package) (publish.Snapshot, error) {
	return publish.Make(f.Context(), f.store, f.spec, packages)
}

func (f *fixture) mustMake(packages ...publish.Package) publish.Snapshot {
	f.Helper()
	s, err := f.make(packages...)
	require.NoError(f, err)
	return s
}

// publish makes a snapshot the released one.
func (f *fixture) publish(s publish.Snapshot) error {
	f.Helper()
	tree, err := channel.Open(f.spec.Root, channel.Options{})
	require.NoError(f, err)
	defer tree.Close()
	move := func(c layout.Channel, s publish.Snapshot) channel.Move {
		m := channel.Move{Pointer: layout.Pointer{Release: s.Release, Channel: c, Target: s.Target}, To: s.ID, From: channel.Made}
		if before, err := tree.Current(m.Pointer); err == nil {
			m.Was = before.ID
		}
		return m
	}
	return tree.Move(f.Context(), move(layout.Release, s), move(layout.Updates, f.mustMake()))
}

// some are packages of all kinds.
func (f *fixture) some() []publish.Package {
	return []publish.Package{
		f.add(rpmtest.Simple("lib", "1.0~rc1", "1", "x86_64"), "lib on x86_64"),
		f.add(rpmtest.Simple("lib", "1.0~rc1", "1", "aarch64"), "lib on aarch64"),
		f.add(rpmtest.Simple("doc", "1", "1^git", "noarch"), "doc"),
		f.add(source("lib", "x86_64", "same"), "lib on x86_64"),
		f.add(source("lib", "aarch64", "same"), "lib on aarch64"),
	}
}

// source is a source package as it is written on a machine of that architecture.
func source(name, arch, digest string) rpmtest.Craft {
	return rpmtest.Simple(name, "1", "1", arch, rpmtest.Int32s(1106, 1),
		rpmtest.Texts(1117, name+".spec"), rpmtest.Texts(1118, ""), rpmtest.Int32s(1116, 0), rpmtest.Int16s(1030, 0o100644),
		rpmtest.Texts(1035, digest), rpmtest.Text(1007, "host-"+arch)).Without(1044)
}

// tree lists the files below a folder.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var files []string
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			files = append(files, rel)
		}
		return err
	}))
	return files
}

func TestMake(t *testing.T) {
	f := setUp(t)
	packages := f.some()
	snap := f.mustMake(packages...)
	require.False(t, snap.Existed)
	require.Equal(t, 4, snap.Packages)
	require.Equal(t, filepath.Join(f.spec.Root, "snapshots", "EL_9", snap.ID), snap.Dir)
	require.NoError(t, publish.Verify(t.Context(), snap.Dir, f.spec.Key.Keyring()))
	require.NoDirExists(t, filepath.Join(f.spec.Root, "OpenHPC"), "making publishes nothing")

	files := slices.DeleteFunc(tree(t, snap.Dir), func(n string) bool { return strings.HasSuffix(n, ".gz") })
	require.Equal(t, []string{
		"OpenHPC.repo", "RPM-GPG-KEY-OpenHPC-3",
		"aarch64/lib-1.0~rc1-1.aarch64.rpm", "noarch/doc-1-1^git.noarch.rpm",
		"repodata/repomd.xml", "repodata/repomd.xml.asc", "repodata/repomd.xml.key",
		"snapshot.json", "src/lib-1-1.src.rpm", "x86_64/lib-1.0~rc1-1.x86_64.rpm",
	}, files)
	stored, err := f.store.Path(packages[0].Digest)
	require.NoError(t, err)
	a, err := os.Stat(stored)
	require.NoError(t, err)
	b, err := os.Stat(filepath.Join(snap.Dir, "x86_64/lib-1.0~rc1-1.x86_64.rpm"))
	require.NoError(t, err)
	require.True(t, os.SameFile(a, b), "a hard link")
	fi, err := os.Stat(snap.Dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o755), fi.Mode().Perm())
	again, err := publish.Open(f.spec.Root, "EL_9", snap.ID)
	require.NoError(t, err)
	require.Equal(t, snap, again)
}

// TestSameSnapshot makes one snapshot twice, from packages in another order.
func TestSameSnapshot(t *testing.T) {
	f := setUp(t)
	packages := f.some()
	one := f.mustMake(packages...)
	before, err := os.Stat(one.Dir)
	require.NoError(t, err)
	slices.Reverse(packages)
	two := f.mustMake(append(packages, packages[0])...)
	require.True(t, two.Existed)
	require.Equal(t, one.Dir, two.Dir)
	after, err := os.Stat(two.Dir)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	entries, err := os.ReadDir(filepath.Dir(one.Dir))
	require.NoError(t, err)
	require.Len(t, entries, 1)

	// Elsewhere it is the same, byte for byte.
	root := filepath.Join(t.TempDir(), "elsewhere")
	f.spec.Root = root
	three := f.mustMake(packages...)
	require.Equal(t, one.ID, three.ID)
	require.Equal(t, tree(t, one.Dir), tree(t, three.Dir))
	for _, name := range tree(t, one.Dir) {
		a, err := os.ReadFile(filepath.Join(one.Dir, name))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(three.Dir, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(a, b), name)
	}

	ids := map[string]bool{one.ID: true}
	for _, change := range []func(*publish.Spec){
		func(s *publish.Spec) { s.Release = "3.3" },
		func(s *publish.Spec) { s.Target = "Leap_15" },
		func(s *publish.Spec) { s.BaseURL = "https://example.org" },
		func(s *publish.Spec) { s.Arches = append(s.Arches, "riscv64") },
		func(s *publish.Spec) { s.Compression = rpmmd.Zstd },
		func(s *publish.Spec) { s.Time = created },
	} {
		g := *f
		change(&g.spec)
		s := g.mustMake(packages...)
		require.False(t, ids[s.ID])
		ids[s.ID] = true
		require.NoError(t, publish.Verify(t.Context(), s.Dir, f.spec.Key.Keyring()))
	}
}

func TestEmpty(t *testing.T) {
	f := setUp(t)
	s := f.mustMake()
	require.NoError(t, publish.Verify(t.Context(), s.Dir, f.spec.Key.Keyring()))
}

// TestMerge are packages that come under one name from two architectures.
func TestMerge(t *testing.T) {
	simple := rpmtest.Simple("both", "1", "1", "noarch")
	t.Run("same content, other signature", func(t *testing.T) {
		f := setUp(t)
		a := f.add(simple, "x86_64")
		b := f.addSigned(simple, "aarch64", f.spec.Key, created.Add(time.Hour))
		require.NotEqual(t, a.Digest, b.Digest)
		one, two := f.mustMake(a, b), f.mustMake(b, a)
		require.Equal(t, one.ID, two.ID)
		require.Equal(t, 1, one.Packages)
	})
	t.Run("same content, other machine", func(t *testing.T) {
		f := setUp(t)
		const platform, summary = 1132, 1004
		a := f.add(simple.With(rpmtest.Texts(platform, "x86_64-linux")), "x86_64")
		b := f.add(simple.With(rpmtest.Texts(platform, "aarch64-linux")), "aarch64")
		one, two := f.mustMake(a, b), f.mustMake(b, a)
		require.Equal(t, one.ID, two.ID)
		require.Equal(t, 1, one.Packages)

		c := f.add(simple.With(rpmtest.Texts(summary, "for one machine only")), "aarch64")
		_, err := f.make(a, c)
		require.ErrorContains(t, err, "comes with two contents", "what people read is content")
	})
	t.Run("other content", func(t *testing.T) {
		f := setUp(t)
		other := simple
		other.Payload = []byte("something else")
		a, b := f.add(simple, "job one"), f.add(other, "job two")
		_, err := f.make(a, b)
		var conflict *publish.ConflictError
		require.ErrorAs(t, err, &conflict)
		require.ErrorContains(t, err, "noarch/both-1-1.noarch.rpm comes with two contents")
		for _, s := range []string{"job one", "job two", string(a.Digest), string(b.Digest), "let one architecture own"} {
			require.ErrorContains(t, err, s)
		}
		require.NoDirExists(t, f.spec.Root)
	})
	t.Run("other epoch", func(t *testing.T) {
		f := setUp(t)
		_, err := f.make(f.add(simple, "a"), f.add(simple.With(rpmtest.Int32s(1003, 1)), "b"))
		require.ErrorContains(t, err, "they differ in epoch (both-1-1.noarch, both-1:1-1.noarch)")
	})
	t.Run("same sources, written on two architectures", func(t *testing.T) {
		f := setUp(t)
		a, b := f.add(source("s", "x86_64", "same"), "x"), f.add(source("s", "aarch64", "same"), "a")
		one, two := f.mustMake(a, b), f.mustMake(b, a)
		require.Equal(t, one.ID, two.ID)
		got, err := os.ReadFile(filepath.Join(one.Dir, "src", "s-1-1.src.rpm"))
		require.NoError(t, err)
		require.Equal(t, a.Digest, store.Of(got), "the target's first architecture")
	})
	t.Run("other sources", func(t *testing.T) {
		f := setUp(t)
		_, err := f.make(f.add(source("s", "x86_64", "one"), "x"), f.add(source("s", "aarch64", "two"), "a"))
		require.ErrorContains(t, err, "their files differ")
	})
	t.Run("case", func(t *testing.T) {
		f := setUp(t)
		_, err := f.make(f.add(simple, "a"), f.add(rpmtest.Simple("Both", "1", "1", "noarch"), "b"))
		require.ErrorContains(t, err, "differs from it only by case")
	})
}

// TestRefused are packages that do not enter a repository.
func TestRefused(t *testing.T) {
	f := setUp(t)
	other, err := otherKey()
	require.NoError(t, err)
	simple := rpmtest.Simple("refused", "1", "1", "noarch")
	named := func(tag uint32, value string) publish.Package {
		return f.add(simple.With(rpmtest.Text(tag, value)), "evil job")
	}
	wrongName := f.add(simple, "job")
	wrongName.File = "other-1-1.noarch.rpm"
	for want, p := range map[string]publish.Package{
		"it is not signed":                       f.raw(simple.Bytes(), "job"),
		"signed by a key that is not trusted":    f.addSigned(simple, "job", other, created),
		"not an RPM package":                     f.raw([]byte(strings.Repeat("no package ", 30)), "job"),
		"not in the store":                       {Digest: store.Of(nil), Origin: "job"},
		`"name ../../etc/cron.d/x" is not safe`:  named(1000, "../../etc/cron.d/x"),
		`"name .hidden" is not safe`:             named(1000, ".hidden"),
		`"name a\nb" is not safe`:                named(1000, "a\nb"),
		`"name a b" is not safe`:                 named(1000, "a b"),
		`"name ä" is not safe`:                   named(1000, "ä"),
		`"version 1/2" is not safe`:              named(1001, "1/2"),
		`"release 1-2" is not safe`:              named(1002, "1-2"),
		`"release 1%{?dist}" is not safe`:        named(1002, "1%{?dist}"),
		`"arch ../x86_64" is not safe`:           named(1022, "../x86_64"),
		`is not safe as part of a file's name`:   named(1000, strings.Repeat("x", 250)),
		"is for ppc64le, target EL_9 has x86_64": named(1022, "ppc64le"),
		"it was built as \"other-1-1.noarch.rpm\" but its header makes it refused-1-1.noarch.rpm": wrongName,
	} {
		_, err := f.make(p)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "job")
		require.ErrorContains(t, err, "making a snapshot of EL_9 3.2")
		require.ErrorContains(t, err, p.Digest.Short())
	}
	require.NoDirExists(t, f.spec.Root, "nothing was begun")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = publish.Make(ctx, f.store, f.spec, []publish.Package{f.add(simple, "")})
	require.ErrorIs(t, err, context.Canceled)
}

func TestSpecRefused(t *testing.T) {
	f := setUp(t)
	for want, change := range map[string]func(*publish.Spec){
		"no folder":                  func(s *publish.Spec) { s.Root = "" },
		`release "../3"`:             func(s *publish.Spec) { s.Release = "../3" },
		`release ""`:                 func(s *publish.Spec) { s.Release = "" },
		`target ".."`:                func(s *publish.Spec) { s.Target = ".." },
		`target "a/b"`:               func(s *publish.Spec) { s.Target = "a/b" },
		"has no architectures":       func(s *publish.Spec) { s.Arches = nil },
		`"noarch" is no architec`:    func(s *publish.Spec) { s.Arches = []string{"noarch"} },
		`"repodata" is no archit`:    func(s *publish.Spec) { s.Arches = []string{"repodata"} },
		"no key to sign":             func(s *publish.Spec) { s.Key = nil },
		`base URL "/srv": expected`:  func(s *publish.Spec) { s.BaseURL = "/srv" },
		`base URL "javascript:x": e`: func(s *publish.Spec) { s.BaseURL = "javascript:x" },
	} {
		spec := f.spec
		change(&spec)
		_, err := publish.Make(t.Context(), f.store, spec, nil)
		require.ErrorContains(t, err, want)
	}
}

// TestConcurrentMake makes one snapshot in several places at once.
func TestConcurrentMake(t *testing.T) {
	f := setUp(t)
	packages := f.some()
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { _, errs[i] = f.make(packages...) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	dirs, err := os.ReadDir(filepath.Join(f.spec.Root, "snapshots", "EL_9"))
	require.NoError(t, err)
	require.Len(t, dirs, 1)
}

func TestClientFile(t *testing.T) {
	f := setUp(t)
	f.spec.BaseURL = "https://example.org/my repos/"
	own, err := f.spec.ClientFile("")
	require.NoError(t, err)
	installed, err := f.spec.ClientFile("file:///etc/pki/rpm-gpg/" + layout.KeyFile("3.2"))
	require.NoError(t, err)
	require.Equal(t, string(own), strings.ReplaceAll(string(installed), "file:///etc/pki/rpm-gpg/", "https://example.org/my%20repos/OpenHPC/3.2/EL_9/"))
	s := f.mustMake()
	got, err := os.ReadFile(filepath.Join(s.Dir, layout.RepoFileName))
	require.NoError(t, err)
	require.Equal(t, string(own), string(got))
	require.NotContains(t, string(own), s.ID, "the release package brings it along")
}

func BenchmarkMake(b *testing.B) {
	f := setUp(b)
	var packages []publish.Package
	for i := range 200 {
		packages = append(packages, f.add(rpmtest.Simple(fmt.Sprintf("p%d", i), "1", "1", "noarch"), ""))
	}
	for b.Loop() {
		s, err := f.make(packages...)
		if err != nil {
			b.Fatal(err)
		}
		os.RemoveAll(s.Dir)
	}
}
