package cache

import (
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

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// state is a state folder, filled by hand as the program's parts would.
type state struct {
	t     *testing.T
	dir   string
	store *store.Store
}

func newState(t *testing.T) *state {
	dir := t.TempDir()
	st, err := store.Open(filepath.Join(dir, "store"))
	require.NoError(t, err)
	s := &state{t, dir, st}
	s.file("keys/signing.asc", 4096)
	return s
}

// collect runs in a program of its own: the state's is not there any more when no
// program is said to run.
func (s *state) collect(limits Limits, running bool) *Collection {
	s.t.Helper()
	if !running {
		sessions, err := filepath.Glob(filepath.Join(s.dir, "store/sessions/*"))
		require.NoError(s.t, err)
		for _, path := range sessions {
			require.NoError(s.t, os.Remove(path))
		}
	}
	c, err := Open(s.dir)
	require.NoError(s.t, err)
	done, err := c.Collect(s.t.Context(), limits)
	require.NoError(s.t, err)
	require.FileExists(s.t, filepath.Join(s.dir, "keys/signing.asc"))
	return done
}

func (s *state) file(path string, size int) {
	path = filepath.Join(s.dir, path)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s.t, os.WriteFile(path, []byte(strings.Repeat("x", size)), 0o644))
}

// object has n KiB.
func (s *state) object(name string, kib int) store.Digest {
	d, err := s.store.PutBytes(s.t.Context(), []byte(name+strings.Repeat("\n", kib<<10-len(name))))
	require.NoError(s.t, err)
	return d
}

func (s *state) record(kind, name string, v any) {
	require.NoError(s.t, s.store.PutRecord(kind, name, v))
}

// used says when entries were last used: objects by their digests, records as kind
// and name.
func (s *state) used(days int, names ...string) {
	at := time.Now().Add(-time.Duration(days)*day - time.Minute)
	for _, name := range names {
		require.NoError(s.t, os.Chtimes(s.path(name), at, at))
	}
}

func (s *state) path(name string) string {
	if hex, ok := strings.CutPrefix(name, "sha256:"); ok {
		return filepath.Join(s.dir, "store/objects/sha256", hex[:2], hex)
	}
	kind, name, _ := strings.Cut(name, " ")
	return filepath.Join(s.dir, "store/records", kind, store.RecordID(name)+".json")
}

// left are those of the entries that are still there.
func (s *state) left(names ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, err := os.Lstat(s.path(name))
		return err != nil
	})
}

// result records a job's result of one package and a log.
func (s *state) result(name string, days int, more ...store.Digest) []string {
	pkg, log := s.object(name+".rpm", 64), s.object(name+".log", 8)
	packages := []buildroot.Package{{File: name + ".rpm", Digest: pkg}}
	for _, d := range more {
		packages = append(packages, buildroot.Package{File: "shared.rpm", Digest: d})
	}
	s.record("results", name, map[string]any{"packages": packages, "log": log})
	all := []string{"results " + name, string(pkg), string(log)}
	s.used(days, all...)
	return all
}

func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	s := newState(t)
	shared := s.object("shared.rpm", 64)
	old, middle, fresh := s.result("old", 40, shared), s.result("middle", 20, shared), s.result("fresh", 1)
	s.used(40, string(shared))
	all := slices.Concat(old, middle, fresh, []string{string(shared)})

	before := s.collect(Limits{MaxBytes: 1 << 30}, false)
	require.Equal(t, before.Before, before.After)
	require.Empty(t, before.Groups)
	require.Equal(t, all, s.left(all...))

	dry := s.collect(Limits{OlderThan: 30 * day, DryRun: true}, false)
	require.Equal(t, all, s.left(all...))
	done := s.collect(Limits{OlderThan: 30 * day}, false)
	require.Equal(t, dry.Groups, done.Groups)
	require.Equal(t, dry.After, done.After)
	require.Equal(t, []Removed{{groupPackages, 1, 76 << 10}}, done.Groups, "64 and 8 KiB and a record")
	require.Equal(t, append(slices.Clone(middle), append(fresh, string(shared))...), s.left(all...), "what the other needs stays")

	done = s.collect(Limits{MaxBytes: done.After - 1}, false)
	require.True(t, done.Reached)
	require.Equal(t, fresh, s.left(all...), "a byte too much: the next one goes, wholly")

	done = s.collect(Limits{MaxBytes: 1}, false)
	require.False(t, done.Reached, "the key is larger")
	require.Empty(t, s.left(all...))
	c, err := Open(s.dir)
	require.NoError(t, err)
	list, err := c.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, done.After, list.Bytes, "the sum was right all the time")
}

