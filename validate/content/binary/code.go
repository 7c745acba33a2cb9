package binary

import (
	"bytes"
	"encoding/binary"
	"path"
	"slices"
	"strings"
)

// Code is what a file holds for a machine.
type Code struct {
	Format  string // ELF, EFI program, Linux kernel, BIOS boot program
	Machine string // rpm's name of the architecture, or a description
}

// Fits says whether a package for an architecture may hold it. Code for devices and
// for virtual machines fits everywhere.
func (c Code) Fits(arch string) bool {
	return c.Machine == anywhere || slices.Contains(runs(arch), c.Machine)
}

// Native says whether it is code for some processor at all.
func (c Code) Native() bool { return c.Machine != anywhere }

// anywhere is code that no processor runs itself.
const anywhere = "any"

// runs are the machines whose code packages for an architecture hold: those of a
// 32-bit architecture that a 64-bit processor also runs have an architecture, and
// packages, of their own.
func runs(arch string) []string {
	switch arch {
	case "i386", "i486", "i586", "i686", "athlon":
		return []string{"i686"}
	case "x86_64_v2", "x86_64_v3", "x86_64_v4", "amd64", "ia32e":
		return []string{"x86_64"}
	case "armv7hl", "armv7l", "armv6hl", "armv6l", "armv5tel":
		return []string{"arm"}
	}
	return []string{arch}
}

// HeadSize is how many of a file's first bytes [Boot] wants to see.
const HeadSize = 64 << 10

// Boot says for which machine a file boots, from its name and its first [HeadSize]
// bytes. ok is false for what does not boot.
func Boot(name string, head []byte) (c Code, ok bool) {
	if c, ok := efi(head); ok {
		return c, true
	}
	le := binary.LittleEndian
	switch {
	case len(head) >= 0x206 && string(head[0x202:0x206]) == "HdrS" && le.Uint16(head[0x1fe:]) == 0xaa55: // Linux: x86/boot.rst
		return Code{"Linux kernel", "x86_64"}, true
	case len(head) >= 64 && string(head[56:60]) == "ARM\x64": // Linux: arm64/booting.rst
		return Code{"Linux kernel", "aarch64"}, true
	case len(head) >= 64 && string(head[56:60]) == "RSC\x05": // Linux: riscv/boot-image-header.rst
		return Code{"Linux kernel", "riscv64"}, true
	}
	// A boot program for a BIOS is bare code with nothing to know it by but its name,
	// and only machines of one kind have a BIOS.
	base := strings.ToLower(path.Base(name))
	suffixes := []string{".kpxe", ".kkpxe", ".kkkpxe", ".pxe", ".lkrn"}
	named := slices.Contains([]string{"pxelinux.0", "lpxelinux.0", "gpxelinux.0", "gpxelinuxk.0"}, base) || slices.Contains(suffixes, path.Ext(base))
	if named && len(head) > 0 && bytes.IndexByte(head, 0) >= 0 {
		return Code{"BIOS boot program", "x86_64"}, true
	}
	return Code{}, false
}

// efi reads the header of an EFI program (Microsoft: PE Format). Programs for
// Windows have the same header, and no machine of ours runs them.
func efi(head []byte) (Code, bool) {
	le := binary.LittleEndian
	if len(head) < 0x40 || string(head[:2]) != "MZ" {
		return Code{}, false
	}
	at := int64(le.Uint32(head[0x3c:]))
	const signature, coff, subsystem = 4, 20, 68 // of the optional header
	if at < 4 || at > int64(len(head))-signature-coff-subsystem-2 || string(head[at:at+4]) != "PE\x00\x00" {
		return Code{}, false
	}
	p := head[at+signature:]
	switch le.Uint16(p[coff+subsystem:]) {
	case 10, 11, 12, 13: // application, boot service driver, run-time driver, ROM image
	default:
		return Code{}, false
	}
	machines := map[uint16]string{
		0x14c: "i686", 0x8664: "x86_64", 0xaa64: "aarch64", 0x1c0: "arm", 0x1c2: "arm", 0x1c4: "arm",
		0x200: "ia64", 0x5032: "riscv32", 0x5064: "riscv64", 0x6264: "loongarch64", 0xebc: anywhere,
	}
	machine, ok := machines[le.Uint16(p)]
	if !ok {
		machine = describe(uint64(le.Uint16(p)))
	}
	return Code{"EFI program", machine}, true
}
