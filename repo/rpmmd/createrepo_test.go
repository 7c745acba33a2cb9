package rpmmd_test

import (
	"crypto/sha256"
	"encoding/hex"
	stdxml "encoding/xml"
	"errors"
	"fmt"
	"io"
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

// repository lays packages out in a folder and returns it with their entries.
func repository(t testing.TB, paths []string) (string, []rpmmd.Entry) {
	t.Helper()
	dir := t.TempDir()
	var entries []rpmmd.Entry
	for _, path := range paths {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		p, err := rpm.ReadFile(path)
		require.NoError(t, err)
		location := p.Arch + "/" + filepath.Base(path)
		file := filepath.Join(dir, location)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, b, 0o644))
		at := time.Unix(1700000000+int64(len(entries)), 0)
		require.NoError(t, os.Chtimes(file, at, at))
		sum := sha256.Sum256(b)
		entries = append(entries, rpmmd.Entry{Package: p, Location: location, SHA256: hex.EncodeToString(sum[:]), FileTime: at})
	}
	return dir, entries
}

// node is an XML element with its attributes in order of name.
type node struct {
	Name, Attrs, Text string
	Children          []node
}

func (n node) attr(name string) string {
	for a := range strings.FieldsSeq(n.Attrs) {
		if v, ok := strings.CutPrefix(a, name+"="); ok {
			return v
		}
	}
	return ""
}

func parse(t testing.TB, r io.Reader) node {
	t.Helper()
	d := stdxml.NewDecoder(r)
	stack := []node{{}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			require.Len(t, stack, 1)
			return stack[0].Children[0]
		}
		require.NoError(t, err)
		top := &stack[len(stack)-1]
		switch token := token.(type) {
		case stdxml.StartElement:
			n := node{Name: token.Name.Space + " " + token.Name.Local}
			var attrs []string
			for _, a := range token.Attr {
				attrs = append(attrs, a.Name.Space+a.Name.Local+"="+a.Value)
			}
			slices.Sort(attrs)
			n.Attrs = strings.Join(attrs, " ")
			stack = append(stack, n)
		case stdxml.CharData:
			top.Text += string(token)
		case stdxml.EndElement:
			n := *top
			if len(n.Children) > 0 {
				n.Text = ""
			}
			stack = stack[:len(stack)-1]
			stack[len(stack)-1].Children = append(stack[len(stack)-1].Children, n)
		}
	}
}

// data reads one data file of a repository, verified.
func data(t testing.TB, dir, kind string) node {
	t.Helper()
	md, err := rpmmd.ReadRepomd(dir)
	require.NoError(t, err)
	d, ok := md.Find(kind)
	require.True(t, ok, kind)
	r, err := rpmmd.OpenData(dir, d)
	require.NoError(t, err)
	defer r.Close()
	n := parse(t, r)
	_, err = io.Copy(io.Discard, r)
	require.NoError(t, err)
	return n
}

// TestAgainstCreaterepo compares our metadata with createrepo_c's element by
// element, for packages that hold nearly everything that packages can.
func TestAgainstCreaterepo(t *testing.T) {
	dir, entries := repository(t, slices.Concat(rpmtest.Varied(t), rpmtest.Wide(t), odd(t)))
	for _, test := range []struct {
		checksum string
		changes  int // as createrepo_c's option and as ours: all when negative
	}{{"sha256", 10}, {"sha512", 2}, {"sha1", 1}, {"sha384", -1}, {"sha224", 50}, {"sha", 3}} {
		t.Run(fmt.Sprint(test.checksum, test.changes), func(t *testing.T) {
			opt := rpmmd.Options{Checksum: test.checksum, Changes: test.changes}
			compare(t, dir, identify(t, dir, entries, test.checksum), opt,
				"--checksum", test.checksum, "--changelog-limit", fmt.Sprint(test.changes))
		})
	}
	compare(t, dir, entries, rpmmd.Options{}) // what both do when they are told nothing
	compare(t, dir, entries, rpmmd.Options{Compression: rpmmd.Zstd})
}

// TestForbiddenCharacters keeps a package with characters that XML cannot hold in
// its texts, without them. createrepo_c leaves the whole package out.
func TestForbiddenCharacters(t *testing.T) {
	c := rpmtest.Simple("forbidden", "1", "1", "noarch", rpmtest.Text(1004, "a\x01b\x1bc"), rpmtest.Int32s(1080, 5), rpmtest.Texts(1081, "\x02d"), rpmtest.Texts(1082, "e\x03"))
	dir, entries := repository(t, []string{c.Write(t, "forbidden.rpm")})
	rpmtest.Run(t, "createrepo_c", "--quiet", "--no-database", dir)
	require.Empty(t, data(t, dir, "primary").Children)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, rpmmd.Dir)))
	_, err := rpmmd.Write(t.Context(), dir, entries, rpmmd.Options{})
	require.NoError(t, err)
	require.Equal(t, "abc", textOf(data(t, dir, "primary"), "summary"))
	require.Equal(t, "e", textOf(data(t, dir, "other"), "changelog"))
}

