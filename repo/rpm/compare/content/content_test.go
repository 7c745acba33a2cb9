package content

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
		of := func(b []byte) piece { return piece{io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))} }
		found, err := contents(of(x), of(y), 0)
		require.NoError(t, err)
		require.Equal(t, bytes.Equal(x, y), len(found) == 0)
		for _, d := range found {
			require.Less(t, len(d.Part)+len(d.A)+len(d.B)+len(d.Diff), 50000)
		}
	})
}
