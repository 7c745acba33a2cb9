package compare_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/compare"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// entry is one member of a cpio archive of the format newc.
func entry(name, content string) string {
	pad := func(s string) string { return s + strings.Repeat("\x00", -len(s)&3) }
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	return pad(head+name+"\x00") + pad(content)
}

func zip(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(s))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// oneFile is a package with one file and a payload of whatever kind.
func oneFile(payload []byte, more ...rpmtest.Entry) []byte {
	c := rpmtest.Simple("a", "1", "1", "noarch",
		rpmtest.Texts(1117, "one"), rpmtest.Texts(1118, "/opt/"), rpmtest.Int32s(1116, 0), rpmtest.Int32s(1028, 4),
		rpmtest.Int16s(1030, 0o100644), rpmtest.Texts(1035, strings.Repeat("0", 64)), rpmtest.Texts(1036, ""))
	c.Payload = payload
	return c.With(more...).Bytes()
}

func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, b, 0o644))
	return path
}

// TestContentThatTheHeaderHides gives packages whose lists of files are equal.
func TestContentThatTheHeaderHides(t *testing.T) {
	end := entry("TRAILER!!!", "")
	a := write(t, "a.rpm", oneFile(zip(t, entry("./opt/one", "abcd")+end)))
	b := write(t, "b.rpm", oneFile(zip(t, entry("./opt/one", "abcx")+end)))
	r, err := compare.Files(t.Context(), a, b, t.TempDir())
	require.NoError(t, err)
	require.Len(t, r.Differences, 1)
	require.Equal(t, "/opt/one", r.Differences[0].File)
	require.Contains(t, r.Differences[0].Part, "content")

	// Another mode does not hide it.
	b = write(t, "b.rpm", oneFile(zip(t, entry("./opt/one", "abcx")+end), rpmtest.Int16s(1030, 0o100755)))
	r, err = compare.Files(t.Context(), a, b, t.TempDir())
	require.NoError(t, err)
	require.Len(t, r.Differences, 2)
	require.Equal(t, "mode", r.Differences[0].Part)
	require.Contains(t, r.Differences[1].Part, "content")
}

func TestPayloadsThatDoNotHoldTogether(t *testing.T) {
	good := write(t, "a.rpm", oneFile(zip(t, entry("./opt/one", "abcd")+entry("TRAILER!!!", ""))))
	dictionary := []byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x28\x00\x00\x00\x00\x00\x00\x00")
	for name, tc := range map[string]struct {
		payload []byte
		more    []rpmtest.Entry
		want    string
	}{
		"no archive":        {zip(t, "something else that is long enough"), nil, "an entry of an unknown kind"},
		"not compressed":    {[]byte("plain"), nil, "unpacking a-1-1.noarch.rpm"},
		"no end":            {zip(t, entry("./opt/one", "abcd")), nil, "ends early"},
		"another file":      {zip(t, entry("../../etc/passwd", "abcd")), nil, "which its header does not list"},
		"twice":             {zip(t, entry("./opt/one", "abcd")+entry("./opt/one", "abcd")), nil, "twice"},
		"more than told":    {zip(t, entry("./opt/one", strings.Repeat("x", 5000))), nil, "its header 4"},
		"a number":          {zip(t, "070701"+strings.Repeat("zz", 52)), nil, "is no number"},
		"a huge name":       {zip(t, "070701"+strings.Repeat("f", 104)), nil, "a name of"},
		"a huge dictionary": {dictionary, []rpmtest.Entry{rpmtest.Text(1125, "xz")}, "dictionary is larger than 256 MiB"},
		"unknown":           {[]byte("x"), []rpmtest.Entry{rpmtest.Text(1125, "arj")}, `compressed by "arj"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := compare.Files(t.Context(), good, write(t, "b.rpm", oneFile(tc.payload, tc.more...)), t.TempDir())
			require.ErrorContains(t, err, tc.want)
		})
	}
}
