// Package publishtest makes snapshots of small packages for tests.
package publishtest

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Created is when the keys were made, and when packages are signed.
var Created = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)

// Keys are made once for all tests: they take seconds.
var (
	OurKey = sync.OnceValues(func() (*sign.Key, error) {
		return sign.Generate(sign.Params{Name: "OpenHPC 3", Comment: "built by ohpc-build", Email: "root@localhost", Created: Created, Bits: 2048})
	})
	OtherKey = sync.OnceValues(func() (*sign.Key, error) {
		return sign.Generate(sign.Params{Name: "Somebody else", Created: Created, Bits: 2048})
	})
)

// Fixture is a store, a key and what is to be published where.
type Fixture struct {
	testing.TB
	Store *store.Store
	Spec  publish.Spec
}

// SetUp makes a store and a specification in a temporary folder.
func SetUp(t testing.TB) *Fixture {
	t.Helper()
	return setUp(t, t.TempDir())
}

// SetUpInMemory is for tests that write a lot and would wait for the disk.
func SetUpInMemory(t testing.TB) *Fixture {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "publishtest-") //nolint:usetesting // it is not where temporary folders are
	if err != nil {
		return SetUp(t)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return setUp(t, dir)
}

// SetUpIn is for another process that works in a fixture's folder.
func SetUpIn(t testing.TB, dir string, key *sign.Key) *Fixture {
	t.Helper()
	st, err := store.Open(filepath.Join(dir, "store"))
	require.NoError(t, err)
	root := filepath.Join(dir, "repos")
	return &Fixture{TB: t, Store: st, Spec: publish.Spec{
		Root: root, Release: "3.2", Target: "EL_9", Arches: []string{"x86_64", "aarch64"}, BaseURL: "file://" + root, Key: key,
	}}
}

func setUp(t testing.TB, dir string) *Fixture {
	t.Helper()
	key, err := OurKey()
	require.NoError(t, err)
	return SetUpIn(t, dir, key)
}

// Add puts a package into the store, signed.
func (f *Fixture) Add(c rpmtest.Craft, origin string) publish.Package {
	f.Helper()
	return f.AddSigned(c, origin, f.Spec.Key, Created)
}

// AddSigned puts a package into the store, signed by a key at a time.
func (f *Fixture) AddSigned(c rpmtest.Craft, origin string, key *sign.Key, at time.Time) publish.Package {
	f.Helper()
	return f.Raw(f.sign(c.Bytes(), key, at), origin)
}

// Sign returns a package's file signed.
func (f *Fixture) Sign(b []byte) []byte {
	f.Helper()
	return f.sign(b, f.Spec.Key, Created)
}

func (f *Fixture) sign(b []byte, key *sign.Key, at time.Time) []byte {
	f.Helper()
	var out bytes.Buffer
	require.NoError(f, key.SignPackage(f.Context(), bytes.NewReader(b), int64(len(b)), &out, at))
	return out.Bytes()
}

// Raw puts a package into the store as it is.
func (f *Fixture) Raw(b []byte, origin string) publish.Package {
	f.Helper()
	d, err := f.Store.PutBytes(f.Context(), b)
	require.NoError(f, err)
	return publish.Package{Digest: d, Origin: origin}
}

// Make makes a snapshot of packages.
func (f *Fixture) Make(packages ...publish.Package) (snapshot.Snapshot, error) {
	return publish.Make(f.Context(), f.Store, f.Spec, packages)
}

// MustMake is Make where nothing can go wrong.
func (f *Fixture) MustMake(packages ...publish.Package) snapshot.Snapshot {
	f.Helper()
	s, err := f.Make(packages...)
	require.NoError(f, err)
	return s
}

// Tree opens what was made.
func (f *Fixture) Tree(opt channel.Options) *channel.Tree {
	f.Helper()
	t, err := channel.Open(f.Spec.Root, opt)
	require.NoError(f, err)
	f.Cleanup(t.Close)
	return t
}

