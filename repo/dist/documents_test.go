package dist_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/group"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/updateinfo"
)

// TestDocuments has groups and advisories of what is in the archive, and of nothing
// else.
func TestDocuments(t *testing.T) {
	var comps, advisories bytes.Buffer
	require.NoError(t, group.Write(&comps, group.Comps{
		Groups: []group.Group{
			{ID: "some", Mandatory: []string{"carried", "elsewhere"}, Optional: []string{"absent"}, Conditional: []group.Conditional{{Name: "carried-common", Requires: "bash"}}},
			{ID: "none", Mandatory: []string{"elsewhere"}},
		},
		Categories:   []group.Category{{ID: "openhpc", Groups: []string{"some", "none"}}, {ID: "void", Groups: []string{"none"}}},
		Environments: []group.Environment{{ID: "node", Groups: []string{"some"}, Options: []string{"none"}}, {ID: "nothing", Groups: []string{"none"}}},
	}))
	update := func(name, version, arch string) updateinfo.Update {
		return updateinfo.Update{Name: name, Version: version, Release: "1", Arch: arch, Epoch: "0", FileName: name + "-" + version + "-1." + arch + ".rpm"}
	}
	require.NoError(t, updateinfo.Write(&advisories, []updateinfo.Advisory{
		{ID: "A-1", Kind: updateinfo.Bugfix, Title: "both", Issued: created, Packages: []updateinfo.Update{update("carried", "1.0", "x86_64"), update("carried", "1.0", "aarch64")}},
		{ID: "A-2", Kind: updateinfo.Bugfix, Title: "other", Issued: created, Packages: []updateinfo.Update{update("carried", "1.0", "aarch64")}},
		{ID: "A-3", Kind: updateinfo.Bugfix, Title: "newer", Issued: created, Packages: []updateinfo.Update{update("carried", "1.1", "x86_64")}},
	}))
	dir, key := snapshot(t,
		rpmmd.Document{Kind: rpmmd.KindGroup, Name: "comps.xml", Content: comps.Bytes()},
		rpmmd.Document{Kind: rpmmd.KindUpdateinfo, Name: "updateinfo.xml", Content: advisories.Bytes()},
		rpmmd.Document{Kind: "appdata", Name: "appdata.xml", Content: []byte("<unknown/>")})
	var b bytes.Buffer
	_, err := archive(dir, key, "x86_64").Write(t.Context(), &b)
	require.NoError(t, err)
	top := t.TempDir()
	unpack(t, b.Bytes(), top)
	repo := filepath.Join(top, "OpenHPC-3.2.EL_9.x86_64")
	md, err := rpmmd.ReadRepomd(repo)
	require.NoError(t, err)
	_, ok := md.Find("appdata")
	require.False(t, ok)

	data, ok := md.Find(rpmmd.KindGroup)
	require.True(t, ok)
	got, err := group.Read(open(t, repo, data))
	require.NoError(t, err)
	require.Len(t, got.Groups, 1)
	require.Equal(t, []string{"carried"}, got.Groups[0].Mandatory)
	require.Empty(t, got.Groups[0].Optional)
	require.Len(t, got.Groups[0].Conditional, 1)
	require.Len(t, got.Categories, 1)
	require.Equal(t, []string{"some"}, got.Categories[0].Groups)
	require.Len(t, got.Environments, 1)
	require.Equal(t, []string{"some"}, got.Environments[0].Groups)
	require.Empty(t, got.Environments[0].Options)

	data, ok = md.Find(rpmmd.KindUpdateinfo)
	require.True(t, ok)
	list, err := updateinfo.Read(open(t, repo, data))
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "A-1", list[0].ID)
	require.Len(t, list[0].Packages, 1)
	require.Equal(t, "x86_64", list[0].Packages[0].Arch)
}

// TestNoDocuments: where nothing is left of a document it is left out.
func TestNoDocuments(t *testing.T) {
	var comps bytes.Buffer
	require.NoError(t, group.Write(&comps, group.Comps{Groups: []group.Group{{ID: "none", Mandatory: []string{"elsewhere"}}}}))
	dir, key := snapshot(t, rpmmd.Document{Kind: rpmmd.KindGroup, Name: "comps.xml", Content: comps.Bytes()})
	var b bytes.Buffer
	_, err := archive(dir, key, "x86_64").Write(t.Context(), &b)
	require.NoError(t, err)
	top := t.TempDir()
	unpack(t, b.Bytes(), top)
	md, err := rpmmd.ReadRepomd(filepath.Join(top, "OpenHPC-3.2.EL_9.x86_64"))
	require.NoError(t, err)
	_, ok := md.Find(rpmmd.KindGroup)
	require.False(t, ok)

	// A damaged one is not carried along.
	data, ok := func() (rpmmd.Data, bool) {
		md, err := rpmmd.ReadRepomd(dir)
		require.NoError(t, err)
		return md.Find(rpmmd.KindGroup)
	}()
	require.True(t, ok)
	path := filepath.Join(dir, data.Location)
	damaged, err := os.ReadFile(path)
	require.NoError(t, err)
	damaged[len(damaged)/2] ^= 1
	require.NoError(t, os.WriteFile(path, damaged, 0o644))
	_, err = archive(dir, key, "x86_64").Write(t.Context(), io.Discard)
	require.ErrorContains(t, err, data.Location)
}

func open(t *testing.T, dir string, data rpmmd.Data) io.Reader {
	t.Helper()
	r, err := rpmmd.OpenData(dir, data)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}
