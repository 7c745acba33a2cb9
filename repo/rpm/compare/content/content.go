package content

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/ohpc-build/ohpc-build/repo/rpm/compare/text"
)

// Difference is one place in which two files differ.
type Difference struct {
	Part string // of the file
	A, B string // what is there, shortened
	Diff string // of texts: their lines
}

// piece is the bytes of a file, or of a part of one.
type piece struct {
	*io.SectionReader
}

// Files says in what the files at two paths differ, and nothing when they do not.
func Files(a, b string) ([]Difference, error) {
	f, x, err := open(a)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	g, y, err := open(b)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	return contents(x, y, 0)
}

func open(path string) (*os.File, piece, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, piece{}, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, piece{}, err
	}
	return f, piece{io.NewSectionReader(f, 0, fi.Size())}, nil
}

// part is n bytes at off, as far as they exist.
func (c piece) part(off, n int64) piece {
	off = min(max(off, 0), c.Size())
	return piece{io.NewSectionReader(c, off, min(max(n, 0), c.Size()-off))}
}

// head is the first n bytes, as far as they exist.
func (c piece) head(n int64) ([]byte, error) {
	b := make([]byte, min(max(n, 0), c.Size()))
	if _, err := c.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

const (
	maxText   = 1 << 20
	maxNested = 2 // archives in archives
)

// contents says in what two files differ, by what they are.
func contents(a, b piece, depth int) ([]Difference, error) {
	x, err := a.head(16)
	if err != nil {
		return nil, err
	}
	y, err := b.head(16)
	if err != nil {
		return nil, err
	}
	is := func(magic string) bool {
		return bytes.HasPrefix(x, []byte(magic)) && bytes.HasPrefix(y, []byte(magic))
	}
	var found []Difference
	switch {
	case is("\x7fELF"):
		found, err = elfFiles(a, b)
	case is(arMagic) && depth < maxNested:
		found, err = archives(a, b, depth)
	case a.Size() <= maxText && b.Size() <= maxText:
		found, err = texts(a, b)
	}
	if err != nil || len(found) > 0 {
		return found, err
	}
	return raw(a, b, "")
}

// texts compares files that are text, and says nothing of others.
func texts(a, b piece) ([]Difference, error) {
	x, err := a.head(maxText)
	if err != nil {
		return nil, err
	}
	y, err := b.head(maxText)
	if err != nil {
		return nil, err
	}
	if !isText(x) || !isText(y) {
		return nil, nil
	}
	if diff := text.Unified(string(x), string(y)); diff != "" {
		return []Difference{{Part: "lines", Diff: diff}}, nil
	}
	return nil, nil
}

func isText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }

// raw tells the first place in which two files differ.
func raw(a, b piece, part string) ([]Difference, error) {
	off, err := firstByte(a, b)
	if err != nil || off < 0 {
		return nil, err
	}
	where := fmt.Sprintf("at byte %#x", off)
	if part != "" {
		where = part + ", " + where
	}
	if a.Size() != b.Size() {
		where += fmt.Sprintf(" (of %d and %d)", a.Size(), b.Size())
	}
	x, err := around(a, off)
	if err != nil {
		return nil, err
	}
	y, err := around(b, off)
	if err != nil {
		return nil, err
	}
	if s, t := x.text(), y.text(); s != "" && t != "" && s != t {
		return []Difference{{Part: where, A: text.Printable(s), B: text.Printable(t)}}, nil
	}
	return []Difference{{Part: where, A: x.hex(), B: y.hex()}}, nil
}

// firstByte is where two files begin to differ, or -1.
func firstByte(a, b piece) (int64, error) {
	const block = 64 << 10
	x, y := make([]byte, block), make([]byte, block)
	for off := int64(0); ; off += block {
		n, err := a.ReadAt(x, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		m, err := b.ReadAt(y, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i := range min(n, m) {
			if x[i] != y[i] {
				return off + int64(i), nil
			}
		}
		switch {
		case n != m:
			return off + int64(min(n, m)), nil
		case n < block:
			return -1, nil
		}
	}
}

// window is some bytes before and after a place.
type window struct {
	bytes []byte
	at    int
}

func around(c piece, off int64) (window, error) {
	const before, after = 48, 48
	start := max(off-before, 0)
	b, err := c.part(start, off-start+after).head(before + after)
	return window{b, min(int(off-start), len(b))}, err
}

// text is the printable text that the place is in, "" when it is in none.
func (w window) text() string {
	shown := func(c byte) bool { return c >= ' ' && c < 0x7f || c == '\t' }
	start, end := w.at, w.at
	for start > 0 && shown(w.bytes[start-1]) {
		start--
	}
	for end < len(w.bytes) && shown(w.bytes[end]) {
		end++
	}
	if end-start < 4 {
		return ""
	}
	return strings.TrimSpace(string(w.bytes[start:end]))
}

func (w window) hex() string {
	b := w.bytes[w.at:min(w.at+16, len(w.bytes))]
	if len(b) == 0 {
		return "(ends)"
	}
	return hex.EncodeToString(b)
}
