package rpmmd_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

func TestDocuments(t *testing.T) {
	comps, advisories := []byte("<?xml version=\"1.0\"?>\n<comps/>\n"), []byte("<updates/>\n")
	for compression, suffix := range map[rpmmd.Compression]string{"": "gz", rpmmd.Zstd: "zst"} {
		dir := t.TempDir()
		opt := rpmmd.Options{
			Time: time.Unix(42, 0), Compression: compression,
			Documents: []rpmmd.Document{{Kind: "group", Name: "comps.xml", Content: comps}, {Kind: "updateinfo", Name: "updateinfo.xml", Content: advisories}},
			Tags:      rpmmd.Tags{Content: []string{"binary"}, Repo: []string{"a & b"}, Distro: []rpmmd.Distro{{CPE: "cpe:/o:x", Name: "X"}, {Name: "Y"}}},
		}
		md, err := rpmmd.Write(t.Context(), dir, nil, opt)
		require.NoError(t, err)
		read, err := rpmmd.ReadRepomd(dir)
		require.NoError(t, err)
		require.Equal(t, md, read)
		require.Equal(t, opt.Tags, read.Tags)
		var kinds []string
		for _, d := range md.Data {
			kinds = append(kinds, d.Type)
			require.Equal(t, int64(42), d.Timestamp)
		}
		require.Equal(t, []string{"primary", "filelists", "other", "group", "group_" + suffix, "updateinfo"}, kinds)
		for kind, want := range map[string][]byte{"group": comps, "group_" + suffix: comps, "updateinfo": advisories} {
			d, _ := md.Find(kind)
			r, err := rpmmd.OpenData(dir, d)
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.Equal(t, want, got)
		}
		group, _ := md.Find("group")
		require.Empty(t, group.OpenChecksum)
		require.Equal(t, "repodata/"+group.Checksum.Value+"-comps.xml", group.Location)
		b, err := os.ReadFile(filepath.Join(dir, group.Location))
		require.NoError(t, err)
		require.Equal(t, comps, b)
	}
}

func TestDocumentsRefused(t *testing.T) {
	for _, docs := range [][]rpmmd.Document{
		{{Kind: "group", Name: "../comps.xml"}},
		{{Kind: "a b", Name: "x"}},
		{{Kind: "primary", Name: "x"}},
		{{Kind: "x", Name: "x"}, {Kind: "x", Name: "y"}},
	} {
		_, err := rpmmd.NewWriter(t.TempDir(), 0, rpmmd.Options{Documents: docs})
		require.Error(t, err)
	}
}
