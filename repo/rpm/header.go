package rpm

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unsafe"
)

// Header is one verified header: every entry lies inside it, no two overlap,
// and no tag comes twice. Its accessors return nothing, rather than fail, for a
// tag that is absent or of another kind.
type Header struct {
	blob  string // as in the file: intro, index, data
	data  int    // where in blob the data begins
	index []entry

	immutable bool // a region covers it; format 3 has none

	memory []entry // that index lies in
}

type entry struct {
	tag    Tag
	kind   kind
	offset uint32 // into the data
	count  uint32
}

// The limits are rpm's own (rpm: header.c), so that what rpm would read is
// read and what it would refuse is refused.
const (
	introSize  = 16 // magic, reserved, number of entries, bytes of data
	entrySize  = 16
	maxEntries = 0xffff
	maxData    = 0x0fffffff
	maxArray   = 0x000fffff // elements of anything but binary

	maxSignatureEntries = 32
	maxSignatureData    = 64 << 20
)

const headerMagic = "\x8e\xad\xe8\x01\x00\x00\x00\x00"

// headerLength reads a header's intro and returns the length of the whole
// header in bytes, within the limits that the region (signatures or
// immutable) sets.
func headerLength(intro []byte, region Tag) (int64, error) {
	if string(intro[:8]) != headerMagic {
		return 0, fmt.Errorf("no header magic: % x", intro[:8])
	}
	entries, data := binary.BigEndian.Uint32(intro[8:]), binary.BigEndian.Uint32(intro[12:])
	limitEntries, limitData := uint32(maxEntries), uint32(maxData)
	if region == tagHeaderSignatures {
		limitEntries, limitData = maxSignatureEntries, maxSignatureData
	}
	if entries == 0 || entries > limitEntries {
		return 0, fmt.Errorf("%d entries, allowed are 1 to %d", entries, limitEntries)
	}
	if data > limitData {
		return 0, fmt.Errorf("%d bytes of data, allowed are %d", data, limitData)
	}
	return introSize + int64(entries)*entrySize + int64(data), nil
}

// parse verifies a whole header, which takes the place of what h was. blob is as
// long as headerLength said.
func (h *Header) parse(blob string, region Tag) error {
	count := int(be32(blob[8:]))
	raw := slices.Grow(h.memory[:0], count)[:count]
	*h = Header{blob: blob, data: introSize + count*entrySize, memory: raw}
	for i := range raw {
		e := blob[introSize+i*entrySize:]
		raw[i] = entry{tag: Tag(be32(e)), kind: kind(be32(e[4:])), offset: be32(e[8:]), count: be32(e[12:])}
	}
	body := raw
	var trailer, trailerEnd uint64 // nothing may overlap the region's trailer
	if first := raw[0]; first.tag == region {
		if err := h.checkRegion(first, count, region); err != nil {
			return err
		}
		body, h.immutable = raw[1:], true
		trailer, trailerEnd = uint64(first.offset), uint64(first.offset)+entrySize
	}
	// Entries lie in the order of the index and never overlap (rpm:
	// hdrblobVerifyInfo), which also keeps this loop linear in the file's size.
	var end uint64
	for _, e := range body {
		if uint64(e.offset) < end {
			return fmt.Errorf("tag %d overlaps the one before it", e.tag)
		}
		length, err := h.check(e)
		if err != nil {
			return fmt.Errorf("tag %d: %w", e.tag, err)
		}
		if region == tagHeaderImmutable {
			if want := knownKind(e.tag); want != kindNull && want != e.kind && (!want.isString() || !e.kind.isString()) {
				return fmt.Errorf("tag %d has kind %d, expected %d", e.tag, e.kind, want)
			}
		}
		end = uint64(e.offset) + length
		if uint64(e.offset) < trailerEnd && end > trailer {
			return fmt.Errorf("tag %d overlaps the region's trailer", e.tag)
		}
	}
	if !slices.IsSortedFunc(body, byTag) { // as rpm's own are
		slices.SortFunc(body, byTag)
	}
	for i := 1; i < len(body); i++ {
		if body[i].tag == body[i-1].tag {
			return fmt.Errorf("tag %d comes twice", body[i].tag)
		}
	}
	h.index = body
	return nil
}

func byTag(a, b entry) int { return cmp.Compare(a.tag, b.tag) }

// checkRegion verifies the region's trailer (rpm: hdrblobVerifyRegion). A
// package's main header is immutable as a whole; signature headers of old
// tools may have entries after their region.
func (h *Header) checkRegion(first entry, count int, region Tag) error {
	data := h.blob[h.data:]
	if first.kind != kindBinary || first.count != entrySize || uint64(first.offset)+entrySize > uint64(len(data)) {
		return fmt.Errorf("region tag %d is malformed", region)
	}
	t := data[first.offset:]
	tag, covered := Tag(be32(t)), -int64(int32(be32(t[8:])))
	if region == tagHeaderSignatures && tag == tagHeaderImage { // written by some old tools
		tag = region
	}
	if tag != region || kind(be32(t[4:])) != kindBinary || be32(t[12:]) != entrySize ||
		covered <= 0 || covered%entrySize != 0 || covered/entrySize > int64(count) {
		return fmt.Errorf("trailer of region %d is malformed", region)
	}
	if region == tagHeaderImmutable && (covered/entrySize != int64(count) || uint64(first.offset)+entrySize != uint64(len(data))) {
		return errors.New("the immutable region does not cover the whole header")
	}
	return nil
}

