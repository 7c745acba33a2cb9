package toolchain

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

const (
	patched   = "\x0012.2.0\x00(Debian 12.2.0-14+deb12u1) \x00"
	unpatched = "\x0012.2.0\x00(Debian 12.2.0-14) \x00"
	strange   = "\x0012.2.0\x00(Debian 12.2.0-99) \x00"
	bfd       = "(GNU Binutils for Debian) 2.40"
)

// fakeELF is an ELF file as far as loaders and this package look at it.
func fakeELF(t *testing.T, arch, text string, needed ...string) string {
	t.Helper()
	system := systems[arch]
	strtab := "\x00"
	var dynamic []elf.Dyn64
	for _, name := range needed {
		dynamic = append(dynamic, elf.Dyn64{Tag: int64(elf.DT_NEEDED), Val: uint64(len(strtab))})
		strtab += name + "\x00"
	}
	dynamic = append(dynamic, elf.Dyn64{})
	const names = "\x00.dynstr\x00.dynamic\x00.shstrtab\x00"
	header := elf.Header64{
		Ident:   [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_DYN),
		Machine: uint16(system.elf), Version: uint32(elf.EV_CURRENT),
		Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64, Shnum: 4, Shstrndx: 3,
	}
	header.Phoff = 64
	at := uint64(64 + 56)
	place := func(size int) uint64 { at += uint64(size); return at - uint64(size) }
	interp := place(len(system.loader) + 1)
	strs := place(len(strtab))
	dyn := place(16 * len(dynamic))
	shstr := place(len(names))
	header.Shoff = place(4 * 64)
	var b bytes.Buffer
	for _, part := range []any{
		header,
		elf.Prog64{Type: uint32(elf.PT_INTERP), Off: interp, Filesz: uint64(len(system.loader) + 1)},
		[]byte(system.loader + "\x00"), []byte(strtab), dynamic, []byte(names),
		elf.Section64{},
		elf.Section64{Name: 1, Type: uint32(elf.SHT_STRTAB), Off: strs, Size: uint64(len(strtab))},
		elf.Section64{Name: 9, Type: uint32(elf.SHT_DYNAMIC), Off: dyn, Size: uint64(16 * len(dynamic)), Link: 1, Entsize: 16},
		elf.Section64{Name: 18, Type: uint32(elf.SHT_STRTAB), Off: shstr, Size: uint64(len(names))},
		[]byte(text),
	} {
		require.NoError(t, binary.Write(&b, binary.LittleEndian, part))
	}
	return b.String()
}

// nativeTree and imageTree are an x86_64 root with a cross compiler, and the
// aarch64 root that it serves.
func nativeTree(t *testing.T) map[string]string {
	x86 := func(text string, needed ...string) string { return fakeELF(t, "x86_64", text, needed...) }
	tree := map[string]string{
		"bin":                            "-> usr/bin",
		"lib":                            "-> usr/lib",
		"lib64":                          "-> usr/lib64",
		"usr/lib64/ld-linux-x86-64.so.2": "-> ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		"usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": x86(""),
		"usr/lib/x86_64-linux-gnu/libc.so.6":            x86("", "ld-linux-x86-64.so.2"),
		"usr/lib/x86_64-linux-gnu/libz.so.1":            "-> libz.so.1.2",
		"usr/lib/x86_64-linux-gnu/libz.so.1.2":          x86("", "libc.so.6"),
		"usr/lib/x86_64-linux-gnu/libunused.so.1":       x86("", "libc.so.6"),
		"usr/bin/bash":                                            x86("", "libc.so.6"),
		"usr/bin/sed":                                             x86("", "libc.so.6"),
		"usr/bin/uname":                                           x86("", "libc.so.6"),
		"usr/bin/patch":                                           x86("", "libc.so.6"),
		"usr/bin/aarch64-linux-gnu-as":                            x86(bfd, "libz.so.1"),
		"usr/bin/aarch64-linux-gnu-ld.bfd":                        x86("", "libz.so.1"),
		"usr/bin/aarch64-linux-gnu-gcc-12":                        x86(patched, "libc.so.6"),
		"usr/bin/aarch64-linux-gnu-g++-12":                        x86(patched, "libc.so.6"),
		"usr/lib/gcc-cross/aarch64-linux-gnu/12/cc1":              x86(patched, "libz.so.1"),
		"usr/lib/gcc-cross/aarch64-linux-gnu/12/cc1plus":          x86(patched, "libz.so.1"),
		"usr/lib/gcc-cross/aarch64-linux-gnu/12/lto1":             x86(patched, "libz.so.1"),
		"usr/lib/gcc-cross/aarch64-linux-gnu/12/liblto_plugin.so": x86("", "libc.so.6"),
	}
	return tree
}

