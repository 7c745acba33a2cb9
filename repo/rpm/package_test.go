package rpm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

func read(b []byte) (*rpm.Package, error) { return rpm.Read(bytes.NewReader(b), int64(len(b))) }

// TestAgainstRPM compares what we read with what rpm itself says of packages
// that rpmbuild wrote.
func TestAgainstRPM(t *testing.T) {
	for _, path := range append(rpmtest.Varied(t), rpmtest.Wide(t)...) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			p, err := rpm.ReadFile(path)
			require.NoError(t, err)
			type question struct{ format, ours string }
			questions := []question{
				{"%{NAME}", p.Name},
				{"%{VERSION}", p.Version},
				{"%{RELEASE}", p.Release},
				{"%{ARCH}", p.BuildArch},
				{"%{EPOCHNUM}", strconv.Itoa(int(p.Epoch))},
				{"%{SUMMARY}", p.Summary},
				{"%{DESCRIPTION}", p.Description},
				{"%{URL}", orNone(p.URL)},
				{"%{LICENSE}", p.License},
				{"%{VENDOR}", orNone(p.Vendor)},
				{"%{GROUP}", p.Group},
				{"%{PACKAGER}", orNone(p.Packager)},
				{"%{BUILDHOST}", p.BuildHost},
				{"%{BUILDTIME}", strconv.FormatInt(p.BuildTime.Unix(), 10)},
				{"%{SOURCERPM}", orNone(p.SourceRPM)},
				{"%{SOURCEPACKAGE}", map[bool]string{true: "1", false: "(none)"}[p.Source()]},
				{"%{LONGSIZE}", strconv.FormatUint(p.InstalledSize, 10)},
				{"%{LONGARCHIVESIZE}", strconv.FormatUint(p.ArchiveSize, 10)},
				{"%{PAYLOADFORMAT}", p.PayloadFormat},
				{"%{PAYLOADCOMPRESSOR}", p.PayloadCompressor},
				{"%{SHA256HEADER}", hex.EncodeToString(p.HeaderDigest(crypto.SHA256))},
			}
			for kind, list := range map[string]iter.Seq[rpm.Dependency]{
				"PROVIDE": p.Provides(), "REQUIRE": p.Requires(), "CONFLICT": p.Conflicts(), "OBSOLETE": p.Obsoletes(),
				"RECOMMEND": p.Recommends(), "SUGGEST": p.Suggests(), "SUPPLEMENT": p.Supplements(), "ENHANCE": p.Enhances(),
			} {
				var ours strings.Builder
				for d := range list {
					fmt.Fprintf(&ours, "%s|%d|%s\n", d.Name, d.Flags, d.Version)
				}
				questions = append(questions, question{"[%{" + kind + "NAME}|%{" + kind + "FLAGS}|%{" + kind + "VERSION}\n]", ours.String()})
			}
			var files, changes strings.Builder
			for f := range p.Files() {
				fmt.Fprintf(&files, "%s|%s|%d|%d|%d|%d|%s|%s|%s|%s\n",
					f.Path(), f.Base, f.Mode, f.Flags, f.Size, f.ModTime.Unix(), f.Digest, f.LinkTo, f.User, f.Group)
			}
			for c := range p.Changelog() {
				fmt.Fprintf(&changes, "%d|%s|%s\n", c.Time, c.Author, c.Text)
			}
			questions = append(questions,
				question{"[%{FILENAMES}|%{BASENAMES}|%{FILEMODES}|%{FILEFLAGS}|%{LONGFILESIZES}|%{FILEMTIMES}|" +
					"%{FILEDIGESTS}|%{FILELINKTOS}|%{FILEUSERNAME}|%{FILEGROUPNAME}\n]", files.String()},
				question{"[%{CHANGELOGTIME}|%{CHANGELOGNAME}|%{CHANGELOGTEXT}\n]", changes.String()})

			const separator = "\n--- next ---\n"
			var formats strings.Builder
			for _, q := range questions {
				formats.WriteString(q.format + separator)
			}
			theirs := strings.Split(rpmtest.Run(t, "rpm", "--define", "_dbpath "+t.TempDir(), "-qp", "--qf", formats.String(), path), separator)
			require.Len(t, theirs, len(questions)+1)
			for i, q := range questions {
				require.Equal(t, theirs[i], q.ours, q.format)
			}

			f, err := os.Open(path)
			require.NoError(t, err)
			defer f.Close()
			require.NoError(t, p.VerifyDigests(t.Context(), f))
			require.Equal(t, filepath.Base(path), p.FileName())
			require.False(t, p.Signed)
			require.Empty(t, p.Signatures())
		})
	}
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func TestFileKinds(t *testing.T) {
	for _, path := range rpmtest.Build(t, "kitchen", "x86_64") {
		p, err := rpm.ReadFile(path)
		require.NoError(t, err)
		if p.Name != "kitchen-sink" || p.Source() {
			continue
		}
		byPath := map[string]rpm.File{}
		for f := range p.Files() {
			byPath[f.Path()] = f
		}
		require.Len(t, byPath, p.FileCount())
		require.True(t, byPath["/etc/sink.d"].IsDir())
		require.True(t, byPath["/var/log/sink.log"].IsGhost())
		require.True(t, byPath["/var/cache/sink"].IsGhost() && byPath["/var/cache/sink"].IsDir())
		require.True(t, byPath["/usr/lib/sendmail"].IsLink())
		require.Equal(t, "/nowhere", byPath["/usr/lib/sendmail"].LinkTo)
		require.Equal(t, rpm.FileConfig|rpm.FileNoReplace, byPath["/etc/sink.conf"].Flags)
		require.Equal(t, "adm", byPath["/var/log/sink.log"].Group)
		require.Equal(t, "x86_64", p.Arch)
		return
	}
	t.Fatal("the package was not built")
}

