package rpmmd_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

var update = flag.Bool("update", false, "write the golden files anew")

// entry is a crafted package at its usual place.
func entry(t testing.TB, c rpmtest.Craft) rpmmd.Entry {
	t.Helper()
	b := c.Bytes()
	p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	return rpmmd.Entry{Package: p, Location: p.Arch + "/" + p.FileName(), SHA256: fmt.Sprintf("%064x", len(b))}
}

// tree is all files below a folder and their content.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var b []byte
			b, err = os.ReadFile(filepath.Join(dir, p))
			files[p] = string(b)
		}
		return err
	}))
	return files
}

// TestDeterministic writes the same packages in another order, at another time,
// with other file times on disk.
func TestDeterministic(t *testing.T) {
	var entries []rpmmd.Entry
	for i := range 20 {
		entries = append(entries, entry(t, rpmtest.Simple(fmt.Sprintf("pkg-%d", i), "1", "1", "noarch", rpmtest.Int32s(1006, uint32(1600000000+i)))))
	}
	one, two := t.TempDir(), t.TempDir()
	md, err := rpmmd.Write(t.Context(), one, entries, rpmmd.Options{})
	require.NoError(t, err)
	require.Equal(t, "1600000019", md.Revision, "the newest package's build")
	slices.Reverse(entries)
	again, err := rpmmd.Write(t.Context(), two, entries, rpmmd.Options{})
	require.NoError(t, err)
	require.Equal(t, md, again)
	require.Equal(t, tree(t, one), tree(t, two))
	require.Len(t, tree(t, one), 4, "nothing temporary is left")

	read, err := rpmmd.ReadRepomd(one)
	require.NoError(t, err)
	require.Equal(t, md, read)
	for _, d := range md.Data {
		require.Equal(t, rpmmd.Dir+"/"+d.Checksum.Value+"-"+d.Type+".xml.gz", d.Location)
		fi, err := os.Stat(filepath.Join(one, d.Location))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o644), fi.Mode())
	}

	md, err = rpmmd.Write(t.Context(), two, nil, rpmmd.Options{Revision: "<7>", Time: time.Unix(42, 0)})
	require.NoError(t, err)
	require.Equal(t, "<7>", md.Revision)
	require.Equal(t, int64(42), md.Data[0].Timestamp)
	read, err = rpmmd.ReadRepomd(two)
	require.NoError(t, err)
	require.Equal(t, md, read)
}

