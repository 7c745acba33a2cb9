package content

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
	"github.com/ohpc-build/ohpc-build/validate/content/binary"
)

// initramfs is a cpio archive of entries: a name, and behind = what is in it. A script or
// code can be executed, a name that ends in @ is a link.
func initramfs(entries ...string) []byte {
	var b bytes.Buffer
	add := func(name string, mode int, content string) {
		fmt.Fprintf(&b, "070701%08x%08x%024x%08x%08x%032x%08x%08x%s\x00", 0, mode, 0, 0, len(content), 0, len(name)+1, 0, name)
		b.Write(make([]byte, -b.Len()&3))
		b.WriteString(content)
		b.Write(make([]byte, -b.Len()&3))
	}
	for _, e := range entries {
		name, content, _ := strings.Cut(e, "=")
		if link, ok := strings.CutSuffix(name, "@"); ok {
			add(link, modeLink|0o777, content)
			continue
		}
		add(name, program, content)
	}
	add("TRAILER!!!", 0, "")
	return b.Bytes()
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return packed.Bytes()
}

func xzed(t *testing.T, b []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := xz.NewWriter(&packed)
	require.NoError(t, err)
	_, err = w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return packed.Bytes()
}

func zstded(t *testing.T, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return w.EncodeAll(b, nil)
}

func TestPackedFiles(t *testing.T) {
	foreign, own := string(object(amd64, "")), string(object(arm64, ""))
	early := initramfs("kernel/x86/microcode/GenuineIntel.bin=microcode")
	for name, tc := range map[string]struct {
		arch string
		data []byte
		want string // the rule
		says string
	}{
		"own module":             {"aarch64", xzed(t, object(arm64, "")), "", ""},
		"foreign module of gzip": {"aarch64", gzipped(t, object(amd64, "")), "machine", "what is compressed in it is an ELF for x86_64 in a package for aarch64"},
		"foreign module of xz":   {"aarch64", xzed(t, object(amd64, "")), "machine", "what is compressed in it is an ELF for x86_64"},
		"foreign module of zstd": {"aarch64", zstded(t, object(amd64, "")), "machine", "what is compressed in it is an ELF for x86_64"},
		"compressed for all":     {"noarch", zstded(t, object(amd64, "")), "noarch-code", "what is compressed in it is an ELF for x86_64 in a package for all machines"},
		"compressed kernel":      {"x86_64", gzipped(t, efi(0xaa64)), "machine", "what is compressed in it is an EFI program for aarch64"},
		"compressed text":        {"noarch", gzipped(t, []byte("see the manual")), "", ""},

		"own initramfs":        {"aarch64", gzipped(t, initramfs("init=#!/bin/sh\n", "bin@=usr/bin", "usr/bin/sh="+own)), "", ""},
		"foreign initramfs":    {"aarch64", gzipped(t, initramfs("bin/a="+own, "bin/sh="+foreign, "bin/more="+foreign)), "machine", "its member bin/sh is an ELF for x86_64"},
		"behind microcode":     {"aarch64", append(early, zstded(t, initramfs("bin/sh="+foreign))...), "machine", "its member bin/sh is an ELF for x86_64"},
		"foreign module in it": {"aarch64", xzed(t, initramfs("lib/modules/6.1/x.ko.xz="+string(xzed(t, []byte(foreign))))), "machine", "its member lib/modules/6.1/x.ko.xz is an ELF for x86_64"},
		"foreign EFI in it":    {"x86_64", initramfs("boot/ipxe.efi=" + string(efi(0xaa64))), "machine", "its member boot/ipxe.efi is an EFI program for aarch64"},
		"BIOS program in it":   {"aarch64", initramfs("tftp/pxelinux.0=\xea\x00"), "machine", "its member tftp/pxelinux.0 is a BIOS boot program for x86_64"},
		"broken":               {"aarch64", gzipped(t, initramfs("bin/sh=" + own)[:150]), "malformed", "cannot be unpacked"},

		"no interpreter in it":      {"noarch", initramfs("init=#!/bin/sh\n", "more=#!/bin/sh\n"), "interpreter", "its member init is a script, and its interpreter /bin/sh is not in the archive"},
		"over links":                {"noarch", initramfs("init=#!/bin/sh\n", "bin@=usr/bin", "usr/bin/sh@=../../opt/dash", "opt/dash=x"), "", ""},
		"a link to nothing":         {"noarch", initramfs("init=#!/bin/sh\n", "bin/sh@=dash"), "interpreter", "/bin/sh is not in the archive"},
		"a link to itself":          {"noarch", initramfs("init=#!/bin/sh\n", "bin/sh@=/bin/sh"), "interpreter", "/bin/sh is not in the archive"},
		"links are made when it is": {"noarch", initramfs("init=#!/bin/sh\n", "bin/busybox=x"), "", ""},
		"laid over another":         {"noarch", initramfs("hooks/50-net=#!/bin/sh\n"), "", ""},
		"a wrong first line in it":  {"noarch", initramfs("hooks/50-net=#!/bin/sh\r\n"), "interpreter", "its member hooks/50-net is a script: its first line ends in a carriage return"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := inspected(t, tc.arch, write.File{Path: "/boot/file", Data: tc.data})
			if tc.want == "" {
				require.Empty(t, r.Findings)
				require.Empty(t, r.Scripts, "they are none of the image's business")
				return
			}
			require.Len(t, r.Findings, 1, "%v", r.Findings)
			require.Equal(t, Rule(tc.want), r.Findings[0].Rule)
			require.Contains(t, r.Findings[0].What, tc.says)
			require.Equal(t, "/boot/file", r.Findings[0].Path)
			require.Equal(t, r.Findings[0].Warning(), r.Findings[0].Mend == "")
		})
	}
}

// TestPackedBomb stops where it has cost enough, and looks at the files that follow.
func TestPackedBomb(t *testing.T) {
	bomb := gzipped(t, append(initramfs("a=x"), make([]byte, 64<<20)...))
	p, b := made(t, "aarch64", write.File{Path: "/a", Data: bomb}, write.File{Path: "/b", Data: object(amd64, "")})
	in := &inspection{room: 1 << 20, report: &Report{Package: p.NEVRA(), Arch: p.Arch}, files: map[string]rpm.File{}}
	require.NoError(t, in.run(t.Context(), p, bytes.NewReader(b)))
	require.Len(t, in.report.Findings, 2)
	require.Contains(t, in.report.Findings[0].What, "more than is looked into")
	require.Equal(t, Machine, in.report.Findings[1].Rule)
}

// TestNamesAreBounded: an archive of hardly anything but names is no way to fill memory.
func TestNamesAreBounded(t *testing.T) {
	p := &packed{names: map[string]bool{}, links: map[string]string{}}
	long := strings.Repeat("x", 4000)
	n := 0
	for ; n < 1<<20; n++ {
		if err := p.visit(binary.Inner{Name: fmt.Sprint(n, long), Mode: modeLink, Head: []byte(long[:400])}); err != nil {
			require.ErrorIs(t, err, binary.ErrPacked)
			require.ErrorContains(t, err, "longer than 67108864 bytes")
			break
		}
	}
	require.InDelta(t, maxNames/4400, n, 100)
}