// TestMalformed reads packages that break one rule each.
func TestMalformed(t *testing.T) {
	simple := rpmtest.Simple("evil", "1", "1", "noarch")
	_, err := read(simple.Bytes())
	require.NoError(t, err)
	mainStart := func(b []byte) int {
		p, err := read(b)
		require.NoError(t, err)
		return int(p.HeaderStart)
	}
	patch := func(off func([]byte) int, with ...byte) []byte {
		b := simple.Bytes()
		copy(b[off(b):], with)
		return b
	}
	at := func(n int) func([]byte) int { return func([]byte) int { return n } }
	main := func(n int) func([]byte) int { return func(b []byte) int { return mainStart(b) + n } }
	tests := []struct {
		name, want string
		file       []byte
	}{
		{"empty", "unexpected EOF", nil},
		{"text", "not an RPM package", []byte(strings.Repeat("no package ", 20))},
		{"only a lead", "unexpected EOF", rpmtest.Lead()},
		{"format 2", "unsupported package format 2", patch(at(4), 2)},
		{"old signature", "unsupported kind of signature 1", patch(at(79), 1)},
		{"signature magic", "no header magic", patch(at(96), 0)},
		{"too many signature entries", "33 entries, allowed are 1 to 32", patch(at(104), 0, 0, 0, 33)},
		{"no entries", "0 entries", patch(main(8), 0, 0, 0, 0)},
		{"65536 entries", "65536 entries, allowed are 1 to 65535", patch(main(8), 0, 1, 0, 0)},
		{"entries past the end", "unexpected EOF", patch(main(8), 0, 0, 0xff, 0xff)},
		{"data past the end", "unexpected EOF", patch(main(12), 0x0f, 0xff, 0xff, 0xff)},
		{"256 MiB of data", "bytes of data, allowed are", patch(main(12), 0x10, 0, 0, 0)},
		{"region trailer outside", "region tag 63 is malformed", patch(main(16+8), 0x7f, 0xff, 0xff, 0xff)},
		{"region covers less", "does not cover the whole header", patch(func(b []byte) int {
			p, _ := read(b)
			return int(p.HeaderEnd) - 8
		}, 0xff, 0xff, 0xff, 0xf0)},
		{"negative tag", "not a valid tag", patch(main(32), 0, 0, 0, 5)},
		{"unknown kind", "unknown kind 10", patch(main(36), 0, 0, 0, 10)},
		{"kind null", "unknown kind 0", patch(main(36), 0, 0, 0, 0)},
		{"no elements", "0 elements", patch(main(44), 0, 0, 0, 0)},
		{"too many elements", "elements", patch(main(44), 0xff, 0xff, 0xff, 0xff)},
		{"offset outside", "lies outside of the header", patch(main(40), 0x7f, 0, 0, 0)},
		{"overlap", "tag 1000 overlaps the one before it", patch(main(48+8), 0, 0, 0, 0)},
		{"not aligned", "tag 1006: offset", func() []byte {
			b := simple.Bytes()
			b[mainStart(b)+16+7*16+11]++ // the build time's offset
			return b
		}()},
		{"two strings in one", "2 strings", simple.With(rpmtest.Entry{Tag: 1000, Kind: 6, Count: 2, Data: []byte("a\x00b\x00")}).Bytes()},
		{"string does not end", "overlaps the region's trailer", simple.With(rpmtest.Entry{Tag: 9999, Kind: 6, Count: 1, Data: []byte("abc")}).Bytes()},
		{"integers past the end", "ends outside", simple.With(rpmtest.Entry{Tag: 9999, Kind: 5, Count: 90, Data: []byte("12345678")}).Bytes()},
		{"tag twice", "tag 1000 comes twice", rpmtest.Craft{Main: append(slices.Clone(simple.Main), rpmtest.Text(1000, "other"))}.Bytes()},
		{"name is a number", "tag 1000 has kind 4, expected 6", simple.With(rpmtest.Int32s(1000, 7)).Bytes()},
		{"no name", "it has no name", simple.Without(1000).Bytes()},
		{"empty release", "it has no release", simple.With(rpmtest.Text(1002, "")).Bytes()},
		{"no arch", "it has no arch", simple.Without(1022).Bytes()},
		{"source and not", "claims to be a source package and", simple.With(rpmtest.Int32s(1106, 1)).Bytes()},
		{"flags fewer than names", "tag 1047 has 1 elements, tag 1112 has 2", simple.With(rpmtest.Int32s(1112, 8, 8)).Bytes()},
		{"versions without names", "tag 1049 has 0 elements", simple.With(rpmtest.Texts(1050, "1")).Bytes()},
		{"changelog", "tag 1080", simple.With(rpmtest.Int32s(1080, 1, 2), rpmtest.Texts(1081, "a"), rpmtest.Texts(1082, "b", "c")).Bytes()},
		{"directory index", "lies in directory 1 of 1", files(simple, 1).Bytes()},
		{"no directory index", "1 files have 0 directory indexes", files(simple, 0).Without(1116).Bytes()},
		{"more directories than files", "2 directories", files(simple, 0).With(rpmtest.Texts(1118, "/a/", "/b/")).Bytes()},
		{"directories without files", "directories without files", simple.With(rpmtest.Texts(1118, "/a/")).Bytes()},
		{"modes", "tag 1117 has 1 elements, tag 1030 has 2", files(simple, 0).With(rpmtest.Int16s(1030, 1, 2)).Bytes()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := read(test.file)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func files(c rpmtest.Craft, dir uint32) rpmtest.Craft {
	return c.With(rpmtest.Texts(1117, "f"), rpmtest.Texts(1118, "/d/"), rpmtest.Int32s(1116, dir),
		rpmtest.Int16s(1030, 0o100644), rpmtest.Int32s(1037, 0))
}

// TestWrongKinds reads tags as what they are not: nothing comes back.
func TestWrongKinds(t *testing.T) {
	c := rpmtest.Simple("kinds", "1", "1", "noarch",
		rpmtest.Int64s(9001, 1<<40), rpmtest.Int16s(9002, 7, 8), rpmtest.Binary(9003, []byte{1, 2}),
		rpmtest.Texts(9004, "a", "", "c"), rpmtest.Entry{Tag: 9005, Kind: 1, Count: 3, Data: []byte{4, 5, 6}})
	p, err := read(c.Bytes())
	require.NoError(t, err)
	h := p.Header()
	require.Equal(t, uint64(1<<40), h.Ints(9001).At(0))
	require.Equal(t, uint64(8), h.Ints(9002).At(1))
	require.Equal(t, uint64(6), h.Ints(9005).At(2))
	require.Equal(t, []string{"a", "", "c"}, slices.Collect(h.Strings(9004)))
	require.Equal(t, []byte{1, 2}, h.Binary(9003))
	for _, tag := range []rpm.Tag{9001, 9002, 9003, 9004, 9005, 9999} {
		require.Equal(t, tag == 9004, h.Text(tag) == "a", tag)
		require.Equal(t, tag == 9003, h.Binary(tag) != nil, tag)
		require.Equal(t, tag != 9003 && tag != 9004 && tag != 9999, h.Ints(tag).Len() > 0, tag)
	}
	for _, i := range []int{-1, 2, 1 << 40} {
		require.Zero(t, h.Ints(9002).At(i))
	}
}

// TestNoFormat4Region reads a header without a region, as rpm 3 wrote them, and
// a file list that is not split into directories.
func TestNoFormat4Region(t *testing.T) {
	c := rpmtest.Simple("ancient", "1", "1", "i386",
		rpmtest.Texts(1027, "/usr/bin/a", "/b", "plain"), rpmtest.Int16s(1030, 0o100755, 0o40755, 0))
	p, err := read(c.Without(1044).Bytes())
	require.NoError(t, err)
	require.Equal(t, "i386", p.Arch, "neither tag: a source package only by its file list")
	got := slices.Collect(p.Files())
	require.Len(t, got, 3)
	require.Equal(t, []string{"/usr/bin/", "/", ""}, []string{got[0].Dir, got[1].Dir, got[2].Dir})
	require.Equal(t, []string{"a", "b", "plain"}, []string{got[0].Base, got[1].Base, got[2].Base})
}

func TestSourceHeuristic(t *testing.T) {
	c := rpmtest.Simple("old", "1", "1", "x86_64", rpmtest.Texts(1117, "old.spec"),
		rpmtest.Texts(1118, ""), rpmtest.Int32s(1116, 0), rpmtest.Int16s(1030, 0o100644)).Without(1044)
	p, err := read(c.Bytes())
	require.NoError(t, err)
	require.True(t, p.Source())
	require.Equal(t, "old-1-1.src.rpm", p.FileName())
	require.Equal(t, "x86_64", p.BuildArch)
}

func TestVerifyDigests(t *testing.T) {
	good := rpmtest.Simple("digests", "1", "1", "noarch")
	verify := func(b []byte) error {
		p, err := read(b)
		require.NoError(t, err)
		return p.VerifyDigests(t.Context(), bytes.NewReader(b))
	}
	require.NoError(t, verify(good.Bytes()))
	flip := func(c rpmtest.Craft, from func(*rpm.Package) int64) []byte {
		b := c.Bytes()
		p, err := read(b)
		require.NoError(t, err)
		b[from(p)] ^= 1
		return b
	}
	var digest *rpm.DigestError
	err := verify(flip(good, func(p *rpm.Package) int64 { return p.HeaderEnd }))
	require.ErrorAs(t, err, &digest)
	require.ErrorContains(t, err, "the payload digest (SHA-256) is")
	err = verify(flip(good, func(p *rpm.Package) int64 { return p.HeaderEnd - 20 }))
	require.ErrorContains(t, err, "SHA-256 of the header")
	require.ErrorContains(t, verify(append(good.Bytes(), 'x')), "the size of header and payload")
	for _, c := range []struct {
		want  string
		entry rpmtest.Entry
	}{
		{"the MD5 of header and payload", rpmtest.Binary(1004, make([]byte, 16))},
		{"SHA-1 of the header", rpmtest.Text(269, strings.Repeat("0", 40))},
		{"the size of header and payload", rpmtest.Int64s(270, 5)},
		{"SHA-256 of the header", rpmtest.Int32s(273, 5)},
	} {
		bad := good
		bad.Signature = []rpmtest.Entry{c.entry}
		require.ErrorContains(t, verify(bad.Bytes()), c.want)
	}
	require.ErrorContains(t, verify(good.With(rpmtest.Int32s(5093, 99)).Bytes()), "of an unknown kind")
	require.ErrorContains(t, verify(good.With(rpmtest.Texts(5092, "zz")).Bytes()), "malformed")

	b := good.Bytes()
	p, err := read(b)
	require.NoError(t, err)
	require.ErrorIs(t, p.VerifyDigests(t.Context(), bytes.NewReader(b[:len(b)-1])), io.ErrUnexpectedEOF)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.VerifyDigests(ctx, bytes.NewReader(b)), context.Canceled)
}

// TestVerifyContent leaves weak digests alone where strong ones cover the same.
func TestVerifyContent(t *testing.T) {
	weak := []rpmtest.Entry{rpmtest.Text(269, strings.Repeat("0", 40)), rpmtest.Binary(1004, make([]byte, 16))}
	verify := func(c rpmtest.Craft, at func(*rpm.Package) int64) error {
		b := c.Bytes()
		p, err := read(b)
		require.NoError(t, err)
		if at != nil {
			b[at(p)] ^= 1
			p, err = read(b)
			require.NoError(t, err)
		}
		return p.VerifyContent(t.Context(), bytes.NewReader(b))
	}
	strong := rpmtest.Simple("content", "1", "1", "noarch")
	strong.Signature = weak
	require.NoError(t, verify(strong, nil))
	require.ErrorContains(t, verify(strong, func(p *rpm.Package) int64 { return p.HeaderEnd }), "the payload digest (SHA-256) is")
	require.ErrorContains(t, verify(strong, func(p *rpm.Package) int64 { return p.HeaderEnd - 20 }), "SHA-256 of the header")
	for i, want := range []string{"SHA-1 of the header", "the MD5 of header and payload"} {
		old := rpmtest.Simple("content", "1", "1", "noarch")
		old.Format = 3
		old.Signature = weak[i : i+1]
		require.ErrorContains(t, verify(old, nil), want)
	}
	sum := md5.Sum(strong.Payload)
	half := strong.With(rpmtest.Texts(5092, hex.EncodeToString(sum[:])), rpmtest.Int32s(5093, 1))
	require.ErrorContains(t, verify(half, nil), "the MD5 of header and payload", "the payload has no strong digest")
}

func TestNoDigest(t *testing.T) {
	main := rpmtest.Header(63, rpmtest.Simple("bare", "1", "1", "noarch").Main)
	signature := rpmtest.Header(62, []rpmtest.Entry{rpmtest.Int32s(1007, 0)})
	for len(signature)%8 != 0 {
		signature = append(signature, 0)
	}
	b := slices.Concat(rpmtest.Lead(), signature, main)
	p, err := read(b)
	require.NoError(t, err)
	require.ErrorIs(t, p.VerifyDigests(t.Context(), bytes.NewReader(b)), rpm.ErrNoDigest)
}

// TestWithSignatures replaces signatures and leaves all else as it was.
func TestWithSignatures(t *testing.T) {
	c := rpmtest.Simple("signed", "1", "1", "noarch")
	c.Signature = []rpmtest.Entry{
		rpmtest.Binary(267, []byte("old")), rpmtest.Binary(268, []byte("old")), rpmtest.Text(269, strings.Repeat("0", 40)),
		rpmtest.Texts(278, "b2xk", "not base64!"), rpmtest.Binary(999, make([]byte, 9)),
		rpmtest.Binary(1002, []byte("old")), rpmtest.Binary(1004, make([]byte, 16)), rpmtest.Binary(1005, []byte("old")),
		rpmtest.Binary(1008, make([]byte, 4096)),
	}
	b := c.Bytes()
	p, err := read(b)
	require.NoError(t, err)
	require.True(t, p.Signed)
	require.Len(t, p.Signatures(), 6)
	before, err := p.ContentDigest(t.Context(), bytes.NewReader(b))
	require.NoError(t, err)

	sigs := []rpm.Signature{{Tag: rpm.SigPGP, Packet: []byte("both")}, {Tag: rpm.SigRSA, HeaderOnly: true, Packet: []byte("header")}}
	resign := func(p *rpm.Package, b []byte, sigs ...rpm.Signature) (*rpm.Package, []byte) {
		out := append(p.WithSignatures(sigs...), b[p.HeaderStart:]...)
		q, err := read(out)
		require.NoError(t, err)
		return q, out
	}
	q, signed := resign(p, b, sigs...)
	require.Equal(t, []rpm.Signature{sigs[1], sigs[0]}, q.Signatures())
	require.Equal(t, strings.Repeat("0", 40), q.SignatureHeader().Text(rpm.SigSHA1))
	require.Len(t, q.SignatureHeader().Binary(rpm.SigMD5), 16)
	require.Equal(t, p.ArchiveSize, q.ArchiveSize)
	after, err := q.ContentDigest(t.Context(), bytes.NewReader(signed))
	require.NoError(t, err)
	require.Equal(t, before, after)

	_, again := resign(q, signed, sigs...)
	require.Equal(t, signed, again, "signing again changes nothing")
	bare, _ := resign(q, signed)
	require.False(t, bare.Signed)
}

// TestReadsOnlyHeaders reads a package whose payload cannot be read.
func TestReadsOnlyHeaders(t *testing.T) {
	b := rpmtest.Simple("big", "1", "1", "noarch").Bytes()
	p, err := rpm.Read(&headersOnly{b: b}, 1<<40)
	require.NoError(t, err)
	require.Equal(t, "big", p.Name)
}

type headersOnly struct{ b []byte }

func (h *headersOnly) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > 64<<10 {
		return 0, errors.New("read beyond the headers")
	}
	n := 0
	if off < int64(len(h.b)) {
		n = copy(b, h.b[off:])
	}
	clear(b[n:])
	return len(b), nil
}

func FuzzRead(f *testing.F) {
	c := rpmtest.Simple("fuzz", "1", "1", "noarch", rpmtest.Texts(1049, "a", "(b or c)"), rpmtest.Int32s(1048, 12, 0),
		rpmtest.Texts(1050, "1:2-3", ""), rpmtest.Int32s(1080, 1), rpmtest.Texts(1081, "me"), rpmtest.Texts(1082, "- x"))
	f.Add(c.Bytes())
	f.Add(files(c, 0).Bytes())
	f.Add(c.With(rpmtest.Texts(1027, "/a", "/b/c")).Bytes())
	c.Signature = []rpmtest.Entry{rpmtest.Binary(268, []byte("x")), rpmtest.Texts(278, "eA=="), rpmtest.Int64s(271, 5)}
	f.Add(c.Bytes())
	f.Add(binary.BigEndian.AppendUint64(rpmtest.Lead(), 0x8eade80100000000))
	six := rpmtest.Format6(f, "six", "/f", "x")
	six.Signature = []rpmtest.Entry{rpmtest.Texts(278, "eA==", "?"), rpmtest.Binary(1002, []byte("x")), rpmtest.Binary(999, make([]byte, 8))}
	f.Add(six.Bytes())
	c.Format, c.Signature = 3, nil
	f.Add(c.Bytes())
	reader := rpm.NewReader(nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		before := allocated()
		p, err := read(b)
		// What is allocated grows with the file, not with what it says of itself.
		require.Less(t, allocated()-before, uint64(16*len(b)+1<<20))
		whole, id, wrong := reader.Read(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			require.Error(t, wrong)
			return
		}
		if wrong == nil {
			sum := sha256.Sum256(b)
			require.Equal(t, sum[:], id)
			requireSame(t, p, whole)
			exercise(t, whole, b)
		}
		exercise(t, p, b)
	})
}