// identify gives entries a digest of another kind.
func identify(t testing.TB, dir string, entries []rpmmd.Entry, kind string) []rpmmd.Entry {
	t.Helper()
	entries = slices.Clone(entries)
	for i := range entries {
		b, err := os.ReadFile(filepath.Join(dir, entries[i].Location))
		require.NoError(t, err)
		h, err := rpmmd.NewHash(kind)
		require.NoError(t, err)
		h.Write(b)
		entries[i].Checksum = rpmmd.Checksum{Type: kind, Value: hex.EncodeToString(h.Sum(nil))}
	}
	return entries
}

// compare lets createrepo_c with options, and us with ours, make metadata of the
// packages in a folder.
func compare(t testing.TB, dir string, entries []rpmmd.Entry, opt rpmmd.Options, options ...string) {
	t.Helper()
	said := rpmtest.Run(t, "createrepo_c", append(append([]string{"--quiet", "--no-database"}, options...), dir)...)
	require.NotContains(t, said, "error")
	theirs := map[string]node{}
	for _, kind := range []string{"primary", "filelists", "other"} {
		theirs[kind] = data(t, dir, kind)
	}
	theirRepomd := repomd(t, dir)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, rpmmd.Dir)))

	_, err := rpmmd.Write(t.Context(), dir, entries, opt)
	require.NoError(t, err)
	for kind, want := range theirs {
		got := data(t, dir, kind)
		require.Equal(t, want.Name, got.Name)
		require.Equal(t, want.Attrs, got.Attrs)
		require.Len(t, got.Children, len(entries))
		require.Len(t, want.Children, len(entries))
		wanted := map[string]node{}
		for _, n := range want.Children {
			wanted[id(n)] = n
		}
		for _, n := range got.Children {
			require.Equal(t, wanted[id(n)], n, kind)
		}
	}
	require.Equal(t, shape(theirRepomd), shape(repomd(t, dir)))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, rpmmd.Dir)))
}

func repomd(t testing.TB, dir string) node {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, rpmmd.RepomdFile))
	require.NoError(t, err)
	defer f.Close()
	return parse(t, f)
}

// shape is a document's elements and kinds without what differs by compressor.
func shape(n node) string {
	var children []string
	for _, c := range n.Children {
		children = append(children, shape(c))
	}
	return n.Name + "[" + n.attr("type") + "](" + strings.Join(children, " ") + ")"
}

// id is a package's identity in any of the files.
func id(n node) string {
	if v := n.attr("pkgid"); v != "" {
		return v
	}
	for _, c := range n.Children {
		if strings.HasSuffix(c.Name, " checksum") {
			return c.Text
		}
	}
	return ""
}

