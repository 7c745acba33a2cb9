package binary_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	of "github.com/ohpc-build/ohpc-build/validate/content/binary"
)

// program builds a small program for a machine.
func program(t *testing.T, arch string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	out := filepath.Join(dir, "program")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", out, filepath.Join(dir, "main.go"))
	cmd.Env = append(os.Environ(), "GOARCH="+arch, "GOOS=linux", "CGO_ENABLED=0", "GOFLAGS=")
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, string(text))
	return out
}

func read(t testing.TB, path string) (*of.ELF, error) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	fi, err := f.Stat()
	require.NoError(t, err)
	return of.ReadELF(f, fi.Size())
}

func TestPrograms(t *testing.T) {
	for arch, want := range map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i686"} {
		e, err := read(t, program(t, arch))
		require.NoError(t, err)
		require.Equal(t, want, e.Machine)
		require.True(t, e.Linked)
		require.Empty(t, e.RunPath)
		require.False(t, e.ExecStack || e.TextRel)
		require.True(t, e.Fits(want))
		require.False(t, e.Fits("s390x"))
	}
}

// TestAsDebugELF compares what is read of the host's libraries with the standard
// library.
func TestAsDebugELF(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"/usr/bin/*", "/usr/lib/*/*.so*", "/usr/lib64/*.so*"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		paths = append(paths, found...)
	}
	compared := 0
	for i, path := range paths {
		if i%7 != 0 { // they are much alike
			continue
		}
		std, err := elf.Open(path)
		if err != nil {
			continue
		}
		got, err := read(t, path)
		require.NoError(t, err, path)
		require.Equal(t, std.Class == elf.ELFCLASS64, got.Class == 64, path)
		rpath, err := std.DynString(elf.DT_RPATH)
		require.NoError(t, err)
		runpath, err := std.DynString(elf.DT_RUNPATH)
		require.NoError(t, err)
		var want []string
		for _, p := range append(rpath, runpath...) {
			want = append(want, strings.Split(p, ":")...)
		}
		require.Equal(t, want, got.RunPath, path)
		loaded := func(s *elf.Section) bool { // Go's linker leaves it out of the notes
			return slices.ContainsFunc(std.Progs, func(p *elf.Prog) bool {
				return p.Type == elf.PT_NOTE && p.Off <= s.Offset && s.Offset < p.Off+p.Filesz
			})
		}
		if s := std.Section(".note.gnu.build-id"); s != nil && loaded(s) {
			b, err := s.Data()
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%x", b[16:]), got.BuildID, path)
		}
		require.NoError(t, std.Close())
		compared++
	}
	require.Greater(t, compared, 10)
}

// image is a minimal ELF file of 64 bits: program headers, a dynamic section and
// its strings.
func image(rpath string, stack uint32) []byte {
	b := make([]byte, 0x400)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], 3)
	le.PutUint16(b[18:], 62)
	le.PutUint64(b[0x20:], 64)
	le.PutUint16(b[0x36:], 56)
	le.PutUint16(b[0x38:], 4)
	segment := func(i int, kind, flags uint32, offset, address, size uint64) {
		p := b[64+56*i:]
		le.PutUint32(p, kind)
		le.PutUint32(p[4:], flags)
		le.PutUint64(p[8:], offset)
		le.PutUint64(p[16:], address)
		le.PutUint64(p[32:], size)
	}
	segment(0, 1, 5, 0, 0x10000, 0x400)
	segment(1, 2, 6, 0x200, 0x10200, 0x100)
	segment(2, 0x6474e551, stack, 0, 0, 0)
	segment(3, 4, 4, 0x180, 0x10180, 0x18)
	copy(b[0x180:], "\x04\x00\x00\x00\x08\x00\x00\x00\x03\x00\x00\x00GNU\x00\x01\x23\x45\x67\x89\xab\xcd\xef")
	for i, pair := range [][2]uint64{{5, 0x10300}, {29, 1}, {30, 4}, {0, 0}} {
		le.PutUint64(b[0x200+16*i:], pair[0])
		le.PutUint64(b[0x208+16*i:], pair[1])
	}
	copy(b[0x301:], rpath+"\x00")
	return b
}

