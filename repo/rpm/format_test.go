package rpm_test

import (
	"bytes"
	"crypto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

func verify(t testing.TB, b []byte) error {
	t.Helper()
	p, err := read(b)
	require.NoError(t, err)
	return p.VerifyDigests(t.Context(), bytes.NewReader(b))
}

// TestFormat6 reads a package as rpm 6 writes it. rpm 4 reads such packages as
// well: it must find the same in it and install it.
func TestFormat6(t *testing.T) {
	c := rpmtest.Format6(t, "six", "/usr/share/six/file", "content of six\n")
	c.Signature = []rpmtest.Entry{rpmtest.Binary(1004, []byte("of no meaning here")), rpmtest.Int32s(1000, 7), rpmtest.Int32s(1007, 7)}
	b := c.Bytes()
	p, err := read(b)
	require.NoError(t, err)
	require.Equal(t, 6, p.Format)
	require.Equal(t, uint64(len(c.Open)), p.ArchiveSize)
	require.Equal(t, uint64(15), p.InstalledSize)
	require.Equal(t, crypto.SHA256, p.FileDigestAlgorithm())
	require.NoError(t, p.VerifyDigests(t.Context(), bytes.NewReader(b)))
	digests, err := p.PayloadDigests()
	require.NoError(t, err)
	require.Equal(t, []crypto.Hash{crypto.SHA256, crypto.SHA512, crypto.SHA3_256},
		[]crypto.Hash{digests[0].Algorithm, digests[1].Algorithm, digests[2].Algorithm})

	c.Signature = nil
	path := c.Write(t, "six-1-1.noarch.rpm")
	require.Equal(t, "six|15|"+p.Header().Text(rpm.TagFileDigests),
		rpmtest.Run(t, "rpm", "-qp", "--qf", "%{NAME}|%{LONGSIZE}|%{FILEDIGESTS}", path))
	require.Contains(t, rpmtest.Run(t, "rpmkeys", "--checksig", "--nosignature", path), "digests OK")
	root := t.TempDir()
	rpmtest.Run(t, "rpm", "--root", root, "--dbpath", "/db", "--nosignature", "--nodeps", "-i", path)
	installed, err := os.ReadFile(filepath.Join(root, "/usr/share/six/file"))
	require.NoError(t, err)
	require.Equal(t, "content of six\n", string(installed))
}

// TestFormat6Digests breaks one promise of the headers each.
func TestFormat6Digests(t *testing.T) {
	good := rpmtest.Format6(t, "six", "/f", "x")
	require.NoError(t, verify(t, good.Bytes()))

	plain := good
	plain.Payload = plain.Open
	written := good.Bytes()
	p, err := read(written)
	require.NoError(t, err)
	require.NoError(t, verify(t, append(slices.Clone(written[:p.HeaderEnd]), good.Open...)), "the payload was stored uncompressed")
	require.NoError(t, verify(t, plain.Bytes()))

	zeros := func(n int) string { return strings.Repeat("0", n) }
	for _, test := range []struct {
		want      string
		main, sig []rpmtest.Entry
	}{
		{"payload digest (SHA-256)", []rpmtest.Entry{rpmtest.Texts(5092, zeros(64)), rpmtest.Texts(5097, zeros(64))}, nil},
		{"payload digest (SHA-512)", []rpmtest.Entry{rpmtest.Text(5121, zeros(128)), rpmtest.Text(5122, zeros(128))}, nil},
		{"payload digest (SHA3-256)", []rpmtest.Entry{rpmtest.Text(5123, zeros(64)), rpmtest.Text(5124, zeros(64))}, nil},
		{"(tag 5121) is malformed", []rpmtest.Entry{rpmtest.Text(5121, zeros(64))}, nil},
		{"(tag 5123) is malformed", []rpmtest.Entry{rpmtest.Text(5124, "other")}, nil},
		{"the size of the payload", []rpmtest.Entry{rpmtest.Int64s(5112, 5), rpmtest.Int64s(5113, 6)}, nil},
		{"the SHA3-256 of the header", nil, []rpmtest.Entry{rpmtest.Text(279, zeros(64))}},
		{"the SHA-256 of the header", nil, []rpmtest.Entry{rpmtest.Text(273, zeros(64))}},
	} {
		bad := good.With(test.main...)
		bad.Signature = test.sig
		require.ErrorContains(t, verify(t, bad.Bytes()), test.want)
	}
	_, err = read(good.With(rpmtest.Int32s(5114, 7)).Bytes())
	require.ErrorContains(t, err, "unsupported package format 7")
	_, err = read(good.With(rpmtest.Int64s(5114, 6)).Bytes())
	require.ErrorContains(t, err, "tag 5114 has kind 5")
}

// TestFormat6Signatures yields what counts in format 6, and writes it.
func TestFormat6Signatures(t *testing.T) {
	c := rpmtest.Format6(t, "six", "/f", "x")
	c.Signature = []rpmtest.Entry{
		rpmtest.Binary(268, []byte("rpm 4's")), rpmtest.Texts(278, "b25l", "not base64!"),
		rpmtest.Binary(1002, []byte("ignored")), rpmtest.Binary(1005, []byte("ignored")),
	}
	b := c.Bytes()
	p, err := read(b)
	require.NoError(t, err)
	require.True(t, p.Signed)
	require.Equal(t, []rpm.Signature{
		{Tag: rpm.SigRSA, HeaderOnly: true, Packet: []byte("rpm 4's")},
		{Tag: rpm.SigOpenPGP, HeaderOnly: true, Packet: []byte("one")},
		{Tag: rpm.SigOpenPGP, HeaderOnly: true},
	}, p.Signatures())

	signatures := []rpm.Signature{
		{Tag: rpm.SigDSA, HeaderOnly: true, Packet: []byte("four")},
		{Tag: rpm.SigOpenPGP, HeaderOnly: true, Packet: []byte("six")},
		{Tag: rpm.SigOpenPGP, HeaderOnly: true, Packet: []byte("seven")},
	}
	signed := append(p.WithSignatures(signatures...), b[p.HeaderStart:]...)
	q, err := read(signed)
	require.NoError(t, err)
	require.Equal(t, signatures, q.Signatures())
	require.NoError(t, q.VerifyDigests(t.Context(), bytes.NewReader(signed)))
	var tags []rpm.Tag
	for tag := range q.SignatureHeader().Tags() {
		tags = append(tags, tag)
	}
	require.Equal(t, []rpm.Tag{rpm.SigDSA, rpm.SigSHA256, rpm.SigOpenPGP, rpm.SigSHA3, rpm.SigReserved}, tags, "the last is always there")
	require.Equal(t, signed, append(q.WithSignatures(signatures...), signed[q.HeaderStart:]...), "signing again changes nothing")

	only := rpmtest.Format6(t, "six", "/f", "x")
	only.Signature = []rpmtest.Entry{rpmtest.Binary(1002, []byte("ignored"))}
	p, err = read(only.Bytes())
	require.NoError(t, err)
	require.False(t, p.Signed)
}

// TestFormat3 reads a package of rpm 3: no region, no split file names, no digest
// but the MD5.
func TestFormat3(t *testing.T) {
	c := rpmtest.Simple("three", "1", "1", "noarch",
		rpmtest.Texts(1027, "/usr/share/three"), rpmtest.Int16s(1030, 0o40755), rpmtest.Int32s(1028, 4096), rpmtest.Int32s(1037, 0),
		rpmtest.Int32s(1034, 1), rpmtest.Texts(1035, ""), rpmtest.Texts(1036, ""), rpmtest.Texts(1039, "root"), rpmtest.Texts(1040, "root"),
	)
	c.Format = 3
	b := c.Bytes()
	p, err := read(b)
	require.NoError(t, err)
	require.Equal(t, 3, p.Format)
	require.Equal(t, crypto.MD5, p.FileDigestAlgorithm())
	require.NoError(t, p.VerifyDigests(t.Context(), bytes.NewReader(b)))
	digests, err := p.PayloadDigests()
	require.NoError(t, err)
	require.Empty(t, digests)
	files := slices.Collect(p.Files())
	require.Len(t, files, 1)
	require.True(t, files[0].IsDir())
	require.Equal(t, "three /usr/share/three\n", lastLine(rpmtest.Run(t, "rpm", "--nodigest", "--nosignature", "-qp", "--qf", "%{NAME} %{FILENAMES}\n", c.Write(t, "three.rpm"))))

	b[len(b)-1] ^= 1
	require.ErrorContains(t, p.VerifyDigests(t.Context(), bytes.NewReader(b)), "the MD5 of header and payload")
	four, err := read(rpmtest.Simple("four", "1", "1", "noarch").Bytes())
	require.NoError(t, err)
	require.Equal(t, 4, four.Format)
}

func lastLine(s string) string {
	lines := strings.SplitAfter(strings.TrimSuffix(s, "\n"), "\n")
	return lines[len(lines)-1] + "\n"
}

// TestLongSizes reads what needs more than 32 bits, as rpm does.
func TestLongSizes(t *testing.T) {
	c := rpmtest.Simple("long", "1", "1", "noarch",
		rpmtest.Texts(1117, "a", "b"), rpmtest.Texts(1118, "/d/"), rpmtest.Int32s(1116, 0, 0), rpmtest.Int16s(1030, 0o100644, 0o100644),
		rpmtest.Int64s(5008, 5<<32, 1), rpmtest.Int64s(5009, 5<<32+1), rpmtest.Int32s(5011, 10),
	).Without(1009)
	c.Signature = []rpmtest.Entry{rpmtest.Int64s(271, 6<<32)}
	path := c.Write(t, "long.rpm")
	p, err := rpm.ReadFile(path)
	require.NoError(t, err)
	files := slices.Collect(p.Files())
	require.Equal(t, []uint64{5 << 32, 1}, []uint64{files[0].Size, files[1].Size})
	require.Equal(t, uint64(5<<32+1), p.InstalledSize)
	require.Equal(t, uint64(6<<32), p.ArchiveSize)
	require.Equal(t, crypto.SHA512, p.FileDigestAlgorithm())
	require.Equal(t, "21474836480 1 21474836481 25769803776",
		rpmtest.Run(t, "rpm", "-qp", "--nosignature", "--qf", "[%{LONGFILESIZES} ]%{LONGSIZE} %{LONGARCHIVESIZE}", path))

	unknown, err := read(c.With(rpmtest.Int32s(5011, 99)).Bytes())
	require.NoError(t, err)
	require.Zero(t, unknown.FileDigestAlgorithm())
}

func TestNoSource(t *testing.T) {
	const spec = `Name: closed
Version: 1
Release: 1
Summary: Sources that may not be passed on
License: Proprietary
BuildArch: noarch
Source0: secret.tar.gz
NoSource: 0
%description
%files
`
	var names []string
	for _, path := range rpmtest.BuildText(t, spec, "noarch") {
		p, err := rpm.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, filepath.Base(path), p.FileName())
		require.Equal(t, p.Source(), p.NoSource())
		names = append(names, p.FileName())
	}
	require.Equal(t, []string{"closed-1-1.noarch.rpm", "closed-1-1.nosrc.rpm"}, names)
}