// odd are packages that rpmbuild would not write but rpm reads.
func odd(t testing.TB) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, entries := range [][]rpmtest.Entry{
		{ // nothing but what must be there, an optional requirement, senses without meaning, empty names
			rpmtest.Texts(1049, "optional", "strange", "libc.so.6", "libc.so.6(GLIBC_2.2)", "", "same", "same", "same"),
			rpmtest.Int32s(1048, 1<<19|8, 6, 0, 0, 0, 8, 8|1<<9, 8),
			rpmtest.Texts(1050, "1-1", "2", "", "", "", "1", "1", "1"),
			rpmtest.Texts(5046, "recommended"), rpmtest.Int32s(5048, 12), rpmtest.Texts(5047, "0:1-"),
		},
		{ // text
			rpmtest.Text(1004, "tab\tcarriage\rreturn \"quotes\" 'apos' <&> ]]>"), rpmtest.Text(1005, "\nlines\n\n"),
			rpmtest.Int32s(1080, 100, 100, 100, 99, 99), rpmtest.Texts(1081, "a  ", " ", "b", "c <c@example.org> - 1 ", "d"),
			rpmtest.Texts(1082, "- one", "- two\n- more", "\r\n\t", "- <&>", "é"),
		},
		{ // requirements that come twice, before and after scripts, and that the package itself has
			rpmtest.Texts(1049, "a", "a", "a", "b", "b", "odd-2", "odd-2", "/etc/own", "/etc/own", "/opt/own", "/etc/other", "rpmlib(X)", "c", "c", "d", "config(x)"),
			rpmtest.Int32s(1048, 1<<9|8, 8, 1<<10|8, 1<<6, 0, 8, 12, 0, 1<<10, 0, 0, 1<<24|8, 1<<5|8, 1<<7|8, 1<<28|1<<8, 1<<28|8),
			rpmtest.Texts(1050, "1-1", "1-1", "1-1", "", "", "1-1", "0:1-1", "", "", "", "", "1", "1", "1", "", "1"),
			rpmtest.Texts(1117, "own", "own"), rpmtest.Texts(1118, "/etc/", "/opt/"), rpmtest.Int32s(1116, 0, 1),
			rpmtest.Int16s(1030, 0o100644, 0o100644), rpmtest.Int32s(1037, 0, 0), rpmtest.Texts(1035, "", ""),
		},
		{ // names that are neither ASCII nor UTF-8
			rpmtest.Texts(1047, "odd-3", "caf\xe9", "küche"), rpmtest.Int32s(1112, 8, 8, 0), rpmtest.Texts(1113, "1-1", "1\xe4", ""),
			rpmtest.Texts(1117, "\xe9", "ü"), rpmtest.Texts(1118, "/etc/\xff/", "/usr/ß/bin/"), rpmtest.Int32s(1116, 0, 1),
			rpmtest.Int16s(1030, 0o100644, 0o40755), rpmtest.Int32s(1037, 0, 1<<6), rpmtest.Texts(1035, "", ""),
			rpmtest.Text(1004, "\xc3\x28 \xed\xa0\x80 \xf4\x90\x80\x80"), rpmtest.Text(1014, "caf\xe9"), rpmtest.Text(1015, "\x80\xa0"),
		},
		{ // control characters that XML can hold
			rpmtest.Text(1004, "\x7f\t\u0085\u2028\ufeff"), rpmtest.Text(1005, "\r\n\x7f\r"), rpmtest.Text(1014, "\u009f"),
			rpmtest.Int32s(1080, 1<<31), rpmtest.Texts(1081, "\u0085\t \x7f"), rpmtest.Texts(1082, "\u2029\v"[:3]),
		},
		{ // sizes that need 64 bits, an epoch
			rpmtest.Int64s(5009, 5<<32), rpmtest.Int32s(1003, 4000000000),
		},
		{ // paths
			rpmtest.Texts(1117, "bin", "x", "sendmail", "sendmail", "y\nz"),
			rpmtest.Texts(1118, "/opt/", "/opt/sbin/", "/usr/lib/", "/usr/lib/sendmail/", "/etc/"),
			rpmtest.Int32s(1116, 0, 1, 2, 3, 4), rpmtest.Int16s(1030, 0o40755, 0o100644, 0o120777, 0o100644, 0o10644),
			rpmtest.Int32s(1037, 64, 64, 0, 0, 0),
		},
	} {
		name := fmt.Sprintf("odd-%d", i)
		c := rpmtest.Simple(name, "1", "1", "noarch", entries...)
		path := filepath.Join(dir, name+"-1-1.noarch.rpm")
		require.NoError(t, os.WriteFile(path, c.Bytes(), 0o644))
		paths = append(paths, path)
	}
	three := rpmtest.Simple("odd-three", "1", "1", "i386",
		rpmtest.Texts(1027, "/usr/bin/three", "/etc/three.d", "/three"), rpmtest.Int16s(1030, 0o100755, 0o40755, 0o100644),
		rpmtest.Int32s(1028, 1, 4096, 2), rpmtest.Int32s(1037, 0, 0, 1<<6), rpmtest.Int32s(1034, 1, 1, 1), rpmtest.Texts(1035, "", "", ""),
		rpmtest.Texts(1036, "", "", ""), rpmtest.Texts(1039, "root", "root", "root"), rpmtest.Texts(1040, "root", "root", "root"),
		rpmtest.Int32s(1046, 77), rpmtest.Texts(1049, "/usr/bin/three", "libc.so.5"), rpmtest.Int32s(1048, 0, 0), rpmtest.Texts(1050, "", ""))
	three.Format = 3
	three = three.With(rpmtest.Texts(1047, "three"), rpmtest.Int32s(1112, 0), rpmtest.Texts(1113, "")) // not itself: rpm 4 would list that twice
	for name, c := range map[string]rpmtest.Craft{
		"odd-three": three, "odd-three-bare": three.With(rpmtest.Text(1000, "odd-three-bare")).Without(1047, 1112, 1113),
		// createrepo_c does not know where format 6 has the payload's size.
		"odd-six": rpmtest.Format6(t, "odd-six", "/etc/six", "six", rpmtest.Int64s(5113, 0)),
	} {
		path := filepath.Join(dir, name+".rpm")
		require.NoError(t, os.WriteFile(path, c.Bytes(), 0o644))
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}