func TestDynamic(t *testing.T) {
	b := image("/build/lib::$ORIGIN", 7)
	e, err := of.ReadELF(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	require.Equal(t, []string{"/build/lib", "", "$ORIGIN"}, e.RunPath)
	require.Equal(t, "0123456789abcdef", e.BuildID)
	require.True(t, e.ExecStack)
	require.True(t, e.TextRel)

	for name, change := range map[string]func([]byte){
		"strings elsewhere":   func(b []byte) { binary.LittleEndian.PutUint64(b[0x208:], 0x99999) },
		"string outside":      func(b []byte) { binary.LittleEndian.PutUint64(b[0x218:], ^uint64(0)-0x10) },
		"headers outside":     func(b []byte) { binary.LittleEndian.PutUint64(b[0x20:], ^uint64(0)) },
		"small headers":       func(b []byte) { binary.LittleEndian.PutUint16(b[0x36:], 8) },
		"many large headers":  func(b []byte) { binary.LittleEndian.PutUint64(b[0x36:], ^uint64(0)) },
		"string without end":  func(b []byte) { copy(b[0x301:], bytes.Repeat([]byte("x"), 0xff)) },
		"dynamic beyond file": func(b []byte) { binary.LittleEndian.PutUint64(b[64+56+32:], 0x1000) },
	} {
		t.Run(name, func(t *testing.T) {
			b := image("/x", 6)
			change(b)
			e, err := of.ReadELF(bytes.NewReader(b), int64(len(b)))
			require.ErrorIs(t, err, of.ErrELF)
			require.Equal(t, "x86_64", e.Machine, "what is known is told")
		})
	}
	for _, b := range [][]byte{nil, []byte("\x7fELF"), append([]byte("\x7fELF\x09\x01"), make([]byte, 60)...), append([]byte("\x7fELF\x02\x09"), make([]byte, 60)...)} {
		_, err := of.ReadELF(bytes.NewReader(b), int64(len(b)))
		require.ErrorIs(t, err, of.ErrELF)
	}
}

// efi is a minimal program for a firmware, or another subsystem.
func efi(machine, subsystem uint16) []byte {
	b := make([]byte, 512)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[0x3c:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[0x84:], machine)
	binary.LittleEndian.PutUint16(b[0x80+4+20+68:], subsystem)
	return b
}

func TestBoot(t *testing.T) {
	kernel := make([]byte, 0x400)
	kernel[0x1fe], kernel[0x1ff] = 0x55, 0xaa
	copy(kernel[0x202:], "HdrS")
	arm := make([]byte, 128)
	copy(arm[56:], "ARM\x64")
	far := efi(0x8664, 10)
	binary.LittleEndian.PutUint32(far[0x3c:], 0xfffffff0)
	for name, tc := range map[string]struct {
		file string
		head []byte
		want string // of the machine; "" for none
	}{
		"x86 EFI":            {"ipxe.efi", efi(0x8664, 10), "x86_64"},
		"ARM EFI":            {"ipxe.efi", efi(0xaa64, 10), "aarch64"},
		"EFI byte code":      {"x.efi", efi(0xebc, 11), "any"},
		"unknown EFI":        {"x.efi", efi(0x1234, 11), "machine 0x1234"},
		"Windows program":    {"t64.exe", efi(0x8664, 3), ""},
		"header far away":    {"x.efi", far, ""},
		"cut":                {"x.efi", efi(0x8664, 10)[:0x90], ""},
		"x86 kernel":         {"vmlinuz", kernel, "x86_64"},
		"ARM kernel":         {"Image", arm, "aarch64"},
		"BIOS boot":          {"pxelinux.0", []byte{0xea, 5, 0, 0xc0}, "x86_64"},
		"iPXE for a BIOS":    {"undionly.kpxe", []byte{0x45, 0, 1}, "x86_64"},
		"text with the name": {"pxelinux.0", []byte("see the manual"), ""},
		"nothing":            {"a", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, ok := of.Boot(tc.file, tc.head)
			require.Equal(t, tc.want != "", ok)
			require.Equal(t, tc.want, c.Machine)
		})
	}
}

func member(name string, content []byte) []byte {
	b := fmt.Appendf(nil, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", name, 0, 0, 0, 0o644, len(content))
	b = append(b, content...)
	if len(content)%2 == 1 {
		b = append(b, '\n')
	}
	return b
}

func TestMembers(t *testing.T) {
	object := image("", 6)
	archive := bytes.Join([][]byte{
		[]byte("!<arch>\n"), member("/", []byte{0, 0, 0}), member("//", []byte("a very long name.o/\n")),
		member("/0", object), member("b.o/", []byte("odd")), member("/99", nil),
	}, nil)
	require.True(t, of.IsArchive(archive))
	var names []string
	require.NoError(t, of.Members(bytes.NewReader(archive), func(name string, head []byte) error {
		names = append(names, name)
		if of.IsELF(head) {
			e, err := of.Header(head)
			require.NoError(t, err)
			require.Equal(t, "x86_64", e.Machine)
		}
		return nil
	}))
	require.Equal(t, []string{"/", "a very long name.o", "b.o", "/99"}, names)
	for name, b := range map[string][]byte{
		"cut in a header":  archive[:30],
		"cut in a member":  archive[:200],
		"size is no size":  append([]byte("!<arch>\n"), bytes.Replace(member("a/", nil), []byte("0         `"), []byte("-1        `"), 1)...),
		"no end of header": append([]byte("!<arch>\n"), make([]byte, 60)...),
	} {
		require.ErrorIs(t, of.Members(bytes.NewReader(b), func(string, []byte) error { return nil }), of.ErrArchive, name)
	}
	require.ErrorIs(t, of.Members(bytes.NewReader(archive), func(string, []byte) error { return io.ErrNoProgress }), io.ErrNoProgress)
}

func FuzzELF(f *testing.F) {
	f.Add(image("/x:/y", 7))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := of.ReadELF(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			require.ErrorIs(t, err, of.ErrELF)
			return
		}
		require.NotEmpty(t, e.Machine)
		require.LessOrEqual(t, len(strings.Join(e.RunPath, ":")), 2*len(b)+2)
	})
}

func FuzzBoot(f *testing.F) {
	f.Add("ipxe.efi", efi(0x8664, 10))
	f.Add("pxelinux.0", []byte{0})
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		if c, ok := of.Boot(name, b); ok {
			require.NotEmpty(t, c.Machine)
		}
	})
}

func FuzzMembers(f *testing.F) {
	f.Add(append([]byte("!<arch>\n"), member("a/", []byte("x"))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := of.Members(bytes.NewReader(b), func(_ string, head []byte) error {
			require.LessOrEqual(t, len(head), 64)
			return nil
		})
		if err != nil {
			require.ErrorIs(t, err, of.ErrArchive)
		}
	})
}
