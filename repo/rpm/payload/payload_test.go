package payload

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzArchive reads archives of whoever made them.
func FuzzArchive(f *testing.F) {
	entry := func(name, content string) string {
		head := fmt.Sprintf("070701%048x%08x%032x%08x%08x%s", 0, len(content), 0, len(name)+1, 0, name)
		return pad(head+"\x00") + pad(content)
	}
	f.Add([]byte(entry("./opt/one", "abcd") + entry("a.spec", "x") + entry(trailer, "")))
	f.Add([]byte("07070X00000000\x00\x00abcd" + entry(trailer, "")))
	f.Add([]byte(entry("./opt/one", "abcd")[:50]))
	f.Fuzz(func(t *testing.T, data []byte) {
		a := archive{listed: map[string]uint64{"/opt/one": 4, "a.spec": 1 << 20}, order: []string{"/opt/one", "a.spec"}}
		members, read := 0, int64(0)
		_ = a.walk(bytes.NewReader(data), func(_ Member, r io.Reader) error {
			members++
			n, err := io.Copy(io.Discard, r)
			read += n
			return err
		})
		require.LessOrEqual(t, members, len(a.order))
		require.LessOrEqual(t, read, int64(len(data)))
	})
}

func pad(s string) string { return s + string(make([]byte, -len(s)&3)) }
