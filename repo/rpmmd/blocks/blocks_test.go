package blocks_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd/blocks"
)

// text is n bytes that compress.
func text(random *rand.Rand, n int) []byte {
	words := []string{"<package ", "name=", "lib", "so.6()", "\n", "1.2", "/usr/bin/"}
	var b []byte
	for len(b) < n {
		b = append(b, words[random.IntN(len(words))]...)
	}
	return b[:n]
}

func open(t *testing.T, f blocks.Format, b []byte) []byte {
	t.Helper()
	var r io.Reader
	var err error
	if f == blocks.Gzip {
		r, err = stdgzip.NewReader(bytes.NewReader(b))
	} else {
		r, err = zstd.NewReader(bytes.NewReader(b))
	}
	require.NoError(t, err)
	raw, err := io.ReadAll(r)
	require.NoError(t, err)
	return raw
}

func write(t *testing.T, f blocks.Format, workers int, parts [][]byte) ([]byte, blocks.Result) {
	t.Helper()
	pool, err := blocks.NewPool(f, workers)
	require.NoError(t, err)
	var out bytes.Buffer
	w := blocks.NewWriter(&out, pool, sha256.New)
	for _, p := range parts {
		w.Add(append(w.Buffer(), p...))
	}
	result, err := w.Close()
	require.NoError(t, err)
	return out.Bytes(), result
}

func TestWriter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var parts [][]byte
	for range 40 {
		parts = append(parts, text(random, random.IntN(100_000)))
	}
	parts = append(parts, nil, []byte("end"))
	raw := bytes.Join(parts, nil)
	for _, f := range []blocks.Format{blocks.Gzip, blocks.Zstd} {
		t.Run(string(f), func(t *testing.T) {
			one, result := write(t, f, 1, parts)
			many, again := write(t, f, 7, parts)
			require.True(t, bytes.Equal(one, many), "the bytes do not depend on the workers")
			require.Equal(t, result, again)
			require.True(t, bytes.Equal(raw, open(t, f, one)))
			open, shut := sha256.Sum256(raw), sha256.Sum256(one)
			require.Equal(t, open[:], result.Open)
			require.Equal(t, shut[:], result.Shut)
			require.Equal(t, int64(len(raw)), result.OpenSize)
			require.Equal(t, int64(len(one)), result.ShutSize)
			require.Len(t, result.Spans, len(parts))

			// Every second block is copied.
			pool, err := blocks.NewPool(f, 3)
			require.NoError(t, err)
			var out bytes.Buffer
			w := blocks.NewWriter(&out, pool, sha256.New)
			for i, p := range parts {
				if i%2 == 0 {
					w.Add(bytes.Clone(p))
				} else {
					w.Copy(bytes.NewReader(one), result.Spans[i])
				}
			}
			copied, err := w.Close()
			require.NoError(t, err)
			require.Equal(t, result, copied)
			require.True(t, bytes.Equal(one, out.Bytes()))
		})
	}
}

// TestChanged copies blocks that are not what their spans say.
func TestChanged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, f := range []blocks.Format{blocks.Gzip, blocks.Zstd} {
		b, result := write(t, f, 1, [][]byte{text(random, 1000)})
		for name, change := range map[string]func(*blocks.Span, []byte){
			"bytes":     func(_ *blocks.Span, b []byte) { b[len(b)/2]++ },
			"shorter":   func(s *blocks.Span, _ []byte) { s.OpenSize-- },
			"longer":    func(s *blocks.Span, _ []byte) { s.OpenSize++ },
			"elsewhere": func(s *blocks.Span, _ []byte) { s.Offset = 1 << 40 },
			"negative":  func(s *blocks.Span, _ []byte) { s.Size = -1 },
			"enormous":  func(s *blocks.Span, _ []byte) { s.Size = 1 << 60 },
		} {
			span, changed := result.Spans[0], bytes.Clone(b)
			change(&span, changed)
			pool, err := blocks.NewPool(f, 1)
			require.NoError(t, err)
			w := blocks.NewWriter(io.Discard, pool, sha256.New)
			w.Copy(bytes.NewReader(changed), span)
			_, err = w.Close()
			require.ErrorIs(t, err, blocks.ErrChanged, "%s %s", f, name)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestDiskFull(t *testing.T) {
	pool, err := blocks.NewPool(blocks.Gzip, 2)
	require.NoError(t, err)
	w := blocks.NewWriter(full{}, pool, sha256.New)
	for range 20 {
		w.Add([]byte("text"))
	}
	_, err = w.Close()
	require.ErrorContains(t, err, "disk full")
	_, err = blocks.NewPool("xz", 1)
	require.ErrorContains(t, err, "unknown compression")
}
