package publish_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/group"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/updateinfo"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
	"github.com/ohpc-build/ohpc-build/repo/verify"
)

func advisories(t *testing.T, s snapshot.Snapshot) []updateinfo.Advisory {
	t.Helper()
	md, err := rpmmd.ReadRepomd(s.Dir)
	require.NoError(t, err)
	d, ok := md.Find(rpmmd.KindUpdateinfo)
	if !ok {
		return nil
	}
	r, err := rpmmd.OpenData(s.Dir, d)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	all, err := updateinfo.Read(r)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, r)
	require.NoError(t, err)
	return all
}

// TestAdvisories follows a repository over several snapshots.
func TestAdvisories(t *testing.T) {
	f := publishtest.SetUp(t)
	add := func(name, version string) publish.Package {
		return f.Add(rpmtest.Simple(name, version, "1", "noarch"), "")
	}
	next := func(before snapshot.Snapshot, packages ...publish.Package) snapshot.Snapshot {
		t.Helper()
		g := *f
		g.Spec.Previous = &before
		s := g.MustMake(packages...)
		require.NoError(t, verify.Repository(t.Context(), s.Dir, f.Spec.Key.Keyring()))
		return s
	}
	first := f.MustMake(add("a", "1"), add("b", "1"))
	require.Empty(t, advisories(t, first))
	require.Equal(t, first.ID, next(first, add("a", "1"), add("b", "1")).ID, "nothing has changed")

	second := next(first, add("a", "2"), add("b", "1"))
	require.Len(t, advisories(t, second), 1)
	require.Equal(t, second.ID, next(second, add("a", "2"), add("b", "1")).ID, "nothing has changed")

	third := next(second, add("a", "2"), add("b", "2"))
	require.Len(t, advisories(t, third), 2, "what was told before is told to those who come late")

	fourth := next(third, add("a", "3"), add("b", "2"))
	require.Len(t, advisories(t, fourth), 2, "an update that is gone is not told")
	require.Equal(t, first.ID, next(fourth, add("a", "1"), add("b", "1")).ID, "back to the beginning")
}

// TestGroups has groups in the metadata and in the snapshot's id.
func TestGroups(t *testing.T) {
	f := publishtest.SetUp(t)
	plain := f.MustMake(f.Some()...)
	f.Spec.Groups = []group.Group{{ID: "ohpc-base", Name: "Base", Mandatory: []string{"lib", "doc"}}}
	s := f.MustMake(f.Some()...)
	require.NotEqual(t, plain.ID, s.ID)
	require.Equal(t, s.ID, f.MustMake(f.Some()...).ID)
	require.NoError(t, verify.Repository(t.Context(), s.Dir, f.Spec.Key.Keyring()))
	md, err := rpmmd.ReadRepomd(s.Dir)
	require.NoError(t, err)
	_, ok := md.Find(rpmmd.KindGroup)
	require.True(t, ok)
	f.Spec.Groups[0].ID = "../x"
	_, err = f.Make(f.Some()...)
	require.ErrorContains(t, err, "groups: ")
}
