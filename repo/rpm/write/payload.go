package write

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// gzip is what every rpm reads without asking for a feature. The library is
// pinned by go.sum and writes neither time nor name, so that its output is the
// same everywhere; that of compress/gzip may change with the Go release. Without
// state it needs no megabyte of tables for each package, which takes longer to
// clear than all the rest, and compresses as level 1 does: so says the package.
const (
	compression  = gzip.StatelessCompression
	payloadFlags = "1"
)

// payload is an archive of files, plain and compressed.
type payload struct {
	plain      []byte
	compressed []byte
}

// newPayload archives files that are sorted as they are in the header.
func newPayload(files []File) (payload, error) {
	var p payload
	for i, f := range files {
		if f.Flags&rpm.FileGhost != 0 {
			continue
		}
		name := f.Path
		if name[0] == '/' {
			name = "." + name // rpmlib(PayloadFilesHavePrefix)
		}
		p.plain = appendMember(p.plain, member{
			inode: uint32(i + 1), mode: uint32(f.Mode), links: 1, mtime: uint32(f.ModTime.Unix()), name: name, content: f.content(),
		})
	}
	p.plain = appendMember(p.plain, member{links: 1, name: "TRAILER!!!"})

	var compressed bytes.Buffer
	z, err := gzip.NewWriterLevel(&compressed, compression)
	if err != nil {
		return p, err
	}
	if _, err := z.Write(p.plain); err != nil {
		return p, err
	}
	if err := z.Close(); err != nil {
		return p, err
	}
	p.compressed = compressed.Bytes()
	return p, nil
}

// member is a file of a cpio archive of the format newc.
type member struct {
	inode, mode, links, mtime uint32
	name                      string
	content                   []byte
}

func appendMember(to []byte, m member) []byte {
	b := bytes.NewBuffer(to)
	_, _ = io.WriteString(b, "070701") // a buffer never fails
	for _, n := range []uint32{
		m.inode, m.mode, 0, 0, m.links, m.mtime, uint32(len(m.content)),
		0, 0, 0, 0, uint32(len(m.name) + 1), 0,
	} {
		fmt.Fprintf(b, "%08x", n)
	}
	b.WriteString(m.name)
	b.WriteByte(0)
	pad(b)
	b.Write(m.content)
	pad(b)
	return b.Bytes()
}

func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
