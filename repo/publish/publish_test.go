package publish_test

import (
	"bytes"
	"context"
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
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
	"github.com/ohpc-build/ohpc-build/repo/verify"
)

func TestMake(t *testing.T) {
	f := publishtest.SetUp(t)
	packages := f.Some()
	snap := f.MustMake(packages...)
	require.False(t, snap.Existed)
	require.Equal(t, 4, snap.Packages)
	require.Equal(t, filepath.Join(f.Spec.Root, "snapshots", "EL_9", snap.ID), snap.Dir)
	require.NoError(t, verify.Repository(t.Context(), snap.Dir, f.Spec.Key.Keyring()))
	require.NoDirExists(t, filepath.Join(f.Spec.Root, "OpenHPC"), "making publishes nothing")

	files := slices.DeleteFunc(publishtest.Files(t, snap.Dir), func(n string) bool { return strings.HasSuffix(n, ".gz") })
	require.Equal(t, []string{
		"OpenHPC.repo", "RPM-GPG-KEY-OpenHPC-3",
		"aarch64/lib-1.0~rc1-1.aarch64.rpm", "noarch/doc-1-1^git.noarch.rpm",
		"repodata/repomd.xml", "repodata/repomd.xml.asc", "repodata/repomd.xml.key",
		"snapshot.json", "src/lib-1-1.src.rpm", "x86_64/lib-1.0~rc1-1.x86_64.rpm",
	}, files)
	stored, err := f.Store.Path(packages[0].Digest)
	require.NoError(t, err)
	a, err := os.Stat(stored)
	require.NoError(t, err)
	b, err := os.Stat(filepath.Join(snap.Dir, "x86_64/lib-1.0~rc1-1.x86_64.rpm"))
	require.NoError(t, err)
	require.True(t, os.SameFile(a, b), "a hard link")
	fi, err := os.Stat(snap.Dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o755), fi.Mode().Perm())
	again, err := snapshot.Open(f.Spec.Root, "EL_9", snap.ID)
	require.NoError(t, err)
	require.Equal(t, snap, again)
}

// TestSameSnapshot makes one snapshot twice, from packages in another order.
func TestSameSnapshot(t *testing.T) {
	f := publishtest.SetUp(t)
	packages := f.Some()
	one := f.MustMake(packages...)
	before, err := os.Stat(one.Dir)
	require.NoError(t, err)
	slices.Reverse(packages)
	two := f.MustMake(append(packages, packages[0])...)
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
	f.Spec.Root = root
	three := f.MustMake(packages...)
	require.Equal(t, one.ID, three.ID)
	require.Equal(t, publishtest.Files(t, one.Dir), publishtest.Files(t, three.Dir))
	for _, name := range publishtest.Files(t, one.Dir) {
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
		func(s *publish.Spec) { s.Time = publishtest.Created },
	} {
		g := *f
		change(&g.Spec)
		s := g.MustMake(packages...)
		require.False(t, ids[s.ID])
		ids[s.ID] = true
		require.NoError(t, verify.Repository(t.Context(), s.Dir, f.Spec.Key.Keyring()))
	}
}

func TestEmpty(t *testing.T) {
	f := publishtest.SetUp(t)
	s := f.MustMake()
	require.NoError(t, verify.Repository(t.Context(), s.Dir, f.Spec.Key.Keyring()))
}

