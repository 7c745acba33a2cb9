package channel_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// BenchmarkMove is a publish, without the making of the snapshot.
func BenchmarkMove(b *testing.B) {
	f := publishtest.SetUp(b)
	var snaps []snapshot.Snapshot
	for i := range 2 {
		f.Spec.Time = publishtest.Created.Add(time.Duration(i) * time.Second)
		snaps = append(snaps, f.MustMake(f.Some()...))
	}
	tree := f.Tree(channel.Options{})
	i := 0
	for b.Loop() {
		require.NoError(b, tree.Move(b.Context(), publishtest.To(b, tree, layout.Release, snaps[i%2])))
		i++
	}
}

// BenchmarkMake is the making of a small snapshot.
func BenchmarkMake(b *testing.B) {
	f := publishtest.SetUp(b)
	packages := f.Some()
	i := 0
	for b.Loop() {
		f.Spec.Time = publishtest.Created.Add(time.Duration(i) * time.Second)
		f.MustMake(packages...)
		i++
	}
}
