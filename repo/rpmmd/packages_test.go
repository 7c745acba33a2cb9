package rpmmd_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

func TestReadRelations(t *testing.T) {
	e := entry(t, rpmtest.Simple("one", "1.0~rc1", "2", "aarch64", rpmtest.Int32s(1003, 4),
		rpmtest.Texts(1047, "one", "plain"), rpmtest.Int32s(1112, 8, 0), rpmtest.Texts(1113, "4:1.0~rc1-2", ""),
		rpmtest.Texts(1049, "lib", "older", "(a if b >= 2)", "rpmlib(X)"), rpmtest.Int32s(1048, 12, 2, 0, 1<<24), rpmtest.Texts(1050, "3-1", "2:7", "", "1"),
		rpmtest.Int32s(1116, 0, 1, 1), rpmtest.Texts(1117, "x", "doc & <b>", "y"), rpmtest.Texts(1118, "/usr/bin/", "/usr/share/"),
		rpmtest.Int32s(1028, 0, 0, 0), rpmtest.Int16s(1030, 0o100755, 0o40755, 0o100644), rpmtest.Int32s(1037, 0, 0, 0)))
	dir := t.TempDir()
	md, err := rpmmd.Write(t.Context(), dir, []rpmmd.Entry{e}, rpmmd.Options{})
	require.NoError(t, err)
	open := func(kind string) io.ReadCloser {
		d, ok := md.Find(kind)
		require.True(t, ok)
		r, err := rpmmd.OpenData(dir, d)
		require.NoError(t, err)
		return r
	}
	r := open("primary")
	var got []rpmmd.Relations
	require.NoError(t, rpmmd.ReadRelations(r, func(p rpmmd.Relations) error {
		got = append(got, p)
		return nil
	}))
	require.NoError(t, r.Close())
	require.Equal(t, []rpmmd.Relations{{
		Name: "one", Arch: "aarch64", EVR: rpm.EVR{Epoch: "4", Version: "1.0~rc1", Release: "2"}, ID: e.SHA256,
		Provides: []rpm.Dependency{{Name: "one", Flags: rpm.Equal, Version: "4:1.0~rc1-2"}, {Name: "plain"}},
		Requires: []rpm.Dependency{
			{Name: "lib", Flags: rpm.Greater | rpm.Equal, Version: "3-1"},
			{Name: "older", Flags: rpm.Less, Version: "2:7"},
			{Name: "(a if b >= 2)"},
		},
		Files: []string{"/usr/bin/x"},
	}}, got)

	r = open("filelists")
	var files []string
	require.NoError(t, rpmmd.ReadFiles(r, func(id, path string) error {
		require.Equal(t, e.SHA256, id)
		files = append(files, path)
		return nil
	}))
	require.NoError(t, r.Close())
	slices.Sort(files)
	require.Equal(t, []string{"/usr/bin/x", "/usr/share/doc & <b>", "/usr/share/y"}, files)
}

func TestReadRelationsErrors(t *testing.T) {
	stop := errors.New("stop")
	for want, doc := range map[string]string{
		"expected <filelists>": "<metadata/>",
		"unexpected EOF":       `<filelists><package pkgid="a"><file>/x`,
		"stop":                 `<filelists><package pkgid="a"><version ver="1"/><file>/x</file></package></filelists>`,
	} {
		require.ErrorContains(t, rpmmd.ReadFiles(strings.NewReader(doc), func(string, string) error { return stop }), want)
	}
	require.ErrorContains(t, rpmmd.ReadRelations(strings.NewReader("<filelists/>"), nil), "expected <metadata>")
	require.ErrorIs(t, rpmmd.ReadRelations(strings.NewReader("<metadata><package/></metadata>"), func(rpmmd.Relations) error { return stop }), stop)
	endless := io.MultiReader(strings.NewReader(`<filelists><package><file>`), zerosAs('a'))
	require.ErrorContains(t, rpmmd.ReadFiles(io.LimitReader(endless, 40<<20), nil), "one element has more than")
}

// TestNewDataReader closes what it was given, also when it fails.
func TestNewDataReader(t *testing.T) {
	for _, d := range []rpmmd.Data{
		{Location: "p.xml", Checksum: rpmmd.Checksum{Type: "md5"}},
		{Location: "p.xml.lz", Checksum: rpmmd.Checksum{Type: "sha256"}},
		{Location: "p.xml.gz", Checksum: rpmmd.Checksum{Type: "sha256"}},
	} {
		file := &closing{Reader: strings.NewReader("none of it")}
		_, err := rpmmd.NewDataReader(file, "https://example.org/"+d.Location, d)
		require.ErrorContains(t, err, "https://example.org/p.xml")
		require.True(t, file.closed)
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func FuzzReadRelations(f *testing.F) {
	f.Add([]byte(`<metadata><package><name>a</name><version epoch="0" ver="1" rel="2"/><format><requires><entry name="b" flags="GE" ver="1"/></requires><file>/x</file></format></package></metadata>`))
	f.Add([]byte(`<filelists><package pkgid="a"><file type="dir">/x</file></package></filelists>`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = rpmmd.ReadRelations(bytes.NewReader(b), func(rpmmd.Relations) error { return nil })
		_ = rpmmd.ReadFiles(bytes.NewReader(b), func(string, string) error { return nil })
	})
}
