package compare

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzContents compares two files of all kinds that are looked into.
func FuzzContents(f *testing.F) {
	elf := make([]byte, 128)
	copy(elf, "\x7fELF\x02\x01")
	binary.LittleEndian.PutUint64(elf[0x28:], 64)
	binary.LittleEndian.PutUint16(elf[0x3a:], 64)
	binary.LittleEndian.PutUint16(elf[0x3c:], 1)
	f.Add(elf, append(bytes.Clone(elf), 1))
	f.Add([]byte("a\nb\nc\n"), []byte("a\nc\nd\n"))
	f.Add([]byte("a\nb"), []byte("a\nb\n"))
	member := fmt.Sprintf("!<arch>\n%-16s%-12d%-6d%-6d%-8o%-10d`\n", "a/", 0, 0, 0, 0o644, 4)
	f.Add([]byte(member+"abcd"), []byte(member+"abcx"))
	f.Add([]byte("\x00binary"), []byte("\x00other"))
	f.Fuzz(func(t *testing.T, x, y []byte) {
		of := func(b []byte) content { return content{io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))} }
		found, err := contents(of(x), of(y), 0)
		require.NoError(t, err)
		require.Equal(t, bytes.Equal(x, y), len(found) == 0)
		for _, d := range found {
			require.Less(t, len(d.String()), 50000)
		}
	})
}

// FuzzArchive reads archives of whoever made them.
func FuzzArchive(f *testing.F) {
	entry := func(name, content string) string {
		head := fmt.Sprintf("070701%048x%08x%032x%08x%08x%s", 0, len(content), 0, len(name)+1, 0, name)
		return pad(head+"\x00") + pad(content)
	}
	f.Add([]byte(entry("./opt/one", "abcd") + entry("a.spec", "x") + entry(trailer, "")))
	f.Add([]byte("07070X00000000\x00\x00abcd" + entry(trailer, "")))
	f.Add([]byte(entry("./opt/one", "abcd")[:50]))
	f.Fuzz(func(t *testing.T, archive []byte) {
		u := unpacker{
			dir: t.TempDir(), wanted: map[string]bool{"/opt/one": true},
			listed: map[string]uint64{"/opt/one": 4, "a.spec": 1 << 20}, order: []string{"/opt/one", "a.spec"},
		}
		if err := u.archive(bytes.NewReader(archive)); err == nil {
			require.LessOrEqual(t, len(u.members), len(u.order))
		}
		require.LessOrEqual(t, u.onDisk, uint64(maxPath))
	})
}

func pad(s string) string { return s + string(make([]byte, -len(s)&3)) }