func imageTree(t *testing.T) map[string]string {
	arm := func(text string) string { return fakeELF(t, "aarch64", text, "libc.so.6") }
	return map[string]string{
		"bin":                                      "-> usr/bin",
		"lib":                                      "-> usr/lib",
		"usr/lib/ld-linux-aarch64.so.1":            arm(""),
		"usr/bin/bash":                             arm(""),
		"usr/bin/sed":                              arm(""),
		"usr/bin/uname":                            arm(""),
		"usr/bin/patch":                            "#!/bin/sh\n",
		"usr/bin/as":                               "-> aarch64-linux-gnu-as",
		"usr/bin/aarch64-linux-gnu-as":             arm(bfd),
		"usr/bin/aarch64-linux-gnu-ld.bfd":         arm(""),
		"usr/bin/aarch64-linux-gnu-gcc-12":         arm(patched),
		"usr/bin/aarch64-linux-gnu-g++-12":         arm(patched),
		"usr/lib/gcc/aarch64-linux-gnu/12/cc1":     arm(patched),
		"usr/lib/gcc/aarch64-linux-gnu/12/cc1plus": arm(patched),
		"usr/lib/gcc/aarch64-linux-gnu/12/lto1":    arm(patched),
		"usr/lib/gcc/aarch64-linux-gnu/12/liblto_plugin.so": arm(""),
		"usr/lib/gcc/aarch64-linux-gnu/13/libgcc.a":         "the library of a compiler that is not there",
		"usr/local/include/":                                "",
	}
}

// The mounts of a complete pair of trees: destination → source below its tree.
var (
	basic = map[string]string{
		"/lib64/ld-linux-x86-64.so.2":         "native/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		"/usr/lib/x86_64-linux-gnu/libc.so.6": "native/usr/lib/x86_64-linux-gnu/libc.so.6",
		folder + "/native/bash":               "native/usr/bin/bash",
		"/usr/bin/bash":                       "native/usr/bin/bash",
		"/usr/bin/sed":                        "native/usr/bin/sed",
	}
	compiling = map[string]string{
		"/usr/lib/x86_64-linux-gnu/libz.so.1":       "native/usr/lib/x86_64-linux-gnu/libz.so.1.2",
		"/usr/bin/aarch64-linux-gnu-as":             "native/usr/bin/aarch64-linux-gnu-as",
		"/usr/bin/aarch64-linux-gnu-ld.bfd":         "launchers/aarch64-linux-gnu-ld.bfd",
		"/usr/bin/aarch64-linux-gnu-gcc-12":         "launchers/aarch64-linux-gnu-gcc-12",
		"/usr/bin/aarch64-linux-gnu-g++-12":         "launchers/aarch64-linux-gnu-g++-12",
		"/usr/lib/gcc/aarch64-linux-gnu/12/cc1":     "launchers/cc1-12",
		"/usr/lib/gcc/aarch64-linux-gnu/12/cc1plus": "launchers/cc1plus-12",
		folder + "/native/aarch64-linux-gnu-ld.bfd": "native/usr/bin/aarch64-linux-gnu-ld.bfd",
		folder + "/native/aarch64-linux-gnu-gcc-12": "native/usr/bin/aarch64-linux-gnu-gcc-12",
		folder + "/native/aarch64-linux-gnu-g++-12": "native/usr/bin/aarch64-linux-gnu-g++-12",
		folder + "/passes/12/cc1":                   "native/usr/lib/gcc-cross/aarch64-linux-gnu/12/cc1",
		folder + "/native/cc1-12":                   "native/usr/lib/gcc-cross/aarch64-linux-gnu/12/cc1",
		folder + "/native/cc1plus-12":               "native/usr/lib/gcc-cross/aarch64-linux-gnu/12/cc1plus",
		folder + "/own/aarch64-linux-gnu-ld.bfd":    "image/usr/bin/aarch64-linux-gnu-ld.bfd",
		folder + "/own/aarch64-linux-gnu-gcc-12":    "image/usr/bin/aarch64-linux-gnu-gcc-12",
		folder + "/own/aarch64-linux-gnu-g++-12":    "image/usr/bin/aarch64-linux-gnu-g++-12",
		folder + "/own/cc1-12":                      "image/usr/lib/gcc/aarch64-linux-gnu/12/cc1",
		folder + "/own/cc1plus-12":                  "image/usr/lib/gcc/aarch64-linux-gnu/12/cc1plus",
		"/usr/lib/gcc/aarch64-linux-gnu/12/lto1":    "native/usr/lib/gcc-cross/aarch64-linux-gnu/12/lto1",
		"/usr/lib/gcc/aarch64-linux-gnu/12/" + lto:  "native/usr/lib/gcc-cross/aarch64-linux-gnu/12/" + lto,
	}
)

