package rpmmd_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

func TestReadBack(t *testing.T) {
	entries := []rpmmd.Entry{
		entry(t, rpmtest.Simple("one", "1.0~rc1", "2^git", "aarch64", rpmtest.Int32s(1003, 4))),
		entry(t, rpmtest.Simple("two-longer", "2", "1", "noarch")),
	}
	dir := t.TempDir()
	md, err := rpmmd.Write(t.Context(), dir, entries, rpmmd.Options{})
	require.NoError(t, err)
	open := func(kind string) io.ReadCloser {
		d, ok := md.Find(kind)
		require.True(t, ok)
		r, err := rpmmd.OpenData(dir, d)
		require.NoError(t, err)
		return r
	}
	var records []rpmmd.Record
	r := open("primary")
	n, err := rpmmd.ReadPrimary(r, func(rec rpmmd.Record) error {
		records = append(records, rec)
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, 2, n)
	p := entries[0].Package
	require.Equal(t, rpmmd.Record{
		Name: "one", Arch: "aarch64", EVR: rpm.EVR{Epoch: "4", Version: "1.0~rc1", Release: "2^git"},
		Checksum: rpmmd.Checksum{Type: "sha256", Value: entries[0].SHA256}, Location: "aarch64/one-1.0~rc1-2^git.aarch64.rpm",
		Size: p.FileSize, HeaderStart: p.HeaderStart, HeaderEnd: p.HeaderEnd, FileTime: 1700000000, BuildTime: 1700000000,
	}, records[0])
	for _, kind := range []string{"filelists", "other"} {
		var ids []string
		r := open(kind)
		n, err := rpmmd.ReadIDs(r, kind, func(id string) error {
			ids = append(ids, id)
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Equal(t, 2, n)
		require.Equal(t, []string{entries[0].SHA256, entries[1].SHA256}, ids)
	}
}

// TestOpenData reads data files that are not what repomd.xml says.
func TestOpenData(t *testing.T) {
	dir := t.TempDir()
	content := strings.Repeat("<x/>", 1000)
	var shut bytes.Buffer
	z := gzip.NewWriter(&shut)
	_, err := z.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	sum := func(b []byte) rpmmd.Checksum {
		s := sha256.Sum256(b)
		return rpmmd.Checksum{Type: "sha256", Value: hex.EncodeToString(s[:])}
	}
	good := rpmmd.Data{
		Type: "primary", Location: "repodata/p.xml.gz", Checksum: sum(shut.Bytes()), OpenChecksum: sum([]byte(content)),
		Size: int64(shut.Len()), OpenSize: int64(len(content)),
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "repodata"), 0o755))
	read := func(d rpmmd.Data, file []byte) error {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "repodata", "p.xml.gz"), file, 0o644))
		r, err := rpmmd.OpenData(dir, d)
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
		return err
	}
	require.NoError(t, read(good, shut.Bytes()))
	with := func(change func(*rpmmd.Data)) rpmmd.Data {
		d := good
		change(&d)
		return d
	}
	for want, d := range map[string]rpmmd.Data{
		"its size is":                       with(func(d *rpmmd.Data) { d.Size-- }),
		"its sha256 digest is":              with(func(d *rpmmd.Data) { d.Checksum.Value = strings.Repeat("0", 64) }),
		"its uncompressed size is larger":   with(func(d *rpmmd.Data) { d.OpenSize = 10 }),
		"its uncompressed size is 4000":     with(func(d *rpmmd.Data) { d.OpenSize = 5000 }),
		"its sha256 digest uncompressed is": with(func(d *rpmmd.Data) { d.OpenChecksum.Value = "00" }),
		"unknown kind of digest \"md5\"":    with(func(d *rpmmd.Data) { d.Checksum.Type = "md5" }),
		"unknown kind of digest \"crc\"":    with(func(d *rpmmd.Data) { d.OpenChecksum.Type = "crc" }),
		"no such file":                      with(func(d *rpmmd.Data) { d.Location = "repodata/q.xml.gz" }),
	} {
		require.ErrorContains(t, read(d, shut.Bytes()), want)
	}
	longer := with(func(d *rpmmd.Data) { d.Size += 5 })
	require.ErrorContains(t, read(longer, shut.Bytes()), "p.xml.gz: its size is "+strconv.Itoa(shut.Len()))
	flipped := bytes.Clone(shut.Bytes())
	flipped[len(flipped)/2] ^= 1
	require.Error(t, read(good, flipped))
	require.ErrorContains(t, read(good, append(bytes.Clone(shut.Bytes()), 'x')), "p.xml.gz")
	require.Error(t, read(good, shut.Bytes()[:20]))
	require.ErrorContains(t, read(good, []byte("no gzip")), "reading")
}

