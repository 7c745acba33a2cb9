package content

import (
	"errors"
	"io"
)

const (
	maxHead = 32 << 20
	maxTail = 8 << 20
)

// errGap says that a part of a large file was not kept.
var errGap = errors.New("it lies in the middle of a large file, which is not kept")

// window keeps the first and the last bytes of a file that is written to it. ELF
// files have their headers in the beginning, or in the end when a tool changed them.
type window struct {
	size    int64
	head    []byte
	tail    []byte // a ring
	written int64
}

// reset begins a file of size bytes.
func (w *window) reset(size int64) {
	if want := int(min(size, maxHead)); cap(w.head) < want {
		w.head = make([]byte, 0, want)
	}
	*w = window{size: size, head: w.head[:0]}
}

// Write never fails.
func (w *window) Write(b []byte) (int, error) {
	n := len(b)
	if room := maxHead - len(w.head); room > 0 {
		take := min(room, len(b))
		w.head = append(w.head, b[:take]...)
		w.written += int64(take)
		b = b[take:]
	}
	if len(b) > 0 && w.tail == nil {
		w.tail = make([]byte, min(maxTail, max(0, w.size-maxHead)))
	}
	for len(b) > 0 && len(w.tail) > 0 {
		at := int((w.written - int64(len(w.head))) % int64(len(w.tail)))
		copied := copy(w.tail[at:], b)
		w.written += int64(copied)
		b = b[copied:]
	}
	return n, nil
}

// ReadAt implements io.ReaderAt for what was kept.
func (w *window) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off >= w.written {
		return 0, io.EOF
	}
	n := 0
	for ; n < len(b) && off < w.written; n++ {
		switch {
		case off < int64(len(w.head)):
			copied := copy(b[n:], w.head[off:])
			n, off = n+copied-1, off+int64(copied)
			continue
		case w.written-off > int64(len(w.tail)):
			return n, errGap
		}
		b[n] = w.tail[(off-int64(len(w.head)))%int64(len(w.tail))]
		off++
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
