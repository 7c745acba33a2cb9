package binary

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ELF is what an ELF file's headers say (System V ABI, chapters 4 and 5).
type ELF struct {
	Code
	Class     int      // 32 or 64
	Linked    bool     // a program or a shared library, rather than an object file
	RunPath   []string // RPATH and RUNPATH, entry by entry
	BuildID   string   // hexadecimal; "" when there is none
	TextRel   bool     // its code is relocated, and must be writable for it
	ExecStack bool     // it asks for a stack that holds code
}

// IsELF says whether a file begins like an ELF file.
func IsELF(head []byte) bool { return len(head) >= 4 && string(head[:4]) == "\x7fELF" }

// ErrELF says that an ELF file's headers do not hold together, or lie further apart
// than is read.
var ErrELF = errors.New("its ELF headers cannot be read")

const (
	// maxPart bounds each part that is read: program headers, notes, the dynamic
	// section, and one string.
	maxPart = 64 << 10

	typeRelocatable = 1
	typeExecutable  = 2
	typeShared      = 3

	segmentLoad    = 1
	segmentDynamic = 2
	segmentNote    = 4
	segmentStack   = 0x6474e551
)

// machine is the machine of an ELF header.
func machine(number uint16, class int, order binary.ByteOrder) string {
	little := order == binary.LittleEndian
	switch number {
	case 3, 6:
		return "i686"
	case 62:
		if class == 32 {
			return "x32"
		}
		return "x86_64"
	case 183:
		if little && class == 64 {
			return "aarch64"
		}
	case 40:
		return "arm"
	case 243:
		return fmt.Sprintf("riscv%d", class)
	case 21:
		if little {
			return "ppc64le"
		}
		return "ppc64"
	case 20:
		return "ppc"
	case 22:
		if class == 64 {
			return "s390x"
		}
		return "s390"
	case 258:
		return fmt.Sprintf("loongarch%d", class)
	case 0, 190, 224, 247: // none, CUDA, AMD GPU, BPF
		return anywhere
	}
	return describe(uint64(number))
}

func describe(number uint64) string { return fmt.Sprintf("machine %#x", number) }

// elf reads one file.
type elf struct {
	r     io.ReaderAt
	size  uint64
	order binary.ByteOrder
	wide  bool
	loads []segment
}

type segment struct {
	kind, flags           uint32
	offset, address, size uint64
}

// Header reads an ELF file's first bytes, which say for which machine it is.
func Header(head []byte) (*ELF, error) {
	f, _, err := ident(head)
	return f, err
}

func ident(head []byte) (*ELF, *elf, error) {
	if len(head) < 52 || !IsELF(head) {
		return nil, nil, fmt.Errorf("%w: it ends early", ErrELF)
	}
	e := &elf{}
	f := &ELF{Class: 32}
	switch head[4] {
	case 1:
	case 2:
		e.wide, f.Class = true, 64
	default:
		return nil, nil, fmt.Errorf("%w: its class is %d", ErrELF, head[4])
	}
	switch head[5] {
	case 1:
		e.order = binary.LittleEndian
	case 2:
		e.order = binary.BigEndian
	default:
		return nil, nil, fmt.Errorf("%w: its byte order is %d", ErrELF, head[5])
	}
	kind := e.order.Uint16(head[16:])
	f.Linked = kind == typeExecutable || kind == typeShared
	f.Code = Code{"ELF", machine(e.order.Uint16(head[18:]), f.Class, e.order)}
	return f, e, nil
}

// ReadELF reads an ELF file of size bytes. What is known by the time that an error
// shows up is returned with it.
func ReadELF(r io.ReaderAt, size int64) (*ELF, error) {
	head := make([]byte, min(size, 64))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrELF, err)
	}
	f, e, err := ident(head)
	if err != nil || !f.Linked {
		return f, err
	}
	e.r, e.size = r, uint64(size)
	return f, e.segments(f, head)
}

// bytes are n bytes at off, which must be there.
func (e *elf) bytes(off, n uint64) ([]byte, error) {
	if n > maxPart || off > e.size || n > e.size-off {
		return nil, fmt.Errorf("%w: %d bytes at %#x, of %d", ErrELF, n, off, e.size)
	}
	b := make([]byte, n)
	if _, err := e.r.ReadAt(b, int64(off)); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrELF, err)
	}
	return b, nil
}

// word is an address or offset.
func (e *elf) word(b []byte) uint64 {
	if e.wide {
		return e.order.Uint64(b)
	}
	return uint64(e.order.Uint32(b))
}

