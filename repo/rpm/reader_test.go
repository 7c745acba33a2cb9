package rpm_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// TestReader reads small and large packages one after the other: each is what Read
// makes of it, whatever was in the memory before.
func TestReader(t *testing.T) {
	var files [][]byte
	for i, size := range []int{0, 1, 63, 64, 200_000, 10, 127 << 10, 128 << 10, 1 << 20, 5} {
		p := rpmtest.Simple(string(rune('a'+i)), "1", "1", "noarch")
		p.Payload = bytes.Repeat([]byte{byte(i)}, size)
		files = append(files, p.Bytes())
	}
	examples, err := filepath.Glob("testdata/*.rpm")
	require.NoError(t, err)
	for _, name := range examples {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		files = append(files, b)
	}
	plain, other := rpm.NewReader(nil), rpm.NewReader(sha512.New)
	for _, b := range append(files, files...) {
		want, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		sum, long := sha256.Sum256(b), sha512.Sum512(b)
		p, id, err := plain.Read(t.Context(), bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		require.Equal(t, sum[:], id)
		requireSame(t, want, p)
		_, id, err = other.Read(t.Context(), bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		require.Equal(t, long[:], id)
	}
}

func requireSame(t *testing.T, want, got *rpm.Package) {
	t.Helper()
	require.Equal(t, want.NEVRA(), got.NEVRA())
	require.Equal(t, want.Format, got.Format)
	require.Equal(t, want.HeaderEnd, got.HeaderEnd)
	for _, h := range [][2]*rpm.Header{{want.Header(), got.Header()}, {want.SignatureHeader(), got.SignatureHeader()}} {
		var a, b bytes.Buffer
		_, _ = h[0].WriteTo(&a)
		_, _ = h[1].WriteTo(&b)
		require.Equal(t, a.Bytes(), b.Bytes())
	}
	require.Equal(t, want.WithSignatures(), got.WithSignatures())
}

// TestReaderVerifies changes each byte of a package in turn, before its payload every
// one: what no digest covers is only the lead and what describes the signature header.
func TestReaderVerifies(t *testing.T) {
	simple := rpmtest.Simple("a", "1", "1", "noarch")
	simple.Payload = bytes.Repeat([]byte("payload "), 40<<10)
	b := simple.Bytes()
	whole, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	r := rpm.NewReader(nil)
	for at := whole.HeaderStart; at < int64(len(b)); at++ {
		if at > whole.HeaderEnd+100 && at%9973 != 0 && at < int64(len(b))-3 {
			continue
		}
		b[at] ^= 1
		_, _, err := r.Read(t.Context(), bytes.NewReader(b), int64(len(b)))
		require.Error(t, err, "byte %d", at)
		b[at] ^= 1
	}
	_, _, err = r.Read(t.Context(), bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)

	b[len(b)-1] ^= 1
	var digest *rpm.DigestError
	_, _, err = r.Read(t.Context(), bytes.NewReader(b), int64(len(b)))
	require.ErrorAs(t, err, &digest)
	_, _, err = r.Read(t.Context(), bytes.NewReader(b[:len(b)-1]), int64(len(b)))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, _, err = r.Read(t.Context(), bytes.NewReader(nil), 0)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = r.Read(ctx, bytes.NewReader(b), int64(len(b)))
	require.ErrorIs(t, err, context.Canceled)
}

// TestReaderErrorsStay: what an error says stays when the memory is used again.
func TestReaderErrorsStay(t *testing.T) {
	bad := rpmtest.Simple("a", "1", "1", "noarch").Bytes()
	p, err := rpm.Read(bytes.NewReader(bad), int64(len(bad)))
	require.NoError(t, err)
	at := bytes.Index(bad, []byte(p.SignatureHeader().Text(rpm.SigSHA256)))
	require.Positive(t, at)
	copy(bad[at:], "0123")
	r := rpm.NewReader(nil)
	_, _, err = r.Read(t.Context(), bytes.NewReader(bad), int64(len(bad)))
	require.ErrorContains(t, err, "0123")
	said := err.Error()
	other := rpmtest.Simple("another", "2", "2", "x86_64").Bytes()
	_, _, next := r.Read(t.Context(), bytes.NewReader(other), int64(len(other)))
	require.NoError(t, next)
	require.Equal(t, said, err.Error())
}