// TestBomb stops at the size that the metadata promise, not at memory's end.
func TestBomb(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "repodata"), 0o755))
	f, err := os.Create(filepath.Join(dir, "repodata", "bomb.xml.gz"))
	require.NoError(t, err)
	z := gzip.NewWriter(f)
	_, err = io.CopyN(z, zeros{}, 64<<20)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	fi, err := f.Stat()
	require.NoError(t, err)
	require.NoError(t, f.Close())
	r, err := rpmmd.OpenData(dir, rpmmd.Data{
		Location: "repodata/bomb.xml.gz", Checksum: rpmmd.Checksum{Type: "sha256"}, Size: fi.Size(), OpenSize: 1 << 20,
	})
	require.NoError(t, err)
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	require.ErrorContains(t, err, "uncompressed size is larger")
	require.Less(t, n, int64(2<<20))
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestParseRepomd(t *testing.T) {
	head := `<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision> 5 </revision>`
	data := func(kind, href string) string {
		return `<data type="` + kind + `"><checksum type="sha256">ab</checksum><location href="` + href + `"/><timestamp>1.5</timestamp><size>3</size></data>`
	}
	md, err := rpmmd.ParseRepomd(strings.NewReader(head + data("primary", "repodata/p.xml.gz") + data("x", "y.zst") + "</repomd>"))
	require.NoError(t, err)
	require.Equal(t, "5", md.Revision)
	require.Equal(t, int64(1), md.Data[0].Timestamp)
	for want, doc := range map[string]string{
		"outside of the repository":        head + data("primary", "../p") + "</repomd>",
		`at "/etc/passwd", outside`:        head + data("primary", "/etc/passwd") + "</repomd>",
		`at "a/../../b", outside`:          head + data("primary", "a/../../b") + "</repomd>",
		`at "", outside`:                   head + data("primary", "") + "</repomd>",
		"two data files of type primary":   head + data("primary", "a") + data("primary", "b") + "</repomd>",
		"it names no data files":           head + "</repomd>",
		"unexpected EOF":                   head,
		"EOF":                              "",
		"expected element type <repomd>":   "<html></html>",
		"has a negative size":              strings.Replace(head+data("p", "a"), "<size>3", "<size>-3", 1) + "</repomd>",
		"it is larger than 4194304 bytes":  head + strings.Repeat(" ", 5<<20),
		"expected element <repomd> in nam": `<repomd xmlns="x"/>`,
	} {
		_, err := rpmmd.ParseRepomd(strings.NewReader(doc))
		require.ErrorContains(t, err, want)
	}
	_, err = rpmmd.ReadRepomd(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestReadPrimaryErrors(t *testing.T) {
	for want, doc := range map[string]string{
		"begins with <filelists>, expected <metadata>": "<filelists/>",
		"the number of packages is \"x\"":              `<metadata packages="x"/>`,
		"syntax error":                                 "<metadata><package><name>a</metadata>",
		"unexpected EOF":                               "<metadata><package>",
		"stop":                                         "<metadata><other><a/></other><package><name>a</name></package></metadata>",
	} {
		_, err := rpmmd.ReadPrimary(strings.NewReader(doc), func(rpmmd.Record) error { return io.ErrClosedPipe })
		if want == "stop" {
			require.ErrorIs(t, err, io.ErrClosedPipe)
			continue
		}
		require.ErrorContains(t, err, want)
	}
	endless := io.MultiReader(strings.NewReader(`<metadata><package><name>`), zerosAs('a'))
	_, err := rpmmd.ReadPrimary(io.LimitReader(endless, 40<<20), func(rpmmd.Record) error { return nil })
	require.ErrorContains(t, err, "one element has more than")
}

type zerosAs byte

func (z zerosAs) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(z)
	}
	return len(b), nil
}

func FuzzParseRepomd(f *testing.F) {
	f.Add([]byte(`<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>5</revision><data type="primary"><location href="a"/></data></repomd>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		md, err := rpmmd.ParseRepomd(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, d := range md.Data {
			require.True(t, filepath.IsLocal(d.Location))
		}
		doc, err := md.XML()
		if err != nil {
			return
		}
		_, err = rpmmd.ParseRepomd(bytes.NewReader(doc))
		require.NoError(t, err)
	})
}

func FuzzReadPrimary(f *testing.F) {
	f.Add([]byte(`<metadata packages="1"><package><name>a</name><version epoch="0" ver="1" rel="2"/><location href="x"/></package></metadata>`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = rpmmd.ReadPrimary(bytes.NewReader(b), func(rpmmd.Record) error { return nil })
		_, _ = rpmmd.ReadIDs(bytes.NewReader(b), "filelists", func(string) error { return nil })
	})
}

// FuzzText renders any text and reads it back as XML.
func FuzzText(f *testing.F) {
	for _, s := range []string{"plain", "a<b>&\"'\r\n\t", "\xff\x00\x01", "\uFFFF\uFFFE\uFFFD", "厨房"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ReplaceAll(s, "\x00", "")
		e := entry(t, rpmtest.Simple("text", "1", "1", "noarch", rpmtest.Text(1004, s), rpmtest.Int32s(1080, 1), rpmtest.Texts(1081, s), rpmtest.Texts(1082, s)))
		var fragments rpmmd.Fragments
		require.NoError(t, fragments.Append(e, 0))
		primary, other := parse(t, bytes.NewReader(fragments.Primary)), parse(t, bytes.NewReader(fragments.Other))
		require.Equal(t, textOf(primary, "summary"), textOf(other, "changelog"))
	})
}