func (e *elf) segments(f *ELF, head []byte) error {
	if e.wide && len(head) < 64 {
		return fmt.Errorf("%w: it ends early", ErrELF)
	}
	at, entry, count, least := e.word(head[0x1c:]), e.order.Uint16(head[0x2a:]), e.order.Uint16(head[0x2c:]), uint16(32)
	if e.wide {
		at, entry, count, least = e.word(head[0x20:]), e.order.Uint16(head[0x36:]), e.order.Uint16(head[0x38:]), 56
	}
	if count > 0 && entry < least {
		return fmt.Errorf("%w: its program headers have %d bytes", ErrELF, entry)
	}
	table, err := e.bytes(at, uint64(entry)*uint64(count))
	if err != nil {
		return err
	}
	var dynamic, notes []segment
	for i := range int(count) {
		s := e.segment(table[i*int(entry):])
		switch s.kind {
		case segmentLoad:
			e.loads = append(e.loads, s)
		case segmentDynamic:
			dynamic = append(dynamic, s)
		case segmentNote:
			notes = append(notes, s)
		case segmentStack:
			f.ExecStack = s.flags&1 != 0
		}
	}
	for _, s := range notes {
		if err := e.notes(f, s); err != nil {
			return err
		}
	}
	if len(dynamic) > 0 { // loaders take one
		return e.dynamic(f, dynamic[len(dynamic)-1])
	}
	return nil
}

func (e *elf) segment(b []byte) segment {
	if e.wide {
		return segment{e.order.Uint32(b), e.order.Uint32(b[4:]), e.order.Uint64(b[8:]), e.order.Uint64(b[16:]), e.order.Uint64(b[32:])}
	}
	w := func(i int) uint64 { return uint64(e.order.Uint32(b[4*i:])) }
	return segment{uint32(w(0)), uint32(w(6)), w(1), w(2), w(4)}
}

// notes looks for the build ID (type 3, owner GNU). A file's debug information has
// notes that are elsewhere: they are passed over.
func (e *elf) notes(f *ELF, s segment) error {
	if f.BuildID != "" || s.size > maxPart || s.offset > e.size || s.size > e.size-s.offset {
		return nil
	}
	b, err := e.bytes(s.offset, s.size)
	if err != nil {
		return err
	}
	for len(b) >= 12 {
		name, desc, kind := uint64(e.order.Uint32(b)), uint64(e.order.Uint32(b[4:])), e.order.Uint32(b[8:])
		b = b[12:]
		room := (name + 3) &^ 3
		if room > uint64(len(b)) || desc > uint64(len(b))-room {
			return nil
		}
		if kind == 3 && name == 4 && string(b[:4]) == "GNU\x00" && desc <= 64 {
			f.BuildID = hex.EncodeToString(b[room : room+desc])
			return nil
		}
		b = b[min(room+(desc+3)&^3, uint64(len(b))):]
	}
	return nil
}

// dynamic reads the dynamic section, which a loader works with.
func (e *elf) dynamic(f *ELF, s segment) error {
	const (
		null, strings, rpath, textRel, runPath, flags = 0, 5, 15, 22, 29, 30
		flagTextRel                                   = 4
	)
	if s.size == 0 || s.offset >= e.size { // in a file of debug information it is empty
		return nil
	}
	b, err := e.bytes(s.offset, min(s.size, maxPart))
	if err != nil {
		return err
	}
	width := 4
	if e.wide {
		width = 8
	}
	var table uint64
	var paths []uint64
	for ; len(b) >= 2*width; b = b[2*width:] {
		tag, value := e.word(b), e.word(b[width:])
		if tag == null {
			break
		}
		switch tag {
		case strings:
			table = value
		case rpath, runPath:
			paths = append(paths, value)
		case textRel:
			f.TextRel = true
		case flags:
			f.TextRel = f.TextRel || value&flagTextRel != 0
		}
	}
	for _, at := range paths[:min(len(paths), 2)] {
		text, err := e.text(table, at)
		if err != nil {
			return err
		}
		f.RunPath = append(f.RunPath, splitPath(text)...)
	}
	return nil
}

func splitPath(text string) []string { return strings.Split(text, ":") }

// text is the string at a place of the table at an address.
func (e *elf) text(table, at uint64) (string, error) {
	for _, l := range e.loads {
		if table < l.address || table-l.address >= l.size {
			continue
		}
		off := l.offset + (table - l.address) + at
		if off < at || off >= e.size {
			break
		}
		b, err := e.bytes(off, min(maxPart, e.size-off))
		if err != nil {
			return "", err
		}
		text, _, ok := strings.Cut(string(b), "\x00")
		if !ok {
			break
		}
		return text, nil
	}
	return "", fmt.Errorf("%w: its table of strings is not where it says", ErrELF)
}