// Publish makes a snapshot the released one, with an empty repository of updates.
func (f *Fixture) Publish(s snapshot.Snapshot) error {
	f.Helper()
	t := f.Tree(channel.Options{})
	return t.Move(f.Context(), To(f, t, layout.Release, s), To(f, t, layout.Updates, f.MustMake()))
}

// To is the move of a channel to a snapshot, from wherever it is.
func To(t testing.TB, tree *channel.Tree, c layout.Channel, s snapshot.Snapshot) channel.Move {
	t.Helper()
	m := channel.Move{Pointer: layout.Pointer{Release: s.Release, Channel: c, Target: s.Target}, To: s.ID, From: channel.Made}
	if before, err := tree.Current(m.Pointer); err == nil {
		m.Was = before.ID
	}
	return m
}

// Some are packages of all kinds.
func (f *Fixture) Some() []publish.Package {
	return []publish.Package{
		f.Add(rpmtest.Simple("lib", "1.0~rc1", "1", "x86_64"), "lib on x86_64"),
		f.Add(rpmtest.Simple("lib", "1.0~rc1", "1", "aarch64"), "lib on aarch64"),
		f.Add(rpmtest.Simple("doc", "1", "1^git", "noarch"), "doc"),
		f.Add(Source("lib", "x86_64", "same"), "lib on x86_64"),
		f.Add(Source("lib", "aarch64", "same"), "lib on aarch64"),
	}
}

// Source is a Source package as it is written on a machine of that architecture.
func Source(name, arch, digest string) rpmtest.Craft {
	return rpmtest.Simple(name, "1", "1", arch, rpmtest.Int32s(1106, 1),
		rpmtest.Texts(1117, name+".spec"), rpmtest.Texts(1118, ""), rpmtest.Int32s(1116, 0), rpmtest.Int16s(1030, 0o100644),
		rpmtest.Texts(1035, digest), rpmtest.Text(1007, "host-"+arch)).Without(1044)
}

// Files lists the files below a folder.
func Files(t testing.TB, dir string) []string {
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

// Replace puts another file in the place of one that may be a hard link.
func Replace(t testing.TB, name string, b []byte) {
	t.Helper()
	require.NoError(t, os.Remove(name))
	require.NoError(t, os.WriteFile(name, b, 0o644))
}

// Flip changes one byte in the middle of a file.
func Flip(t testing.TB, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	b[len(b)/2] ^= 1
	Replace(t, name, b)
}

// Rewrite writes metadata that are right in themselves and signed, but wrong
// about one package.
func Rewrite(t testing.TB, f *Fixture, dir string, change func(*rpmmd.Entry)) {
	t.Helper()
	require.NoError(t, os.RemoveAll(filepath.Join(dir, rpmmd.Dir)))
	var entries []rpmmd.Entry
	for _, name := range Files(t, dir) {
		if !strings.HasSuffix(name, ".rpm") {
			continue
		}
		p, err := rpm.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		entries = append(entries, rpmmd.Entry{Package: p, Location: name, SHA256: digest(t, filepath.Join(dir, name))})
	}
	for i := range entries {
		if entries[i].Package.Name == "doc" {
			change(&entries[i])
		}
	}
	_, err := rpmmd.Write(t.Context(), dir, entries, rpmmd.Options{})
	require.NoError(t, err)
	repomd, err := os.ReadFile(filepath.Join(dir, rpmmd.RepomdFile))
	require.NoError(t, err)
	var sig bytes.Buffer
	require.NoError(t, f.Spec.Key.SignDetached(&sig, bytes.NewReader(repomd), Created))
	require.NoError(t, os.WriteFile(filepath.Join(dir, rpmmd.RepomdFile+".asc"), sig.Bytes(), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, rpmmd.RepomdFile+".key"), f.Spec.Key.PublicKey(), 0o644))
}

func digest(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return store.Of(b).Hex()
}