// check returns the length of an entry's data in bytes.
func (h *Header) check(e entry) (uint64, error) {
	limit := uint64(len(h.blob) - h.data)
	switch {
	case e.tag < tagFirst:
		return 0, errors.New("not a valid tag here")
	case e.kind < kindChar || e.kind > kindI18N:
		return 0, fmt.Errorf("unknown kind %d", e.kind)
	case e.count == 0 || uint64(e.count) > limit:
		return 0, fmt.Errorf("%d elements", e.count)
	case e.kind != kindBinary && e.count > maxArray:
		return 0, fmt.Errorf("%d elements, allowed are %d", e.count, maxArray)
	case e.kind == kindString && e.count != 1:
		return 0, fmt.Errorf("%d strings where there can be one", e.count)
	case e.offset%e.kind.align() != 0:
		return 0, fmt.Errorf("offset %d is not aligned", e.offset)
	case uint64(e.offset) >= limit:
		return 0, fmt.Errorf("offset %d lies outside of the header", e.offset)
	}
	data := h.from(e)
	if e.kind.isString() {
		length := 0
		for range e.count {
			if length < len(data) && data[length] == 0 { // links and languages of most files
				length++
				continue
			}
			nul := strings.IndexByte(data[length:], 0)
			if nul < 0 {
				return 0, errors.New("a string does not end")
			}
			length += nul + 1
		}
		return uint64(length), nil
	}
	length := uint64(e.kind.width()) * uint64(e.count)
	if length > uint64(len(data)) {
		return 0, errors.New("data ends outside of the header")
	}
	return length, nil
}

func (h *Header) find(tag Tag) (entry, bool) {
	low, high := 0, len(h.index)
	for low < high { // written out: it is called a hundred times for each package
		if middle := (low + high) / 2; h.index[middle].tag < tag {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == len(h.index) || h.index[low].tag != tag {
		return entry{}, false
	}
	return h.index[low], true
}

// from is the data from an entry's beginning to the header's end.
func (h *Header) from(e entry) string { return h.blob[h.data+int(e.offset):] }

// Has says whether the header has the tag, of whatever kind.
func (h *Header) Has(tag Tag) bool {
	_, ok := h.find(tag)
	return ok
}

// Count is the number of the tag's elements, 0 when it is absent.
func (h *Header) Count(tag Tag) int {
	e, _ := h.find(tag)
	return int(e.count)
}

// Text is the tag's string; of an array the first, of a translated string the
// untranslated one.
func (h *Header) Text(tag Tag) string {
	c := h.cursor(tag)
	s, _ := c.next()
	return s
}

// Strings iterates over a string, a string array or translations.
func (h *Header) Strings(tag Tag) iter.Seq[string] {
	return func(yield func(string) bool) {
		for c := h.cursor(tag); ; {
			s, ok := c.next()
			if !ok || !yield(s) {
				return
			}
		}
	}
}

// Ints is the tag's integers of whatever width.
func (h *Header) Ints(tag Tag) Ints {
	e, ok := h.find(tag)
	if !ok || e.kind.isString() || e.kind == kindBinary {
		return Ints{}
	}
	width := e.kind.width()
	return Ints{data: h.from(e)[:width*int(e.count)], width: width}
}

// Binary is a copy of the tag's bytes, nil when it is not binary.
func (h *Header) Binary(tag Tag) []byte {
	e, ok := h.find(tag)
	if !ok || e.kind != kindBinary {
		return nil
	}
	return []byte(h.from(e)[:e.count])
}

// WriteTo writes the header's bytes as they are in the file and as signatures
// cover them.
func (h *Header) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(h.bytes())
	return int64(n), err
}

// bytes are the header's, to be read only. A copy for each digest of each package
// would be half of what reading a repository allocates.
func (h *Header) bytes() []byte { return unsafe.Slice(unsafe.StringData(h.blob), len(h.blob)) }

// Ints is a list of big-endian integers where they lie in a header.
type Ints struct {
	data  string
	width int
}

// Len is the number of integers.
func (n Ints) Len() int {
	if n.width == 0 {
		return 0
	}
	return len(n.data) / n.width
}

// At is the integer at i, 0 when there is none.
func (n Ints) At(i int) uint64 {
	if i < 0 || i >= n.Len() {
		return 0
	}
	d := n.data[i*n.width:]
	switch n.width {
	case 1:
		return uint64(d[0])
	case 2:
		return uint64(d[0])<<8 | uint64(d[1])
	case 4:
		return uint64(be32(d))
	default:
		return uint64(be32(d))<<32 | uint64(be32(d[4:]))
	}
}

// cursor walks along strings that parse has found to end.
type cursor struct {
	data string
	left uint32
}

func (h *Header) cursor(tag Tag) cursor {
	e, ok := h.find(tag)
	if !ok || !e.kind.isString() {
		return cursor{}
	}
	return cursor{data: h.from(e), left: e.count}
}

func (c *cursor) next() (string, bool) {
	if c.left == 0 {
		return "", false
	}
	end := strings.IndexByte(c.data, 0)
	if end < 0 {
		return "", false
	}
	s := c.data[:end]
	c.data = c.data[end+1:]
	c.left--
	return s, true
}

func be32(s string) uint32 {
	return uint32(s[0])<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3])
}
