package diff_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// TestCompare compares two snapshots, on disk and over HTTP.
func TestCompare(t *testing.T) {
	f := publishtest.SetUp(t)
	add := func(name, version string) publish.Package {
		return f.Add(rpmtest.Simple(name, version, "1", "noarch"), "")
	}
	same := rpmtest.Simple("resigned", "1", "1", "noarch")
	other := rpmtest.Simple("changed", "1", "1", "noarch")
	other.Payload = []byte("something else")
	epoch := rpmtest.Simple("epoch", "1", "1", "noarch").With(rpmtest.Int32s(1003, 2))
	old := f.MustMake(
		add("same", "1"), add("gone", "1"), add("up", "1.0~rc1"), add("down", "1.10"), add("many", "1"), add("many", "2"),
		add("changed", "1"), f.Add(same, ""), add("epoch", "9"), f.Add(rpmtest.Simple("moved", "1", "1", "x86_64"), ""),
	)
	new := f.MustMake(
		add("same", "1"), add("fresh", "1"), add("up", "1.0"), add("down", "1.9"), add("many", "2"), add("many", "3"),
		f.Add(other, ""), f.AddSigned(same, "", f.Spec.Key, publishtest.Created.Add(time.Hour)), f.Add(epoch, ""),
		f.Add(rpmtest.Simple("moved", "1", "1", "aarch64"), ""),
	)
	want := &diff.Result{
		Added:   []diff.Change{{Name: "fresh", Arch: "noarch", New: "1-1"}, {Name: "moved", Arch: "aarch64", New: "1-1"}},
		Removed: []diff.Change{{Name: "gone", Arch: "noarch", Old: "1-1"}, {Name: "moved", Arch: "x86_64", Old: "1-1"}},
		Upgraded: []diff.Change{
			{Name: "epoch", Arch: "noarch", Old: "9-1", New: "2:1-1"},
			{Name: "many", Arch: "noarch", Old: "2-1", New: "3-1"},
			{Name: "up", Arch: "noarch", Old: "1.0~rc1-1", New: "1.0-1"},
		},
		Downgraded: []diff.Change{{Name: "down", Arch: "noarch", Old: "1.10-1", New: "1.9-1"}},
		Changed:    []diff.Change{{Name: "changed", Arch: "noarch", Old: "1-1", New: "1-1"}},
		Resigned:   []diff.Change{{Name: "resigned", Arch: "noarch", Old: "1-1", New: "1-1"}},
		Superseded: []diff.Change{{Name: "many", Arch: "noarch", Old: "1-1"}},
	}
	got, err := diff.Snapshots(t.Context(), old, new)
	require.NoError(t, err)
	require.Equal(t, want, got)

	none, err := diff.Snapshots(t.Context(), old, old)
	require.NoError(t, err)
	require.True(t, none.Empty())
	require.NoError(t, none.Refuse("release", diff.Allow{}))

	// A server tells no contents, so a signature is a change.
	server := httptest.NewServer(http.FileServer(http.Dir(f.Spec.Root)))
	defer server.Close()
	var sides [2][]diff.Package
	for i, s := range []snapshot.Snapshot{old, new} {
		sides[i], err = diff.Read(t.Context(), server.URL+"/snapshots/EL_9/"+s.ID)
		require.NoError(t, err)
	}
	remote, err := diff.Compare(t.Context(), sides[0], sides[1])
	require.NoError(t, err)
	want.Changed = append(want.Changed, want.Resigned...)
	want.Resigned = nil
	require.Equal(t, want, remote)
	_, err = diff.Read(t.Context(), server.URL+"/nowhere")
	require.ErrorContains(t, err, "404 Not Found")
}

func TestRefuse(t *testing.T) {
	some := []diff.Change{{Name: "a", Arch: "noarch", Old: "2-1", New: "1-1"}}
	r := &diff.Result{Added: some, Upgraded: some, Resigned: some, Superseded: some}
	require.NoError(t, r.Refuse("release", diff.Allow{}))
	r.Downgraded, r.Removed, r.Changed = some, some, some
	require.NoError(t, r.Refuse("release", diff.Allow{Downgrade: true, Removal: true, Changed: true}))
	require.EqualError(t, r.Refuse("release", diff.Allow{Changed: true}),
		"not published in release; downgraded: a.noarch 2-1 → 1-1; removed: a.noarch 2-1 → 1-1; if that is meant, give --allow-downgrade --allow-removal")
	require.ErrorContains(t, r.Refuse("release", diff.Allow{Downgrade: true, Removal: true}), "give --allow-changed")
}

// TestPipe: what is no file is not waited for.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "repodata"), 0o755))
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "repodata", "repomd.xml"), 0o644))
	_, err := diff.Read(t.Context(), dir)
	require.ErrorContains(t, err, "repomd.xml is no regular file")
}
