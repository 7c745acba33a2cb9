package rpmtest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Entry is one entry of a crafted header: whatever is in it is written.
type Entry struct {
	Tag, Kind, Count uint32
	Data             []byte
}

// Text is a string entry.
func Text(tag uint32, s string) Entry { return Entry{tag, 6, 1, []byte(s + "\x00")} }

// Texts is an entry that holds an array of strings.
func Texts(tag uint32, ss ...string) Entry {
	var data []byte
	for _, s := range ss {
		data = append(append(data, s...), 0)
	}
	return Entry{tag, 8, uint32(len(ss)), data}
}

// Int16s is an entry of 16-bit integers.
func Int16s(tag uint32, ns ...uint16) Entry {
	var data []byte
	for _, n := range ns {
		data = binary.BigEndian.AppendUint16(data, n)
	}
	return Entry{tag, 3, uint32(len(ns)), data}
}

// Int32s is an entry of 32-bit integers.
func Int32s(tag uint32, ns ...uint32) Entry {
	var data []byte
	for _, n := range ns {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	return Entry{tag, 4, uint32(len(ns)), data}
}

// Int64s is an entry of 64-bit integers.
func Int64s(tag uint32, ns ...uint64) Entry {
	var data []byte
	for _, n := range ns {
		data = binary.BigEndian.AppendUint64(data, n)
	}
	return Entry{tag, 5, uint32(len(ns)), data}
}

// Binary is an entry of bytes.
func Binary(tag uint32, b []byte) Entry { return Entry{tag, 7, uint32(len(b)), b} }

// Craft is a package in parts. Its digests are right unless an entry replaces
// them.
type Craft struct {
	Format    int     // 3, 4 or 6; 0 stands for 4
	Signature []Entry // beside, or instead of, the digests
	Main      []Entry
	Payload   []byte

	// Open is the payload uncompressed, which format 6 has digests of; nil
	// when it is not compressed.
	Open []byte
}

// Simple is a small package of one version that may be installed.
func Simple(name, version, release, arch string, more ...Entry) Craft {
	c := Craft{Payload: []byte("payload of " + name)}
	c.Main = []Entry{
		Texts(100, "C"),
		Text(1000, name), Text(1001, version), Text(1002, release),
		Text(1004, "Summary of "+name), Text(1005, "Description of "+name),
		Int32s(1006, 1700000000), Text(1007, "build.example"), Int32s(1009, 0),
		Text(1014, "MIT"), Text(1016, "Unspecified"), Text(1021, "linux"), Text(1022, arch),
		Text(1044, name+"-"+version+"-"+release+".src.rpm"),
		Texts(1047, name), Int32s(1112, 8), Texts(1113, version+"-"+release),
		Text(1124, "cpio"), Text(1125, "gzip"), Text(1126, "9"),
	}
	return c.With(more...)
}

// With adds entries to the main header, in place of those with the same tag.
func (c Craft) With(entries ...Entry) Craft {
	c.Main = replace(c.Main, entries)
	return c
}

// Without takes tags out of the main header.
func (c Craft) Without(tags ...uint32) Craft {
	c.Main = slices.DeleteFunc(slices.Clone(c.Main), func(e Entry) bool { return slices.Contains(tags, e.Tag) })
	return c
}

// replace returns entries with those of the same tag replaced, in order of tag.
func replace(entries, with []Entry) []Entry {
	out := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
		return slices.ContainsFunc(with, func(w Entry) bool { return w.Tag == e.Tag })
	})
	out = append(out, with...)
	slices.SortStableFunc(out, func(a, b Entry) int { return int(a.Tag) - int(b.Tag) })
	return out
}

// Bytes is the package's file.
func (c Craft) Bytes() []byte {
	switch c.Format {
	case 3:
		return c.format3()
	case 6:
		return c.format6()
	}
	payload := sha256.Sum256(c.Payload)
	main := Header(63, replace([]Entry{Texts(5092, hex.EncodeToString(payload[:])), Int32s(5093, 8)}, c.Main))
	digest := sha256.Sum256(main)
	signature := Header(62, replace([]Entry{
		Text(273, hex.EncodeToString(digest[:])),
		Int32s(1000, uint32(len(main)+len(c.Payload))),
		Int32s(1007, uint32(len(c.Payload))),
	}, c.Signature))
	return slices.Concat(Lead(), pad(signature, 8), main, c.Payload)
}

// pad appends zeros up to a multiple of n bytes.
func pad(b []byte, n int) []byte {
	for len(b)%n != 0 {
		b = append(b, 0)
	}
	return b
}

// Write writes the package to a new file of that name and returns its path.
func (c Craft) Write(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, c.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Lead is the 96 bytes in which every package begins.
func Lead() []byte {
	lead := make([]byte, 96)
	copy(lead, "\xed\xab\xee\xdb\x03\x00\x00\x00\x00\x01crafted")
	lead[77] = 1 // Linux
	lead[79] = 5 // signatures are a header
	return lead
}

// Header is one header of the entries as they come, in a region. Region 0 stands
// for none, as in format 3.
func Header(region uint32, entries []Entry) []byte {
	var index, data []byte
	add := func(to []byte, ns ...uint32) []byte {
		for _, n := range ns {
			to = binary.BigEndian.AppendUint32(to, n)
		}
		return to
	}
	for _, e := range entries {
		if align := map[uint32]int{3: 2, 4: 4, 5: 8}[e.Kind]; align > 0 {
			for len(data)%align != 0 {
				data = append(data, 0)
			}
		}
		index = add(index, e.Tag, e.Kind, uint32(len(data)), e.Count)
		data = append(data, e.Data...)
	}
	if region == 0 {
		return slices.Concat(add([]byte("\x8e\xad\xe8\x01\x00\x00\x00\x00"), uint32(len(entries)), uint32(len(data))), index, data)
	}
	count := uint32(len(entries) + 1)
	intro := add([]byte("\x8e\xad\xe8\x01\x00\x00\x00\x00"), count, uint32(len(data)+16))
	first := add(nil, region, 7, uint32(len(data)), 16)
	trailer := add(nil, region, 7, -count*16, 16)
	return slices.Concat(intro, first, index, data, trailer)
}