// TestGolden keeps the exact bytes: a change of them makes every published
// repository a new one.
func TestGolden(t *testing.T) {
	c := rpmtest.Simple("golden", "1.0~rc1", "2", "x86_64",
		rpmtest.Int32s(1003, 3), rpmtest.Text(1005, "Two <lines>\nof \"text\" & more"),
		rpmtest.Texts(1049, "a", "/bin/sh", "(b or c)"), rpmtest.Int32s(1048, 12, 1<<9, 0), rpmtest.Texts(1050, "1:2-3", "", ""),
		rpmtest.Texts(5046, "d"), rpmtest.Int32s(5048, 0), rpmtest.Texts(5047, ""),
		rpmtest.Texts(1117, "g", "golden", "log"), rpmtest.Texts(1118, "/usr/share/", "/usr/bin/", "/var/"), rpmtest.Int32s(1116, 0, 1, 2),
		rpmtest.Int16s(1030, 0o40755, 0o100755, 0o100644), rpmtest.Int32s(1037, 0, 0, 64),
		rpmtest.Int32s(1080, 1700000000, 1600000000), rpmtest.Texts(1081, "Zoë <z@example.org> - 1", "A"), rpmtest.Texts(1082, "- new & <good>", "- old"))
	var f rpmmd.Fragments
	require.NoError(t, f.Append(entry(t, c), 0))
	got := slices.Concat(f.Primary, []byte("--\n"), f.Filelists, []byte("--\n"), f.Other)
	golden := filepath.Join("testdata", "fragments.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, got, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// TestHostileText puts what XML cannot hold into texts for people, from which
// it vanishes.
func TestHostileText(t *testing.T) {
	for text, want := range map[string]string{
		"a\x01b\x1b[2Jc\x7fd]]><!--&amp;\uFFFE\uFFFF\v\f\"'": "ab[2Jc\x7fd]]><!--&amp;\"'",
		// Not UTF-8: Latin-1 without 0x80 to 0xbf, the UTF-8 in it too.
		"Gr\xfc\xdfe \xc3\xb6 \x80\x9f \xed\xa0\x80": "Grüße Ã  í",
	} {
		entries := []rpmtest.Entry{rpmtest.Int32s(1080, 5), rpmtest.Texts(1081, text), rpmtest.Texts(1082, text)}
		for _, tag := range []uint32{1004, 1005, 1007, 1011, 1014, 1015, 1016, 1020} {
			entries = append(entries, rpmtest.Text(tag, text))
		}
		dir := t.TempDir()
		_, err := rpmmd.Write(t.Context(), dir, []rpmmd.Entry{entry(t, rpmtest.Simple("hostile", "1", "1", "noarch", entries...))}, rpmmd.Options{})
		require.NoError(t, err)
		primary, other := data(t, dir, "primary"), data(t, dir, "other")
		require.Equal(t, want, textOf(primary, "summary"))
		require.Equal(t, want, textOf(primary, "description"))
		require.Equal(t, want, textOf(primary, "license"))
		require.Equal(t, want, textOf(other, "changelog"))
	}
}

// textOf is the text of the first element of that name below n.
func textOf(n node, name string) string {
	if strings.HasSuffix(n.Name, " "+name) {
		return n.Text
	}
	for _, c := range n.Children {
		if s := textOf(c, name); s != "" {
			return s
		}
	}
	return ""
}

// TestRefused are packages that would make metadata on which nobody can rely.
func TestRefused(t *testing.T) {
	simple := rpmtest.Simple("refused", "1", "1", "noarch")
	file := func(dir, base string) rpmtest.Craft {
		return simple.With(rpmtest.Texts(1117, base), rpmtest.Texts(1118, dir), rpmtest.Int32s(1116, 0))
	}
	for name, test := range map[string]struct {
		craft rpmtest.Craft
		want  string
	}{
		"name":          {simple.With(rpmtest.Text(1000, "a\x01b")), `safe location`},
		"version":       {simple.With(rpmtest.Text(1001, "1\x1b")), `safe location`},
		"sourcerpm":     {simple.With(rpmtest.Text(1044, "a\x02.src.rpm")), `"a\x02.src.rpm" has a character`},
		"provide":       {simple.With(rpmtest.Texts(1047, "a\x03")), `"a\x03" has a character`},
		"noncharacter":  {simple.With(rpmtest.Texts(1047, "a\uFFFF")), `"a\uffff" has a character`},
		"file":          {file("/etc/", "pass\x08wd"), `"/etc/pass\bwd" has a character`},
		"folder":        {file("/e\x0btc/", "x"), `has a character`},
		"epoch":         {simple.With(rpmtest.Texts(1113, "one:2")), `the epoch of "refused = one:2" is no number`},
		"slash in name": {simple.With(rpmtest.Text(1000, "../../etc/passwd")), `no safe location`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := rpmmd.Write(t.Context(), dir, []rpmmd.Entry{entry(t, test.craft)}, rpmmd.Options{})
			require.ErrorContains(t, err, test.want)
			require.Empty(t, tree(t, dir), "nothing is left of a failed attempt")
		})
	}
}

func TestWriterOrder(t *testing.T) {
	a, b := entry(t, rpmtest.Simple("a", "1", "1", "noarch")), entry(t, rpmtest.Simple("b", "1", "1", "noarch"))
	dir := t.TempDir()
	w, err := rpmmd.NewWriter(dir, 1, rpmmd.Options{})
	require.NoError(t, err)
	require.NoError(t, w.Add(b))
	require.ErrorContains(t, w.Add(a), "in order and once")
	require.ErrorContains(t, w.Add(b), "in order and once")
	_, err = w.Close()
	require.NoError(t, err)

	w, err = rpmmd.NewWriter(dir, 1, rpmmd.Options{})
	require.NoError(t, err)
	_, err = w.Close()
	require.ErrorContains(t, err, "1 announced packages did not come")
	w, err = rpmmd.NewWriter(dir, 0, rpmmd.Options{})
	require.NoError(t, err)
	require.ErrorContains(t, w.Add(a), "one more than announced")
	w.Discard()

	_, err = rpmmd.NewWriter(dir, 0, rpmmd.Options{Compression: "lha"})
	require.ErrorContains(t, err, `unknown compression "lha"`)
	for _, bad := range []string{"", ".", "/a", "a/../b", "../a", "a//b", "a\nb", "a:b", `a\b`, "a?b"} {
		a.Location = bad
		_, err := rpmmd.Write(t.Context(), dir, []rpmmd.Entry{a}, rpmmd.Options{})
		require.ErrorContains(t, err, "no safe location", bad)
	}
	b.SHA256 = "no digest"
	_, err = rpmmd.Write(t.Context(), dir, []rpmmd.Entry{b}, rpmmd.Options{})
	require.ErrorContains(t, err, "is not a sha256 digest")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = rpmmd.Write(ctx, dir, []rpmmd.Entry{b}, rpmmd.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

// TestChanges limits the changelog.
func TestChanges(t *testing.T) {
	var times []uint32
	var names []string
	for i := range 30 {
		times, names = append(times, uint32(1000-i)), append(names, "x")
	}
	e := entry(t, rpmtest.Simple("log", "1", "1", "noarch", rpmtest.Int32s(1080, times...), rpmtest.Texts(1081, names...), rpmtest.Texts(1082, names...)))
	for limit, want := range map[int]int{0: 10, 3: 3, -1: 30, 100: 30} {
		var f rpmmd.Fragments
		require.NoError(t, f.Append(e, limit))
		require.Equal(t, want, bytes.Count(f.Other, []byte("<changelog ")))
	}
}

func BenchmarkAppend(b *testing.B) {
	names := make([]string, 60)
	indexes, modes := make([]uint32, 60), make([]uint16, 60)
	for i := range names {
		names[i], modes[i] = fmt.Sprintf("file-%d", i), 0o100644
	}
	e := entry(b, rpmtest.Simple("bench", "1", "1", "noarch", rpmtest.Texts(1117, names...), rpmtest.Texts(1118, "/usr/share/bench/"),
		rpmtest.Int32s(1116, indexes...), rpmtest.Int16s(1030, modes...)))
	var f rpmmd.Fragments
	b.ReportAllocs()
	for b.Loop() {
		f.Reset()
		if err := f.Append(e, 0); err != nil {
			b.Fatal(err)
		}
	}
}
