package write

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// header collects the entries of a header, in any order.
type header []entry

type entry struct {
	tag   rpm.Tag
	kind  uint32
	count int
	data  []byte
}

// Kinds of entries (rpm: rpmTagType).
const (
	kindInt16   = 3
	kindInt32   = 4
	kindString  = 6
	kindBinary  = 7
	kindStrings = 8
	kindI18N    = 9
)

// Tags that the reader has no use for (rpm: rpmtag.h).
const (
	tagSignatures       rpm.Tag = 62 // region of the signature header
	tagImmutable        rpm.Tag = 63 // region of the main header
	tagI18NTable        rpm.Tag = 100
	tagOS               rpm.Tag = 1021
	tagFileRDevs        rpm.Tag = 1033
	tagFileVerifyFlags  rpm.Tag = 1045
	tagRPMVersion       rpm.Tag = 1064
	tagBuildArchs       rpm.Tag = 1089
	tagCookie           rpm.Tag = 1094
	tagFileDevices      rpm.Tag = 1095
	tagFileINodes       rpm.Tag = 1096
	tagFileLangs        rpm.Tag = 1097
	tagPayloadFlags     rpm.Tag = 1126
	tagSourcePackageID  rpm.Tag = 1146
	tagEncoding         rpm.Tag = 5062
	tagPayloadDigestAlt rpm.Tag = 5097
)

const entrySize = 16

func (h *header) text(tag rpm.Tag, s string) {
	*h = append(*h, entry{tag, kindString, 1, append([]byte(s), 0)})
}

// optional is text unless there is none.
func (h *header) optional(tag rpm.Tag, s string) {
	if s != "" {
		h.text(tag, s)
	}
}

// translated is a text that could have translations, and has none.
func (h *header) translated(tag rpm.Tag, s string) {
	*h = append(*h, entry{tag, kindI18N, 1, append([]byte(s), 0)})
}

// texts, ints and shorts write nothing for empty lists: rpm refuses entries
// without elements.
func (h *header) texts(tag rpm.Tag, list ...string) {
	var data []byte
	for _, s := range list {
		data = append(append(data, s...), 0)
	}
	h.list(entry{tag, kindStrings, len(list), data})
}

func (h *header) ints(tag rpm.Tag, list ...uint32) {
	var data []byte
	for _, n := range list {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	h.list(entry{tag, kindInt32, len(list), data})
}

func (h *header) shorts(tag rpm.Tag, list ...uint16) {
	var data []byte
	for _, n := range list {
		data = binary.BigEndian.AppendUint16(data, n)
	}
	h.list(entry{tag, kindInt16, len(list), data})
}

func (h *header) binary(tag rpm.Tag, b []byte) {
	h.list(entry{tag, kindBinary, len(b), b})
}

func (h *header) list(e entry) {
	if e.count > 0 {
		*h = append(*h, e)
	}
}

// bytes is the header as it is in the file: in order of tags, wholly inside the
// region, whose entry comes first and whose trailer last, with the length of the
// index as a negative offset (rpm: headerExport).
func (h header) bytes(region rpm.Tag) []byte {
	sorted := slices.SortedStableFunc(slices.Values(h), func(a, b entry) int { return cmp.Compare(a.tag, b.tag) })
	index, data := make([]byte, 0, len(h)*entrySize), []byte(nil)
	for _, e := range sorted {
		for len(data)%align(e.kind) != 0 {
			data = append(data, 0)
		}
		index = appendInts(index, uint32(e.tag), e.kind, uint32(len(data)), uint32(e.count))
		data = append(data, e.data...)
	}
	count := uint32(len(h) + 1)
	out := append([]byte(nil), "\x8e\xad\xe8\x01\x00\x00\x00\x00"...)
	out = appendInts(out, count, uint32(len(data)+entrySize))
	out = appendInts(out, uint32(region), kindBinary, uint32(len(data)), entrySize)
	out = append(append(out, index...), data...)
	return appendInts(out, uint32(region), kindBinary, -count*entrySize, entrySize)
}

func align(kind uint32) int {
	switch kind {
	case kindInt16:
		return 2
	case kindInt32:
		return 4
	}
	return 1
}

func appendInts(to []byte, list ...uint32) []byte {
	for _, n := range list {
		to = binary.BigEndian.AppendUint32(to, n)
	}
	return to
}
