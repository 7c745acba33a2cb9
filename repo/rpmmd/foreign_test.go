package rpmmd_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// TestForeignCompression reads what createrepo_c writes and this package does not.
func TestForeignCompression(t *testing.T) {
	for _, kind := range []string{"xz", "bz2"} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "foreign.rpm"), rpmtest.Simple("foreign", "1", "1", "noarch").Bytes(), 0o644))
		rpmtest.Run(t, "createrepo_c", "--quiet", "--no-database", "--general-compress-type", kind, dir)
		md, err := rpmmd.ReadRepomd(dir)
		require.NoError(t, err)
		for _, d := range md.Data {
			require.True(t, strings.HasSuffix(d.Location, "."+kind), d.Location)
			r, err := rpmmd.OpenData(dir, d)
			require.NoError(t, err)
			text, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Contains(t, string(text), "foreign")
			require.NoError(t, r.Close())
		}
	}
}

// TestBombs are data files that say little of what is in them.
func TestBombs(t *testing.T) {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, err := z.Write(bytes.Repeat([]byte(" "), 64<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	sum := sha256.Sum256(buf.Bytes())
	data := rpmmd.Data{Location: "x.gz", Size: int64(buf.Len()), Checksum: rpmmd.Checksum{Type: "sha256", Value: hex.EncodeToString(sum[:])}}

	data.OpenSize = 1000
	r, err := rpmmd.NewDataReader(io.NopCloser(bytes.NewReader(buf.Bytes())), "bomb", data)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, r)
	var mismatch *rpmmd.MismatchError
	require.ErrorAs(t, err, &mismatch)
	require.LessOrEqual(t, n, int64(1001))

	data.OpenSize = 0 // not said: one element may not be so long
	r, err = rpmmd.NewDataReader(io.NopCloser(bytes.NewReader(buf.Bytes())), "bomb", data)
	require.NoError(t, err)
	_, err = rpmmd.ReadPrimary(r, func(rpmmd.Record) error { return nil })
	require.ErrorContains(t, err, "one element has more than")

	deep := `<metadata packages="1"><package>` + strings.Repeat("<a>", 200_000) + strings.Repeat("</a>", 200_000) + `</package></metadata>`
	_, err = rpmmd.ReadPrimary(strings.NewReader(deep), func(rpmmd.Record) error { return nil })
	require.NoError(t, err, "what is not known is left out, however deep it is")
}