const lto = "liblto_plugin.so"

// layer makes a folder of files: name → content. "-> x" is a symbolic link, and a
// name that ends in / a folder.
func layer(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		target, link := strings.CutPrefix(content, "-> ")
		switch {
		case link:
			require.NoError(t, os.Symlink(target, at))
		case strings.HasSuffix(name, "/"):
			require.NoError(t, os.MkdirAll(at, 0o755))
		default:
			require.NoError(t, os.WriteFile(at, []byte(content), 0o755))
		}
	}
	return dir
}

func with(base map[string]string, more ...map[string]string) map[string]string {
	all := maps.Clone(base)
	for _, m := range more {
		maps.Copy(all, m)
	}
	return all
}

func without(base map[string]string, names ...string) map[string]string {
	all := maps.Clone(base)
	for _, name := range names {
		delete(all, name)
	}
	return all
}

func TestNew(t *testing.T) {
	const lto1 = "/usr/lib/gcc/aarch64-linux-gnu/12/lto1"
	for _, c := range []struct {
		name          string
		native, image func(tree map[string]string)
		want          map[string]string
		options       []string
		emulated      map[string]string // what → part of the reason
	}{
		{name: "everything fits", want: with(basic, compiling)},
		{
			name: "the cross compiler lacks a patch that is known",
			native: func(tree map[string]string) {
				tree["usr/bin/aarch64-linux-gnu-gcc-12"] = fakeELF(t, "x86_64", unpatched)
			},
			want:     without(with(basic, compiling), lto1),
			options:  []string{"-fstack-protector*", "-fstack-clash-protection"},
			emulated: map[string]string{lto1: "12.2.0 (Debian 12.2.0-14) compiles some options differently"},
		},
		{
			name: "the compilers differ in what is not known",
			native: func(tree map[string]string) {
				tree["usr/bin/aarch64-linux-gnu-gcc-12"] = fakeELF(t, "x86_64", strange)
			},
			want:     basic,
			emulated: map[string]string{"compilers and binutils": "GCC is 12.2.0 (Debian 12.2.0-14+deb12u1) in the image and 12.2.0 (Debian 12.2.0-99) in the native root"},
		},
		{
			name: "a compiler that hides its version",
			image: func(tree map[string]string) {
				tree["usr/bin/aarch64-linux-gnu-gcc-12"] = fakeELF(t, "aarch64", "")
			},
			want:     basic,
			emulated: map[string]string{"compilers and binutils": "/usr/bin/aarch64-linux-gnu-gcc-12 does not tell its version"},
		},
		{
			name: "binutils differ",
			native: func(tree map[string]string) {
				tree["usr/bin/aarch64-linux-gnu-as"] = fakeELF(t, "x86_64", "(GNU Binutils for Debian) 2.41")
			},
			want:     basic,
			emulated: map[string]string{"compilers and binutils": "2.41 in the native root"},
		},
		{
			name:     "no cross compiler for one language of the image",
			native:   func(tree map[string]string) { delete(tree, "usr/lib/gcc-cross/aarch64-linux-gnu/12/cc1plus") },
			want:     basic,
			emulated: map[string]string{"compilers and binutils": "cc1plus of the x86_64 root does not exist"},
		},
		{
			name:     "the image has headers where cross compilers do not look",
			image:    func(tree map[string]string) { tree["usr/local/include/x.h"] = "" },
			want:     basic,
			emulated: map[string]string{"compilers and binutils": "/usr/local/include"},
		},
		{
			name: "no compiler in the image",
			image: func(tree map[string]string) {
				maps.DeleteFunc(tree, func(name, _ string) bool { return strings.HasPrefix(name, "usr/lib/gcc/") })
			},
			want:     basic,
			emulated: map[string]string{"compilers and binutils": "no GCC"},
		},
		{
			name:     "a tool without its library",
			native:   func(tree map[string]string) { tree["usr/bin/sed"] = fakeELF(t, "x86_64", "", "libgone.so.1") },
			want:     without(with(basic, compiling), "/usr/bin/sed"),
			emulated: map[string]string{"/usr/bin/sed": "/usr/bin/sed needs libgone.so.1"},
		},
		{
			name: "a tool that is a link, one that is many, and one that the native root lacks",
			image: func(tree map[string]string) {
				tree["usr/bin/xz"] = "-> ../libexec/xz"
				tree["usr/libexec/xz"] = tree["usr/bin/sed"]
				tree["usr/bin/m4"] = tree["usr/bin/sed"]
				tree["usr/bin/ls"] = "-> busybox"
				tree["usr/bin/busybox"] = tree["usr/bin/sed"]
			},
			native: func(tree map[string]string) {
				tree["usr/bin/xz"] = tree["usr/bin/sed"]
				tree["usr/bin/ls"] = tree["usr/bin/sed"]
			},
			want:     with(basic, compiling, map[string]string{"/usr/libexec/xz": "native/usr/bin/xz"}),
			emulated: map[string]string{"/usr/bin/m4": "/usr/bin/m4 of the x86_64 root does not exist"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			native, image := nativeTree(t), imageTree(t)
			if c.native != nil {
				c.native(native)
			}
			if c.image != nil {
				c.image(image)
			}
			dirs := map[string]string{"native": layer(t, native), "image": layer(t, image), "launchers": t.TempDir()}
			plan, err := New(
				Root{Arch: "x86_64", Digest: "n", Layers: []string{dirs["native"]}},
				Root{Arch: "aarch64", Digest: "i", Layers: []string{dirs["image"]}}, dirs["launchers"])
			require.NoError(t, err)

			require.Equal(t, c.want, places(dirs, plan.Mounts))
			require.True(t, slices.IsSortedFunc(plan.Mounts, func(x, y sandbox.Mount) int { return strings.Compare(x.Destination, y.Destination) }))
			require.Len(t, plan.Emulated, len(c.emulated))
			for _, e := range plan.Emulated {
				require.Contains(t, c.emulated, e.What)
				require.Contains(t, e.Reason, c.emulated[e.What])
			}
			if _, compiles := c.want["/usr/bin/aarch64-linux-gnu-as"]; compiles {
				require.Len(t, plan.Compilers, 1)
				require.Equal(t, c.options, plan.Compilers[0].OwnOptions)
			} else {
				require.Empty(t, plan.Compilers)
			}
			require.Equal(t, []string{"HOSTTYPE=aarch64", "MACHTYPE=aarch64-unknown-linux-gnu", "MAKE_HOST=aarch64-unknown-linux-gnu"}, plan.Env)
		})
	}
}