func TestResultsOfTheLastPlanStayLonger(t *testing.T) {
	s := newState(t)
	parts := plan.Parts{"spec": "sha256:" + strings.Repeat("1", 64)}
	last := s.result(string(parts.Key()), 0)
	before := s.result("superseded", 0)
	s.record("parts", "job", parts)
	source := s.object("source.tar", 256)
	s.record("parts", "another job", plan.Parts{"source source.tar": string(source)})
	done := s.collect(Limits{MaxBytes: 1}, true)
	require.False(t, done.Reached, "a program runs, and used all of it today")
	require.Positive(t, done.InUse)
	require.Len(t, s.left(before...), 3)

	total := done.After
	done = s.collect(Limits{MaxBytes: total - 4096}, false)
	require.True(t, done.Reached)
	require.Empty(t, s.left(before...))
	require.Len(t, s.left(last...), 3)
	require.Len(t, s.left(string(source)), 1, "made anew in a moment, fetched perhaps never")
}

func TestRecordsWhoseObjectsAreGoneGoToo(t *testing.T) {
	s := newState(t)
	broken, whole := s.result("broken", 3), s.result("whole", 3)
	require.NoError(t, os.Remove(s.path(broken[1])))
	damaged := s.result("damaged", 3)
	require.NoError(t, os.WriteFile(s.path(damaged[0]), []byte(`{"sha256":"sha256:00`), 0o644))
	truncated := s.object("log", 8)
	require.NoError(t, os.Truncate(s.path(string(truncated)), 3))
	s.record("image", "image", map[string]any{"digest": s.object("config", 4), "manifest": s.object("manifest", 4), "layers": []any{
		map[string]any{"blob": s.object("blob", 4), "diff_id": store.Of([]byte("archive"))},
	}})
	s.collect(Limits{}, false)
	require.Empty(t, s.left(broken[0], broken[2], damaged[0]))
	require.Len(t, s.left(whole...), 3)
	require.Len(t, s.left("image image"), 1, "a diff id is no object")
}

func TestWhatMustBeRememberedStays(t *testing.T) {
	s := newState(t)
	file, named := s.object("source", 16), s.object("of another version", 16)
	s.record("addresses", "https://example.org/source.tar.gz", file)
	s.record("from-the-future", "x", map[string]any{"deep": []any{map[string]any{"down": named}}})
	s.used(400, string(file), string(named), "addresses https://example.org/source.tar.gz", "from-the-future x")
	done := s.collect(Limits{MaxBytes: 1, OlderThan: time.Hour}, false)
	require.Len(t, s.left("addresses https://example.org/source.tar.gz", "from-the-future x", string(named)), 3)
	require.Empty(t, s.left(string(file)), "it can be fetched again, and must have this digest then")
	require.Len(t, done.Warnings, 1)
	require.Contains(t, done.Warnings[0], `"from-the-future"`)
}