// TestMerge are packages that come under one name from two architectures.
func TestMerge(t *testing.T) {
	simple := rpmtest.Simple("both", "1", "1", "noarch")
	t.Run("same content, other signature", func(t *testing.T) {
		f := publishtest.SetUp(t)
		a := f.Add(simple, "x86_64")
		b := f.AddSigned(simple, "aarch64", f.Spec.Key, publishtest.Created.Add(time.Hour))
		require.NotEqual(t, a.Digest, b.Digest)
		one, two := f.MustMake(a, b), f.MustMake(b, a)
		require.Equal(t, one.ID, two.ID)
		require.Equal(t, 1, one.Packages)
	})
	t.Run("same content, other machine", func(t *testing.T) {
		f := publishtest.SetUp(t)
		const platform, summary = 1132, 1004
		a := f.Add(simple.With(rpmtest.Texts(platform, "x86_64-linux")), "x86_64")
		b := f.Add(simple.With(rpmtest.Texts(platform, "aarch64-linux")), "aarch64")
		one, two := f.MustMake(a, b), f.MustMake(b, a)
		require.Equal(t, one.ID, two.ID)
		require.Equal(t, 1, one.Packages)

		c := f.Add(simple.With(rpmtest.Texts(summary, "for one machine only")), "aarch64")
		_, err := f.Make(a, c)
		require.ErrorContains(t, err, "comes with two contents", "what people read is content")
	})
	t.Run("other content", func(t *testing.T) {
		f := publishtest.SetUp(t)
		other := simple
		other.Payload = []byte("something else")
		a, b := f.Add(simple, "job one"), f.Add(other, "job two")
		_, err := f.Make(a, b)
		var conflict *publish.ConflictError
		require.ErrorAs(t, err, &conflict)
		require.ErrorContains(t, err, "noarch/both-1-1.noarch.rpm comes with two contents")
		for _, s := range []string{"job one", "job two", string(a.Digest), string(b.Digest), "let one architecture own"} {
			require.ErrorContains(t, err, s)
		}
		require.NoDirExists(t, f.Spec.Root)
	})
	t.Run("other epoch", func(t *testing.T) {
		f := publishtest.SetUp(t)
		_, err := f.Make(f.Add(simple, "a"), f.Add(simple.With(rpmtest.Int32s(1003, 1)), "b"))
		require.ErrorContains(t, err, "they differ in epoch (both-1-1.noarch, both-1:1-1.noarch)")
	})
	t.Run("same sources, written on two architectures", func(t *testing.T) {
		f := publishtest.SetUp(t)
		a, b := f.Add(publishtest.Source("s", "x86_64", "same"), "x"), f.Add(publishtest.Source("s", "aarch64", "same"), "a")
		one, two := f.MustMake(a, b), f.MustMake(b, a)
		require.Equal(t, one.ID, two.ID)
		got, err := os.ReadFile(filepath.Join(one.Dir, "src", "s-1-1.src.rpm"))
		require.NoError(t, err)
		require.Equal(t, a.Digest, store.Of(got), "the target's first architecture")
	})
	t.Run("other sources", func(t *testing.T) {
		f := publishtest.SetUp(t)
		_, err := f.Make(f.Add(publishtest.Source("s", "x86_64", "one"), "x"), f.Add(publishtest.Source("s", "aarch64", "two"), "a"))
		require.ErrorContains(t, err, "their files differ")
	})
	t.Run("case", func(t *testing.T) {
		f := publishtest.SetUp(t)
		_, err := f.Make(f.Add(simple, "a"), f.Add(rpmtest.Simple("Both", "1", "1", "noarch"), "b"))
		require.ErrorContains(t, err, "differs from it only by case")
	})
}

// TestRefused are packages that do not enter a repository.
func TestRefused(t *testing.T) {
	f := publishtest.SetUp(t)
	other, err := publishtest.OtherKey()
	require.NoError(t, err)
	simple := rpmtest.Simple("refused", "1", "1", "noarch")
	named := func(tag uint32, value string) publish.Package {
		return f.Add(simple.With(rpmtest.Text(tag, value)), "evil job")
	}
	wrongName := f.Add(simple, "job")
	wrongName.File = "other-1-1.noarch.rpm"
	for want, p := range map[string]publish.Package{
		"it is not signed":                       f.Raw(simple.Bytes(), "job"),
		"signed by a key that is not trusted":    f.AddSigned(simple, "job", other, publishtest.Created),
		"not an RPM package":                     f.Raw([]byte(strings.Repeat("no package ", 30)), "job"),
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
		_, err := f.Make(p)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "job")
		require.ErrorContains(t, err, "making a snapshot of EL_9 3.2")
		require.ErrorContains(t, err, p.Digest.Short())
	}
	require.NoDirExists(t, f.Spec.Root, "nothing was begun")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = publish.Make(ctx, f.Store, f.Spec, []publish.Package{f.Add(simple, "")})
	require.ErrorIs(t, err, context.Canceled)
}

func TestSpecRefused(t *testing.T) {
	f := publishtest.SetUp(t)
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
		spec := f.Spec
		change(&spec)
		_, err := publish.Make(t.Context(), f.Store, spec, nil)
		require.ErrorContains(t, err, want)
	}
}

// TestConcurrentMake makes one snapshot in several places at once.
func TestConcurrentMake(t *testing.T) {
	f := publishtest.SetUp(t)
	packages := f.Some()
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { _, errs[i] = f.Make(packages...) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	dirs, err := os.ReadDir(filepath.Join(f.Spec.Root, "snapshots", "EL_9"))
	require.NoError(t, err)
	require.Len(t, dirs, 1)
}

func TestClientFile(t *testing.T) {
	f := publishtest.SetUp(t)
	f.Spec.BaseURL = "https://example.org/my repos/"
	own, err := f.Spec.ClientFile("")
	require.NoError(t, err)
	installed, err := f.Spec.ClientFile("file:///etc/pki/rpm-gpg/" + layout.KeyFile("3.2"))
	require.NoError(t, err)
	require.Equal(t, string(own), strings.ReplaceAll(string(installed), "file:///etc/pki/rpm-gpg/", "https://example.org/my%20repos/OpenHPC/3.2/EL_9/"))
	s := f.MustMake()
	got, err := os.ReadFile(filepath.Join(s.Dir, layout.RepoFileName))
	require.NoError(t, err)
	require.Equal(t, string(own), string(got))
	require.NotContains(t, string(own), s.ID, "the release package brings it along")
}

func BenchmarkMake(b *testing.B) {
	f := publishtest.SetUp(b)
	var packages []publish.Package
	for i := range 200 {
		packages = append(packages, f.Add(rpmtest.Simple(fmt.Sprintf("p%d", i), "1", "1", "noarch"), ""))
	}
	for b.Loop() {
		s, err := f.Make(packages...)
		if err != nil {
			b.Fatal(err)
		}
		os.RemoveAll(s.Dir)
	}
}
