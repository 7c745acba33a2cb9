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
	paths := append(rpmtest.Varied(t), odd(t)...)
	dir, entries := repository(t, paths)
	rpmtest.Run(t, "createrepo_c", "--quiet", "--no-database", "--checksum", "sha256", dir)
	theirs := map[string]node{}
	for _, kind := range []string{"primary", "filelists", "other"} {
		theirs[kind] = data(t, dir, kind)
	}
	theirRepomd := repomd(t, dir)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, rpmmd.Dir)))

	for _, compression := range []rpmmd.Compression{rpmmd.Gzip, rpmmd.Zstd} {
		_, err := rpmmd.Write(t.Context(), dir, entries, rpmmd.Options{Compression: compression})
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
	return paths
}
