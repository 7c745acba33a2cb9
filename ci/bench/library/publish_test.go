package library_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// repository is what BenchmarkPublish publishes. It is made once, however often the
// benchmark runs.
type repository struct {
	sync.Once
	store  *store.Store
	spec   publish.Spec
	all    []publish.Package // one more than is published at a time
	before snapshot.Snapshot
	runs   int
}

var theRepository repository

// BenchmarkPublish makes a snapshot in which one package is another one than before,
// and moves the channel to it.
func BenchmarkPublish(b *testing.B) {
	r := &theRepository
	r.Do(func() {
		r.fill(b)
		r.publish(b)
	})
	for b.Loop() {
		r.publish(b)
	}
}

func (r *repository) fill(b *testing.B) {
	b.Helper()
	files := packages(b)
	key, err := sign.LoadKey(setting(b, envKey))
	require.NoError(b, err)
	dir := filepath.Join(filepath.Dir(setting(b, envPackages)), "ours") // removed by the one who made it
	root := filepath.Join(dir, "repos")
	require.NoError(b, os.MkdirAll(root, 0o755))
	r.store, err = store.Open(filepath.Join(dir, "store"))
	require.NoError(b, err)
	r.spec = publish.Spec{Root: root, Release: "3", Target: "EL_9", Arches: []string{"x86_64"}, BaseURL: "https://example.org", Key: key}
	for _, file := range files {
		unsigned, err := os.ReadFile(file)
		require.NoError(b, err)
		var signed bytes.Buffer
		require.NoError(b, key.SignPackage(b.Context(), bytes.NewReader(unsigned), int64(len(unsigned)), &signed, key.Created()))
		d, err := r.store.PutBytes(b.Context(), signed.Bytes())
		require.NoError(b, err)
		r.all = append(r.all, publish.Package{Digest: d})
	}
}

func (r *repository) publish(b *testing.B) {
	b.Helper()
	r.runs++
	last := len(r.all) - 1
	spec := r.spec
	// A snapshot that was there before would only be found.
	spec.Time = time.Unix(1_700_000_000+int64(r.runs), 0)
	if r.runs > 1 {
		spec.Previous = &r.before
	}
	next, err := publish.Make(b.Context(), r.store, spec, append(r.all[:last-1:last-1], r.all[last-r.runs%2]))
	require.NoError(b, err)
	require.Equal(b, last, next.Packages)
	tree, err := channel.Open(spec.Root, channel.Options{})
	require.NoError(b, err)
	defer tree.Close()
	at := layout.Pointer{Release: spec.Release, Channel: layout.Factory, Target: spec.Target}
	require.NoError(b, tree.Move(b.Context(), channel.Move{Pointer: at, Was: r.before.ID, To: next.ID, From: channel.Made}))
	r.before = next
}
