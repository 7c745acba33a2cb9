package rpm

import (
	"encoding/hex"
	"iter"
	"strconv"
)

// Tags iterates over the header's tags in the order of their numbers.
func (h *Header) Tags() iter.Seq[Tag] {
	return func(yield func(Tag) bool) {
		for _, e := range h.index {
			if !yield(e.tag) {
				return
			}
		}
	}
}

// SameEntry says whether a tag is in both headers, or in neither, with the same
// kind and the same bytes.
func (h *Header) SameEntry(other *Header, tag Tag) bool {
	a, inA := h.find(tag)
	b, inB := other.find(tag)
	if !inA || !inB {
		return inA == inB
	}
	return a.kind == b.kind && a.count == b.count && h.bytesOf(a) == other.bytesOf(b)
}

// Values iterates over a tag's elements as texts, of whatever kind they are:
// numbers in decimal, binary as one hexadecimal number.
func (h *Header) Values(tag Tag) iter.Seq[string] {
	e, ok := h.find(tag)
	switch {
	case !ok:
		return func(func(string) bool) {}
	case e.kind.isString():
		return h.Strings(tag)
	case e.kind == kindBinary:
		return func(yield func(string) bool) { yield(hex.EncodeToString(h.Binary(tag))) }
	}
	return func(yield func(string) bool) {
		for n, i := h.Ints(tag), 0; i < n.Len(); i++ {
			if !yield(strconv.FormatUint(n.At(i), 10)) {
				return
			}
		}
	}
}
