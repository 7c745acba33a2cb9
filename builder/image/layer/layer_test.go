package layer_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/image/layer"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zstandard(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return w.EncodeAll(b, nil)
}

func read(blob []byte, want store.Digest) ([]byte, error) {
	r, err := layer.Open(io.NopCloser(bytes.NewReader(blob)), want)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestOpen(t *testing.T) {
	content := bytes.Repeat([]byte("an archive "), 1000)
	want := store.Of(content)
	for name, blob := range map[string][]byte{"plain": content, "gzip": gzipped(t, content), "zstd": zstandard(t, content)} {
		t.Run(name, func(t *testing.T) {
			got, err := read(blob, want)
			require.NoError(t, err)
			require.Equal(t, content, got)
			_, err = read(blob, store.Of([]byte("another archive")))
			require.ErrorContains(t, err, "its archive has the digest "+string(want))
			_, err = read(blob[:len(blob)/2], want)
			require.Error(t, err)
		})
	}
	_, err := read(nil, store.Of(nil))
	require.NoError(t, err)
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("plain"))
	f.Add(gzipped(f, []byte("compressed")))
	f.Add(zstandard(f, []byte("compressed")))
	f.Fuzz(func(t *testing.T, blob []byte) {
		r, err := layer.Open(io.NopCloser(bytes.NewReader(blob)), store.Of(nil))
		if err != nil {
			return
		}
		defer r.Close()
		got, err := io.ReadAll(io.LimitReader(r, 1<<20))
		if err == nil && len(got) > 0 && len(got) < 1<<20 {
			t.Errorf("%d bytes have the digest of none", len(got))
		}
	})
}
