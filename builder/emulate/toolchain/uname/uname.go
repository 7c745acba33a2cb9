// Package uname makes a tiny shared library that answers uname(2) with the machine
// of another architecture.
//
// rpm has no option for it: it asks the kernel which machine it is on, and that
// decides which architectures it builds and installs for and what its Lua tells
// specs. A native rpm that does the work in a foreign root has to hear what an
// emulated one hears. The library is written byte by byte, as the hosts that need
// it need not have a compiler for themselves.
package uname

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Machines by the names that uname(2) has for them.
var machines = map[string]struct {
	elf  uint16 // elf.h: EM_*
	code []byte // of the function uname, which ends where the machine's name begins
}{
	"x86_64": {62, []byte{
		0xb8, 0x3f, 0x00, 0x00, 0x00, //             mov $63, %eax (SYS_uname)
		0x0f, 0x05, //                               syscall
		0x85, 0xc0, //                               test %eax, %eax
		0x75, 0x16, //                               jne fail
		0x48, 0x8d, 0x35, 0x14, 0x00, 0x00, 0x00, // lea name(%rip), %rsi
		0x48, 0x81, 0xc7, 0x04, 0x01, 0x00, 0x00, // add $260, %rdi (utsname.machine)
		0xb9, 0x41, 0x00, 0x00, 0x00, //             mov $65, %ecx (its size)
		0xf3, 0xa4, //                               rep movsb
		0xc3,                   //                   ret
		0x48, 0x83, 0xc8, 0xff, //             fail: or $-1, %rax
		0xc3, //                                     ret
	}},
	"aarch64": {183, []byte{
		0xe3, 0x03, 0x00, 0xaa, //       mov x3, x0
		0x08, 0x14, 0x80, 0xd2, //       mov x8, #160 (__NR_uname)
		0x01, 0x00, 0x00, 0xd4, //       svc #0
		0x20, 0x01, 0x00, 0xb5, //       cbnz x0, fail
		0x41, 0x01, 0x00, 0x10, //       adr x1, name
		0x63, 0x10, 0x04, 0x91, //       add x3, x3, #260 (utsname.machine)
		0x22, 0x08, 0x80, 0xd2, //       mov x2, #65 (its size)
		0x24, 0x14, 0x40, 0x38, // loop: ldrb w4, [x1], #1
		0x64, 0x14, 0x00, 0x38, //       strb w4, [x3], #1
		0x42, 0x04, 0x00, 0xf1, //       subs x2, x2, #1
		0xa1, 0xff, 0xff, 0x54, //       b.ne loop
		0xc0, 0x03, 0x5f, 0xd6, //       ret
		0x00, 0x00, 0x80, 0x92, // fail: mov x0, #-1
		0xc0, 0x03, 0x5f, 0xd6, //       ret
	}},
}

const (
	fieldSize = 65      // of utsname.machine (linux: include/uapi/linux/utsname.h)
	page      = 0x10000 // the largest that either architecture has
)

// Library is a shared library for one machine. Programs that it is preloaded into
// are told by uname that they run on the other.
func Library(machine, other string) ([]byte, error) {
	m, known := machines[machine]
	if !known {
		return nil, fmt.Errorf("there is no code for the machine %q", machine)
	}
	if len(other) >= fieldSize {
		return nil, fmt.Errorf("%q is too long a name for a machine", other)
	}
	const (
		hash    = 64 + 4*56 // after the ELF header and four program headers
		symbols = hash + 5*4 + 4
		strs    = symbols + 2*24
		names   = "\x00uname\x00uname.so\x00"
		code    = (strs + len(names) + 15) &^ 15
	)
	var name [fieldSize]byte
	copy(name[:], other)
	text := append(bytes.Clone(m.code), name[:]...)
	dynamic := (code + len(text) + 15) &^ 15
	entries := []uint64{
		4, hash, 5, strs, 6, symbols, 10, uint64(len(names)), 11, 24, 14, 7, 0, 0, // DT_HASH, STRTAB, SYMTAB, STRSZ, SYMENT, SONAME
	}
	end := uint64(dynamic + 8*len(entries))

	var b bytes.Buffer
	write := func(at int, values ...any) {
		b.Write(make([]byte, at-b.Len()))
		for _, v := range values {
			// Writing values of a fixed size to a buffer cannot fail.
			_ = binary.Write(&b, binary.LittleEndian, v)
		}
	}
	segment := func(kind, flags uint32, at, to, address, align uint64) {
		write(b.Len(), kind, flags, at, address, address, to-at, to-at, align)
	}
	write(0, []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		uint16(3), m.elf, uint32(1), uint64(0), uint64(64), uint64(0), uint32(0), // ET_DYN
		uint16(64), uint16(56), uint16(4), uint16(64), uint16(0), uint16(0))
	segment(1, 5, 0, uint64(dynamic), 0, page)                      // PT_LOAD, r-x
	segment(1, 6, uint64(dynamic), end, page+uint64(dynamic), page) // PT_LOAD, rw-: loaders write to the dynamic section
	segment(2, 6, uint64(dynamic), end, page+uint64(dynamic), 8)    // PT_DYNAMIC
	segment(0x6474e551, 6, 0, 0, 0, 16)                             // PT_GNU_STACK: not executable
	write(hash, []uint32{1, 2, 1, 0, 0})                            // one bucket, one chain
	write(symbols, [24]byte{})                                      // symbol 0 is none
	write(symbols+24, uint32(1), uint8(0x12), uint8(0), uint16(1))  // uname: STB_GLOBAL, STT_FUNC, defined
	write(symbols+32, uint64(code), uint64(len(m.code)))
	write(strs, []byte(names))
	write(code, text)
	write(dynamic, entries)
	return b.Bytes(), nil
}
