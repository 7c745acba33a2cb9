package library_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// The benchmarks of publishing are run one at a time, each in a process of its own that
// knows what is on disk: the store with the signed packages, made by the first of them,
// the published tree, and what is remembered of it.

// BenchmarkPublishFirst publishes all packages where nothing was published before.
func BenchmarkPublishFirst(b *testing.B) {
	r := open(b, strconv.Itoa(os.Getpid()))
	for b.Loop() {
		r.publish(b, 0)
	}
}

// BenchmarkPublishOne publishes them when one is another one than before.
func BenchmarkPublishOne(b *testing.B) {
	r := open(b, "tree")
	n := r.published(b)
	for b.Loop() {
		n++
		r.publish(b, n)
	}
}

// BenchmarkPublishSame publishes what is published.
func BenchmarkPublishSame(b *testing.B) {
	r := open(b, "tree")
	n := r.published(b)
	for b.Loop() {
		r.publish(b, n)
	}
}

// repository is what is published.
type repository struct {
	dir, root string
	key       *sign.Key
	all       []publish.Package // one more than is published at a time
}

// open opens what an earlier process made, or makes it. The folder is removed by the
// one who made that of the packages.
func open(b *testing.B, tree string) *repository {
	b.Helper()
	files := packages(b)
	key, err := sign.LoadKey(setting(b, envKey))
	require.NoError(b, err)
	r := &repository{key: key, dir: filepath.Join(filepath.Dir(setting(b, envPackages)), "ours")}
	r.root = filepath.Join(r.dir, tree, "repos")
	require.NoError(b, os.MkdirAll(r.root, 0o755))
	list := filepath.Join(r.dir, "packages.json")
	if known, err := os.ReadFile(list); err == nil {
		require.NoError(b, json.Unmarshal(known, &r.all))
		return r
	}
	r.fill(b, files)
	known, err := json.Marshal(r.all)
	require.NoError(b, err)
	require.NoError(b, os.WriteFile(list, known, 0o644))
	return r
}

func (r *repository) fill(b *testing.B, files []string) {
	b.Helper()
	st, err := store.Open(filepath.Join(r.dir, "store"))
	require.NoError(b, err)
	r.all = make([]publish.Package, len(files))
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(8 * runtime.GOMAXPROCS(0)) // they wait for the disk
	for i, file := range files {
		group.Go(func() error {
			unsigned, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			var signed bytes.Buffer
			if err := r.key.SignPackage(ctx, bytes.NewReader(unsigned), int64(len(unsigned)), &signed, r.key.Created()); err != nil {
				return err
			}
			r.all[i].Digest, err = st.PutBytes(ctx, signed.Bytes())
			return err
		})
	}
	require.NoError(b, group.Wait())
}

// published is how many times the tree was published, at least once.
func (r *repository) published(b *testing.B) int {
	b.Helper()
	made, err := filepath.Glob(filepath.Join(r.root, layout.Snapshots, "*", "*"))
	require.NoError(b, err)
	if len(made) == 0 {
		r.publish(b, 0)
		return 0
	}
	return len(made) - 1
}

// publish makes the nth snapshot, in which another package is left out than in the one
// before, and moves the channel to it.
func (r *repository) publish(b *testing.B, n int) {
	b.Helper()
	st, err := store.Open(filepath.Join(r.dir, "store"))
	require.NoError(b, err)
	tree, err := channel.Open(r.root, channel.Options{})
	require.NoError(b, err)
	defer tree.Close()
	last := len(r.all) - 1
	spec := publish.Spec{
		Root: r.root, Release: "3", Target: "EL_9", Arches: []string{"x86_64"}, BaseURL: "https://example.org", Key: r.key,
		Memory: filepath.Join(filepath.Dir(r.root), "memory"),
		Time:   time.Unix(1_700_000_000+int64(n), 0), // a snapshot that was there before would only be found
	}
	at := layout.Pointer{Release: spec.Release, Channel: layout.Factory, Target: spec.Target}
	move := channel.Move{Pointer: at, From: channel.Made}
	if before, err := tree.Current(at); err == nil {
		spec.Previous, move.Was = &before, before.ID
	}
	next, err := publish.Make(b.Context(), st, spec, append(r.all[:last-1:last-1], r.all[last-n%2]))
	require.NoError(b, err)
	require.Equal(b, last, next.Packages)
	move.To = next.ID
	require.NoError(b, tree.Move(b.Context(), move))
}