func TestLayers(t *testing.T) {
	s := newState(t)
	diff := store.Of([]byte("archive"))
	blob := s.object("blob", 8)
	s.record("image", "pull x", map[string]any{"digest": s.object("config", 4), "manifest": s.object("manifest", 4), "layers": []any{
		map[string]any{"blob": blob, "diff_id": diff},
	}})
	s.record("buildroot", "root-a", map[string]any{"layers": []string{"a"}})
	s.record("buildroot", "root-ab", map[string]any{"layers": []string{"ab", "a"}})
	imageLayer := filepath.Join("layers/images", diff.Hex())
	for _, dir := range []string{imageLayer, "layers/images/.new-1", "layers/roots/a", "layers/roots/ab", "layers/roots/nobodys"} {
		s.file(dir+"/usr/bin/x", 20<<10)
	}
	there := func(dirs ...string) (left []string) {
		for _, d := range dirs {
			if _, err := os.Lstat(filepath.Join(s.dir, d)); err == nil {
				left = append(left, d)
			}
		}
		return left
	}
	loose := []string{"layers/images/.new-1", "layers/roots/nobodys"}
	s.collect(Limits{}, true)
	require.Equal(t, loose, there(loose...), "a running program may be making them")
	s.collect(Limits{}, false)
	require.Empty(t, there(loose...))

	s.used(10, "buildroot root-a")
	s.collect(Limits{OlderThan: 5 * day}, false)
	require.Empty(t, s.left("buildroot root-a"))
	require.Len(t, there("layers/roots/a", "layers/roots/ab"), 2, "one stands on the other")
	s.used(10, "buildroot root-ab")
	s.collect(Limits{OlderThan: 5 * day}, false)
	require.Empty(t, there("layers/roots/a", "layers/roots/ab"))

	s.used(10, "image pull x", string(blob))
	c, err := Open(s.dir)
	require.NoError(t, err)
	list, err := c.List(t.Context())
	require.NoError(t, err)
	s.collect(Limits{MaxBytes: list.Bytes - 1}, false)
	require.Empty(t, there(imageLayer), "it can be unpacked again")
	require.Len(t, s.left("image pull x", string(blob)), 2)
	s.file(imageLayer+"/usr/bin/x", 20<<10)
	s.collect(Limits{OlderThan: 5 * day}, false)
	require.Empty(t, there(imageLayer))
	require.Empty(t, s.left("image pull x", string(blob)))
}

func TestKeptBuildsKeepTheirLayers(t *testing.T) {
	s := newState(t)
	s.record("buildroot", "root", map[string]any{"layers": []string{"a"}})
	s.used(400, "buildroot root")
	s.file("layers/roots/a/x", 10)
	s.file("layers/images/b/x", 10)
	s.file("layers/images/c/x", 10)
	s.file("kept/job/run.json", 0)
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "kept/job/run.json"),
		[]byte(`{"run":{"layers":["`+s.dir+`/layers/roots/a","/by/another/name/layers/images/b","../../..",""]}}`), 0o644))
	s.file("kept/no job/run.json", 10)
	s.collect(Limits{MaxBytes: 1}, false)
	require.DirExists(t, filepath.Join(s.dir, "layers/roots/a"))
	require.DirExists(t, filepath.Join(s.dir, "layers/images/b"))
	require.NoDirExists(t, filepath.Join(s.dir, "layers/images/c"))
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "kept")))
	s.collect(Limits{}, false)
	require.NoDirExists(t, filepath.Join(s.dir, "layers/roots/a"))
}

func TestPublishedPackagesAreNotFree(t *testing.T) {
	s := newState(t)
	signed := s.object("signed.rpm", 64)
	s.record("signed-2", "x", signed)
	out := filepath.Join(t.TempDir(), "signed.rpm")
	require.NoError(t, s.store.Link(signed, out))
	s.used(40, string(signed), "signed-2 x")
	c, err := Open(s.dir)
	require.NoError(t, err)
	list, err := c.List(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(list.Groups, func(g Group) bool { return g.Name == groupSigned })
	require.EqualValues(t, 64<<10, list.Groups[i].Elsewhere)
	require.Equal(t, 1, list.Groups[i].Number)
	require.Equal(t, 40, int(time.Since(*list.Groups[i].Oldest)/day))
	done := s.collect(Limits{OlderThan: 30 * day}, false)
	require.EqualValues(t, 64<<10, done.Elsewhere)
	require.FileExists(t, out)
}

// TestHostileLinks has links wherever something is looked for. Nothing outside of the
// state folder is touched, and nothing inside that is not the cache's.
func TestHostileLinks(t *testing.T) {
	s := newState(t)
	outside := t.TempDir()
	hex := store.Of([]byte("x")).Hex()
	for _, path := range []string{"precious", hex, hex + ".json", "usr/bin/x"} {
		path = filepath.Join(outside, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("precious"), 0o644))
	}
	link := func(target string, at ...string) {
		path := filepath.Join(append([]string{s.dir}, at...)...)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.Symlink(target, path))
	}
	link(outside, "store/objects/sha256", hex[:2])
	link(outside, "store/records/results")
	link(filepath.Join(outside, "precious"), "store/records/signed", hex+".json")
	link("../../../keys", "store/records/spec")
	link(outside, "layers/images", hex)
	link(outside, "layers/roots")
	link(outside, "git")
	s.record("buildroot", "evil", map[string]any{"layers": []string{"../../keys", "..", "../../../" + filepath.Base(outside)}})
	s.record("image", "evil", map[string]any{"layers": []any{map[string]any{"diff_id": "sha256:../../keys"}, map[string]any{"diff_id": hex}}})
	s.file("layers/images/real/escape/x", 10)
	link(outside, "layers/images/real/escape/out")
	s.used(400, "buildroot evil", "image evil")
	done := s.collect(Limits{MaxBytes: 1, OlderThan: time.Hour}, false)
	require.NotEmpty(t, done.Warnings)
	require.NoDirExists(t, filepath.Join(s.dir, "layers/images/real"))
	n := 0
	require.NoError(t, filepath.WalkDir(outside, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			text, rerr := os.ReadFile(path)
			require.NoError(t, rerr)
			require.Equal(t, "precious", string(text))
			n++
		}
		return err
	}))
	require.Equal(t, 4, n)
}