func TestNewUnavailable(t *testing.T) {
	dir := t.TempDir()
	native := layer(t, nativeTree(t))
	for _, c := range []struct {
		name          string
		native, image Root
		reason        string
	}{
		{"same", Root{Arch: "x86_64"}, Root{Arch: "x86_64"}, "the image is native (x86_64)"},
		{"host", Root{Arch: "riscv64"}, Root{Arch: "x86_64"}, "architecture riscv64 of the host is not known"},
		{"image", Root{Arch: "x86_64"}, Root{Arch: "s390x"}, "architecture s390x of the image is not known"},
		{"empty", Root{Arch: "x86_64", Layers: []string{dir}}, Root{Arch: "aarch64", Layers: []string{dir}}, "/lib64/ld-linux-x86-64.so.2 of the x86_64 root does not exist"},
		{"foreign", Root{Arch: "aarch64", Layers: []string{native}}, Root{Arch: "x86_64", Layers: []string{dir}}, "/lib/ld-linux-aarch64.so.1 of the aarch64 root does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(c.native, c.image, t.TempDir())
			var unavailable *UnavailableError
			require.ErrorAs(t, err, &unavailable)
			require.Equal(t, c.reason, unavailable.Reason)
		})
	}
}

// TestDigest: the digest is that of what builds see, wherever it lies.
func TestDigest(t *testing.T) {
	digest := func(native, image string, change func(tree map[string]string)) string {
		tree := nativeTree(t)
		if change != nil {
			change(tree)
		}
		plan, err := New(
			Root{Arch: "x86_64", Digest: native, Layers: []string{layer(t, tree)}},
			Root{Arch: "aarch64", Digest: image, Layers: []string{layer(t, imageTree(t))}}, t.TempDir())
		require.NoError(t, err)
		return plan.Digest
	}
	first := digest("n", "i", nil)
	require.Equal(t, first, digest("n", "i", nil))
	require.NotEqual(t, first, digest("m", "i", nil))
	require.NotEqual(t, first, digest("n", "j", nil))
	require.NotEqual(t, first, digest("n", "i", func(tree map[string]string) { delete(tree, "usr/bin/sed") }))
}

// FuzzProgram: files of an image may hold anything.
func FuzzProgram(f *testing.F) {
	f.Add([]byte("#!/bin/sh\n"))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tool"), content, 0o755))
		p, err := Root{Arch: "aarch64", Layers: []string{dir}}.program("/tool")
		if err == nil {
			require.Equal(t, filepath.Join(dir, "tool"), p.Source)
			return
		}
		require.ErrorAs(t, err, new(*unfit))
	})
}
