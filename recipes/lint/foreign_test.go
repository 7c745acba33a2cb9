package lint_test

import (
	"debug/elf"
	"debug/pe"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/lint"
)

// elfFile is as much of an ELF file as it takes to know its architecture.
func elfFile(m elf.Machine) []byte {
	data := make([]byte, 64)
	copy(data, elf.ELFMAG)
	data[elf.EI_CLASS], data[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
	binary.LittleEndian.PutUint16(data[18:], uint16(m))
	return data
}

func efiFile(machine uint16) []byte {
	data := make([]byte, 256)
	copy(data, "MZ")
	binary.LittleEndian.PutUint32(data[0x3c:], 128)
	copy(data[128:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(data[132:], machine)
	return data
}

func TestBinariesInSources(t *testing.T) {
	truncated := efiFile(pe.IMAGE_FILE_MACHINE_AMD64)[:130]
	far := efiFile(pe.IMAGE_FILE_MACHINE_AMD64)
	binary.LittleEndian.PutUint32(far[0x3c:], 0xffffffff)
	big := elfFile(elf.EM_NONE)
	big[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	binary.BigEndian.PutUint16(big[18:], uint16(elf.EM_S390))
	for name, tc := range map[string]struct {
		data   []byte
		change func(*recipes.Recipe)
		want   string // message and where
	}{
		"text":               {[]byte("#!/bin/sh\n"), nil, ""},
		"empty":              {nil, nil, ""},
		"ELF":                {elfFile(elf.EM_X86_64), nil, "an ELF file for x86_64, and the recipe is built for other architectures too @ aarch64"},
		"32-bit":             {elfFile(elf.EM_386), nil, "an ELF file for i386, and the recipe is built for other architectures too @ aarch64"},
		"ARM":                {elfFile(elf.EM_AARCH64), nil, "an ELF file for aarch64, and the recipe is built for other architectures too @ x86_64"},
		"neither":            {big, nil, "an ELF file for s390, and the recipe is built for other architectures too @ all"},
		"EFI":                {efiFile(pe.IMAGE_FILE_MACHINE_ARM64), nil, "an EFI or Windows file for aarch64, and the recipe is built for other architectures too @ x86_64"},
		"truncated":          {truncated, nil, ""},
		"header out of file": {far, nil, ""},
		"short ELF":          {elfFile(elf.EM_X86_64)[:19], nil, ""},
		"owned":              {elfFile(elf.EM_X86_64), noarch("x86_64"), ""},
		"owned by the other": {elfFile(elf.EM_X86_64), noarch("aarch64"), "an ELF file for x86_64, and the recipe is built for other architectures too @ aarch64"},
		"excluded": {elfFile(elf.EM_X86_64), func(r *recipes.Recipe) {
			r.Exclude = []recipes.Exclusion{{Arch: "aarch64", Reason: "r"}}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			r := b.recipe("boot", "")
			r.Sources = []recipes.File{b.file(r.Dir+"/SOURCES/loader", tc.data)}
			if tc.change != nil {
				tc.change(r)
			}
			var want []string
			if tc.want != "" {
				message, where := tc.want[:len(tc.want)-len(" @ aarch64")], " @ aarch64"
				for _, w := range []string{" @ all", " @ x86_64"} {
					if len(tc.want) > len(w) && tc.want[len(tc.want)-len(w):] == w {
						message, where = tc.want[:len(tc.want)-len(w)], w
					}
				}
				want = []string{"boot/SOURCES/loader:0:0 error loader is " + message +
					" => build it from source, or let the recipe exclude the other architectures, with a reason" + where}
			}
			require.Equal(t, want, b.check("foreign-binary"))
		})
	}
}

func TestForeignFiles(t *testing.T) {
	const files = "%description\n%files\n"
	for name, tc := range map[string]struct {
		text   string
		change func(*recipes.Recipe)
		want   []string
	}{
		"no boot files":    {files + "/usr/bin/x\n/boot/grub.cfg\n", nil, nil},
		"pxelinux":         {files + "/srv/tftp/pxelinux.0\n", nil, []string{"8:1 error pxelinux.0 is for x86_64, in a package that is built for aarch64 => put it under %ifarch x86_64, and its own counterpart under the others | boot-ohpc @ aarch64"}},
		"of ARM":           {files + "%attr(0644,root,root) /boot/efi/EFI/BOOT/BOOTAA64.EFI\n", nil, []string{"8:1 error BOOTAA64.EFI is for aarch64, in a package that is built for x86_64 => put it under %ifarch aarch64, and its own counterpart under the others | boot-ohpc @ x86_64"}},
		"of 32-bit PCs":    {files + "/srv/grubia32.efi\n", nil, []string{"8:1 error grubia32.efi is for i386, in a package that is built for aarch64 => put it under %ifarch i386, and its own counterpart under the others | boot-ohpc @ aarch64"}},
		"a folder":         {files + "/srv/ipxe/bin-arm64-efi\n", nil, []string{"8:1 error bin-arm64-efi is for aarch64, in a package that is built for x86_64 => put it under %ifarch aarch64, and its own counterpart under the others | boot-ohpc @ x86_64"}},
		"a word":           {files + "/opt/x-x86_64/y\n", nil, []string{"8:1 warning x-x86_64 is for x86_64, in a package that is built for aarch64 => put it under %ifarch x86_64, and its own counterpart under the others | boot-ohpc @ aarch64"}},
		"the right one":    {files + "%ifarch x86_64\n/srv/shimx64.efi\n%else\n/srv/shimaa64.efi\n%endif\n", nil, nil},
		"by the macro":     {files + "%if \"%{_arch}\" == \"x86_64\"\n/srv/snponly-x86_64.efi\n%endif\n/srv/x-%{_arch}\n", nil, nil},
		"the wrong one":    {files + "%ifarch aarch64\n/srv/shimx64.efi\n%endif\n", nil, []string{"9:1 error shimx64.efi is for x86_64, in a package that is built for aarch64 => put it under %ifarch x86_64, and its own counterpart under the others | boot-ohpc @ aarch64"}},
		"one architecture": {"ExclusiveArch: x86_64\n" + files + "/srv/pxelinux.0\n", nil, nil},
		"not built":        {"%description\n%files absent\n/srv/pxelinux.0\n%files\n", nil, nil},
		"noarch": {"BuildArch: noarch\n" + files + "/srv/pxelinux.0\n", nil, []string{
			"9:1 warning pxelinux.0 is for x86_64, in a noarch package that each architecture builds: whichever is published last decides whether it is there => put the architecture into the package's name, under %ifarch, or name in recipe.yaml who builds it: noarch: x86_64 | boot-ohpc @ all",
		}},
		"noarch with an owner": {"BuildArch: noarch\n" + files + "/srv/pxelinux.0\n", noarch("x86_64"), nil},
		"a package's name": {"%package efi-x86_64\nSummary: s\n%description efi-x86_64\n" + files + "%files efi-x86_64\n", nil, []string{
			"6:1 error the package is named after x86_64, and built for aarch64 too => build it under %ifarch x86_64 only: here it would be empty, or hold the wrong architecture's files | boot-ohpc-efi-x86_64 @ aarch64",
		}},
		"a package's right name": {"%package efi-%{_arch}\nSummary: s\nBuildArch: noarch\n%description efi-%{_arch}\n" + files +
			"%files efi-%{_arch}\n%ifarch x86_64\n/srv/pxelinux.0\n%endif\n", nil, nil},
		"a source": {"Source0: tool-linux-amd64.tar.gz\n", nil, []string{
			"6:10 warning the source tool-linux-amd64.tar.gz is for x86_64, and there is none for aarch64 => name a source for each architecture, or exclude aarch64 with a reason @ aarch64",
		}},
		"a boot loader as source": {"Source7: bootx64.efi\n", nil, []string{
			"6:10 error the source bootx64.efi is for x86_64, and there is none for aarch64 => name a source for each architecture, or exclude aarch64 with a reason @ aarch64",
		}},
		"a source for each": {"Source0: tool-linux-amd64.tar.gz\nSource1: tool-linux-arm64.tar.gz\nPatch0: fix-x86_64.patch\n", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.recipe("boot", tc.text, func(r *recipes.Recipe) {
				if tc.change != nil {
					tc.change(r)
				}
			})
			var want []string
			for _, w := range tc.want {
				want = append(want, "boot/SPECS/boot.spec:"+w)
			}
			require.Equal(t, want, b.check("foreign-binary"))
		})
	}
}

func TestSeverities(t *testing.T) {
	for _, s := range []lint.Severity{lint.Note, lint.Warning, lint.Error} {
		text, err := s.MarshalText()
		require.NoError(t, err)
		var back lint.Severity
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, s, back)
	}
}