func TestOnlyStateFoldersAreOpened(t *testing.T) {
	home := t.TempDir()
	_, err := Open(home)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "is not a state folder")
	left, err := os.ReadDir(home)
	require.NoError(t, err)
	require.Empty(t, left, "nothing was made there")
	_, err = Open(filepath.Join(home, "absent"))
	require.ErrorIs(t, err, fs.ErrNotExist)

	s := newState(t)
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "store/objects")))
	require.NoError(t, os.Symlink(home, filepath.Join(s.dir, "store/objects")))
	_, err = Open(s.dir)
	require.Error(t, err)
}

// emptyBox installs nothing, quickly.
type emptyBox struct{}

func (emptyBox) Run(_ context.Context, s sandbox.Spec) error {
	for _, arg := range s.Args[4:] {
		fmt.Fprintln(s.Stdout, filepath.Base(arg))
	}
	for _, l := range s.Layers {
		if _, err := os.Stat(l); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(s.Upper, "installed"), nil, 0o644)
}

// TestCollectBesideBuilds assembles build roots while everything is collected again
// and again: no layer goes that a build was given.
func TestCollectBesideBuilds(t *testing.T) {
	s := newState(t)
	var packages []buildroot.Package
	for i := range 5 {
		name := fmt.Sprintf("p%d-1-1.noarch.rpm", i)
		packages = append(packages, buildroot.Package{File: name, Digest: s.object(name, 1)})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	image := buildroot.Image{Digest: "sha256:image", Layers: []string{t.TempDir()}}
	// What lies there is from long ago, so that it may go until somebody uses it.
	stale := func() {
		paths, _ := filepath.Glob(filepath.Join(s.dir, "store/records/buildroot/*"))
		for _, p := range paths {
			at := time.Now().Add(-60 * day)
			_ = os.Chtimes(p, at, at)
		}
	}
	roots := buildroot.New(s.store, emptyBox{}, filepath.Join(s.dir, "layers/roots"))
	for n := range len(packages) {
		_, err := roots.Layers(ctx, image, packages[:n+1])
		require.NoError(t, err)
	}
	stale()
	var wg sync.WaitGroup
	removed := 0
	for range 2 {
		st, err := store.Open(filepath.Join(s.dir, "store"))
		require.NoError(t, err)
		wg.Go(func() {
			roots := buildroot.New(st, emptyBox{}, filepath.Join(s.dir, "layers/roots"))
			given := map[string]bool{}
			for n := 0; ctx.Err() == nil; n++ {
				layers, err := roots.Layers(t.Context(), image, packages[n%3:1+n%5%3+n%3])
				if err != nil {
					t.Errorf("making a root: %v", err)
					return
				}
				for _, l := range layers {
					given[l] = true
				}
				for l := range given {
					if _, err := os.Stat(l); err != nil {
						t.Errorf("a build was given this: %v", err)
						return
					}
				}
			}
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			c, err := Open(s.dir)
			if err == nil {
				var done *Collection
				if done, err = c.Collect(t.Context(), Limits{MaxBytes: 1}); err == nil {
					removed += len(done.Groups)
				}
			}
			if err != nil {
				t.Errorf("collecting: %v", err)
				return
			}
		}
	})
	wg.Wait()
	require.Positive(t, removed)
}
