package content

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ohpc-build/ohpc-build/repo/rpm/compare/text"
)

// section is one section of an ELF file (ELF: chapter 4, sections).
type section struct {
	name                string
	kind                uint32
	flags, offset, size uint64
}

const (
	sectionNoBits = 8 // takes no room in the file

	maxSections = 1 << 16
	maxNames    = 16 << 20 // bytes of all sections' names
	maxName     = 4096     // bytes of one
)

// elfFiles compares two ELF files section by section. What is malformed is left
// to the comparison byte by byte.
func elfFiles(a, b piece) ([]Difference, error) {
	x, okX, err := sections(a)
	if err != nil {
		return nil, err
	}
	y, okY, err := sections(b)
	if err != nil || !okX || !okY {
		return nil, err
	}
	var found []Difference
	others := map[string]section{}
	for _, s := range y {
		others[s.name] = s
	}
	for _, s := range x {
		o, ok := others[s.name]
		if !ok {
			found = append(found, Difference{Part: "section " + shown(s.name), A: fmt.Sprintf("%d bytes", s.size), B: ""})
			continue
		}
		delete(others, s.name)
		more, err := sameSection(a, b, s, o)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	for _, s := range y {
		if _, ok := others[s.name]; ok {
			found = append(found, Difference{Part: "section " + shown(s.name), A: "", B: fmt.Sprintf("%d bytes", s.size)})
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return raw(a, b, "outside of all sections")
}

func shown(name string) string {
	if name == "" {
		return "(without a name)"
	}
	return text.Clip(name, text.MaxValue)
}

// sameSection compares two sections of one name. Where they lie in the file and in
// memory follows from the others' sizes, unless nothing else differs.
func sameSection(a, b piece, s, o section) ([]Difference, error) {
	part := "section " + shown(s.name)
	if s.kind != o.kind || s.flags != o.flags {
		return []Difference{{
			Part: part, A: fmt.Sprintf("type %#x, flags %#x", s.kind, s.flags), B: fmt.Sprintf("type %#x, flags %#x", o.kind, o.flags),
		}}, nil
	}
	if s.kind == sectionNoBits {
		if s.size != o.size {
			return []Difference{{Part: part, A: fmt.Sprintf("%d bytes", s.size), B: fmt.Sprintf("%d bytes", o.size)}}, nil
		}
		return nil, nil
	}
	return raw(a.part(int64(s.offset), int64(s.size)), b.part(int64(o.offset), int64(o.size)), part)
}

// sections reads a file's table of sections. ok is false when there is none, or
// it does not hold together.
func sections(c piece) (all []section, ok bool, err error) {
	head, err := c.head(64)
	if err != nil || len(head) < 64 {
		return nil, false, err
	}
	var order binary.ByteOrder
	switch head[5] {
	case 1:
		order = binary.LittleEndian
	case 2:
		order = binary.BigEndian
	default:
		return nil, false, nil
	}
	wide := head[4] == 2
	var at uint64
	var entry, count, names int
	if wide {
		at = order.Uint64(head[0x28:])
		entry, count, names = int(order.Uint16(head[0x3a:])), int(order.Uint16(head[0x3c:])), int(order.Uint16(head[0x3e:]))
	} else {
		at = uint64(order.Uint32(head[0x20:]))
		entry, count, names = int(order.Uint16(head[0x2e:])), int(order.Uint16(head[0x30:])), int(order.Uint16(head[0x32:]))
	}
	least := map[bool]int{true: 64, false: 40}[wide]
	if entry < least || entry > 1024 || count == 0 || names >= count || at > uint64(c.Size()) {
		return nil, false, nil
	}
	table, err := c.part(int64(at), int64(entry*count)).head(maxSections * 1024)
	if err != nil || len(table) < entry*count {
		return nil, false, err
	}
	nameAt := make([]uint32, 0, count)
	var total uint64
	for e := range slices.Chunk(table[:entry*count], entry) {
		s := section{kind: order.Uint32(e[4:])}
		if wide {
			s.flags, s.offset, s.size = order.Uint64(e[8:]), order.Uint64(e[24:]), order.Uint64(e[32:])
		} else {
			s.flags, s.offset, s.size = uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[16:])), uint64(order.Uint32(e[20:]))
		}
		if s.kind != sectionNoBits && (s.offset > uint64(c.Size()) || s.size > uint64(c.Size())-s.offset) {
			return nil, false, nil
		}
		// Sections of honest files do not overlap; comparing each of many that hold
		// the whole file would take forever.
		if s.kind != sectionNoBits {
			total += s.size
		}
		if total > 2*uint64(c.Size()) {
			return nil, false, nil
		}
		nameAt = append(nameAt, order.Uint32(e))
		all = append(all, s)
	}
	return named(c, all, nameAt, names)
}

// named gives the sections their names. Those that share one are numbered.
func named(c piece, all []section, nameAt []uint32, names int) ([]section, bool, error) {
	if all[names].kind == sectionNoBits || all[names].size > maxNames {
		return nil, false, nil
	}
	strings, err := c.part(int64(all[names].offset), int64(all[names].size)).head(maxNames)
	if err != nil {
		return nil, false, err
	}
	count := map[string]int{}
	for i := range all {
		if int64(nameAt[i]) > int64(len(strings)) {
			return nil, false, nil
		}
		name, _, _ := bytes.Cut(strings[nameAt[i]:], []byte{0})
		if len(name) > maxName {
			return nil, false, nil
		}
		all[i].name = string(name)
		if count[all[i].name]++; count[all[i].name] > 1 {
			all[i].name += fmt.Sprintf(" (%d)", count[all[i].name])
		}
	}
	return all, true, nil
}
