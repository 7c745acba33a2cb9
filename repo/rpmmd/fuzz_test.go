package rpmmd_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// FuzzReadOther reads the lists of files and the changes of foreign repositories.
func FuzzReadOther(f *testing.F) {
	f.Add([]byte(`<otherdata packages="1"><package pkgid="a" name="b" arch="c"><version epoch="0" ver="1" rel="2"/><changelog author="d" date="5">e</changelog></package></otherdata>`))
	f.Add([]byte(`<filelists packages="1"><package pkgid="a"><file type="dir">/x</file><file>/y</file></package></filelists>`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, kind := range []string{"other", "filelists"} {
			_, _ = rpmmd.ReadIDs(bytes.NewReader(b), kind, func(string) error { return nil })
		}
		_ = rpmmd.ReadFiles(bytes.NewReader(b), func(string, string) error { return nil })
	})
}

// FuzzDataReader decompresses what claims to be a data file, of a size that the
// metadata promise.
func FuzzDataReader(f *testing.F) {
	var gz, zst bytes.Buffer
	z := gzip.NewWriter(&gz)
	_, err := z.Write([]byte("<x/>"))
	require.NoError(f, err)
	require.NoError(f, z.Close())
	s, err := zstd.NewWriter(&zst)
	require.NoError(f, err)
	_, err = s.Write([]byte("<x/>"))
	require.NoError(f, err)
	require.NoError(f, s.Close())
	f.Add("a.gz", gz.Bytes(), int64(4))
	f.Add("a.zst", zst.Bytes(), int64(4))
	f.Add("a.xml", []byte("<x/>"), int64(0))
	f.Fuzz(func(t *testing.T, name string, b []byte, open int64) {
		const limit = 1 << 20
		if open < 1 || open > limit {
			open = limit
		}
		sum := sha256.Sum256(b)
		d := rpmmd.Data{
			Location: name, Size: int64(len(b)), OpenSize: open,
			Checksum: rpmmd.Checksum{Type: "sha256", Value: hex.EncodeToString(sum[:])},
		}
		r, err := rpmmd.NewDataReader(io.NopCloser(bytes.NewReader(b)), name, d)
		if err != nil {
			return
		}
		defer r.Close()
		n, err := io.Copy(io.Discard, r)
		if err == nil {
			require.Equal(t, open, n)
		}
		require.LessOrEqual(t, n, max(open, int64(len(b)))+1)
	})
}