// allocated is how much has been allocated so far, in bytes.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// exercise calls everything that reads a package.
func exercise(t *testing.T, p *rpm.Package, b []byte) {
	for _, list := range []iter.Seq[rpm.Dependency]{
		p.Provides(), p.Requires(), p.Conflicts(), p.Obsoletes(), p.Recommends(), p.Suggests(), p.Supplements(), p.Enhances(),
	} {
		for d := range list {
			_ = d.String()
			require.True(t, d.SatisfiedBy(d) || d.Flags != 0)
		}
	}
	n := 0
	for f := range p.Files() {
		_ = f.Path()
		n++
	}
	require.Equal(t, p.FileCount(), n)
	for range p.Changelog() {
	}
	_ = p.NEVRA()
	_ = p.Signatures()
	_ = p.VerifyDigests(t.Context(), bytes.NewReader(b))
	out := append(p.WithSignatures(rpm.Signature{Tag: rpm.SigRSA, Packet: []byte("s")}), b[p.HeaderStart:]...)
	q, err := read(out)
	require.NoError(t, err)
	before, err := p.ContentDigest(t.Context(), bytes.NewReader(b))
	require.NoError(t, err)
	after, err := q.ContentDigest(t.Context(), bytes.NewReader(out))
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func BenchmarkRead(b *testing.B) {
	names := make([]string, 60)
	indexes, modes := make([]uint32, 60), make([]uint16, 60)
	for i := range names {
		names[i], modes[i] = fmt.Sprintf("file-%d", i), 0o100644
	}
	file := rpmtest.Simple("bench", "1", "1", "noarch", rpmtest.Texts(1117, names...), rpmtest.Texts(1118, "/usr/share/bench/"),
		rpmtest.Int32s(1116, indexes...), rpmtest.Int16s(1030, modes...)).Bytes()
	r := bytes.NewReader(file)
	b.ReportAllocs()
	for b.Loop() {
		p, err := rpm.Read(r, int64(len(file)))
		if err != nil {
			b.Fatal(err)
		}
		for range p.Files() {
		}
	}
}

func TestSplitSource(t *testing.T) {
	for file, want := range map[string][2]string{
		"hwloc-ohpc-2.9.0-300.ohpc.1.src.rpm": {"hwloc-ohpc", "2.9.0-300.ohpc.1"},
		"a-b-c-1-2.nosrc.rpm":                 {"a-b-c", "1-2"},
		"a-1.src.rpm":                         {},
		"-1-2.src.rpm":                        {},
		"":                                    {},
	} {
		name, vr, ok := rpm.SplitSource(file)
		require.Equal(t, want, [2]string{name, vr}, file)
		require.Equal(t, want[0] != "", ok, file)
	}
}
