package lint

import (
	"bytes"
	"debug/elf"
	"debug/pe"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
)

// checkForeign finds boot loaders and programs for one architecture in packages
// for another: among the files beside the spec, in %files, in the names of
// packages and in those of sources.
func checkForeign(l *linter) error {
	for _, s := range l.specs {
		if s.recipe.Kind == recipes.MetaPackage {
			continue
		}
		if err := l.checkBinaries(s); err != nil {
			return err
		}
		for _, e := range s.evaluated {
			if e.Result == nil {
				continue
			}
			l.checkSourceNames(s, e)
			for i := range e.Result.Packages {
				l.checkPackageName(s, e, &e.Result.Packages[i])
			}
		}
		l.checkFiles(s)
	}
	return nil
}

// checkBinaries looks into the files of SOURCES.
func (l *linter) checkBinaries(s *specFile) error {
	for _, f := range s.recipe.Sources {
		data, err := l.in.Catalog.Read(f)
		if err != nil {
			return err
		}
		format, arch := machine(data)
		if format == "" {
			continue
		}
		var foreign []*Evaluated
		for _, e := range s.evaluated {
			if e.Err == nil && !runsOn(arch, e.Variant.Arch) && !ownedBy(s.recipe, arch) {
				foreign = append(foreign, e)
			}
		}
		if len(foreign) > 0 {
			message := fmt.Sprintf("%s is %s for %s, and the recipe is built for other architectures too", f.Name, format, arch)
			hint := "build it from source, or let the recipe exclude the other architectures, with a reason"
			l.findings.add(place{file: f.Path}.finding(ruleForeign, Error, message, hint), foreign...)
			l.readBy[f.Path] = s.evaluated
		}
	}
	return nil
}

// ownedBy says whether only one architecture builds a recipe for all.
func ownedBy(r *recipes.Recipe, arch string) bool { return r.Noarch == arch && arch != "" }

// runsOn says whether what is made for one architecture belongs on another. What
// is for all 32-bit PCs does on x86_64: firmware and boot loaders start in it.
func runsOn(arch, on string) bool {
	return arch == on || arch == "i386" && on == "x86_64"
}

// machine is the format and architecture of an ELF or PE file; both are empty for
// anything else. Only the first headers are read.
func machine(data []byte) (format, arch string) {
	switch {
	case len(data) >= 20 && bytes.HasPrefix(data, []byte(elf.ELFMAG)):
		m := uint16(data[18]) | uint16(data[19])<<8
		if elf.Data(data[elf.EI_DATA]) == elf.ELFDATA2MSB {
			m = uint16(data[18])<<8 | uint16(data[19])
		}
		return "an ELF file", elfMachine(elf.Machine(m))
	case len(data) >= 64 && bytes.HasPrefix(data, []byte("MZ")):
		// The offset of the PE header is at 0x3c (PE format: MS-DOS stub).
		at := int64(data[0x3c]) | int64(data[0x3d])<<8 | int64(data[0x3e])<<16 | int64(data[0x3f])<<24
		if at+6 > int64(len(data)) || !bytes.HasPrefix(data[at:], []byte("PE\x00\x00")) {
			return "", ""
		}
		return "an EFI or Windows file", peMachine(uint16(data[at+4]) | uint16(data[at+5])<<8)
	}
	return "", ""
}

func elfMachine(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "x86_64"
	case elf.EM_386:
		return "i386"
	case elf.EM_AARCH64:
		return "aarch64"
	}
	return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
}

func peMachine(m uint16) string {
	switch m {
	case pe.IMAGE_FILE_MACHINE_AMD64:
		return "x86_64"
	case pe.IMAGE_FILE_MACHINE_I386:
		return "i386"
	case pe.IMAGE_FILE_MACHINE_ARM64:
		return "aarch64"
	}
	return fmt.Sprintf("machine %#x", m)
}

// Marks that tell for which architecture a file is. Those of boot loaders are
// known by name (EFI specification 3.5.1.1: removable media boot behaviour; the
// names that syslinux, iPXE and GRUB install).
var bootNames = []struct {
	pattern *regexp.Regexp
	arch    string
}{
	{regexp.MustCompile(`(?i)^(g?l?pxelinux\.0|gpxelinux\.0|undionly\.k?k?pxe|.*\.kk?pxe|ipxe\.lkrn|isolinux\.bin|memdisk|.*\.c32|ldlinux\.e64)$`), "x86_64"},
	{regexp.MustCompile(`(?i)^(boot|grub|shim|mm|fb|gcd)x64.*\.efi(\.signed)?$`), "x86_64"},
	{regexp.MustCompile(`(?i)^(boot|grub|shim|mm|fb|gcd)ia32.*\.efi(\.signed)?$`), "i386"},
	{regexp.MustCompile(`(?i)^(boot|grub|shim|mm|fb|gcd)aa64.*\.efi(\.signed)?$`), "aarch64"},
	{regexp.MustCompile(`^(bin-x86_64-(efi|pcbios|linux)|x86_64-efi(-signed)?)$`), "x86_64"},
	{regexp.MustCompile(`^(bin-i386-(efi|pcbios|linux)|i386-(efi|pc))$`), "i386"},
	{regexp.MustCompile(`^(bin-arm64-(efi|linux)|arm64-efi(-signed)?)$`), "aarch64"},
	{regexp.MustCompile(`(?i)^(snponly|ipxe|snp)[-_](x86_64|x64)\.efi$`), "x86_64"},
	{regexp.MustCompile(`(?i)^(snponly|ipxe|snp)[-_](aarch64|arm64|aa64)\.efi$`), "aarch64"},
	{regexp.MustCompile(`^ld-linux-x86-64\.so\.[0-9]+$`), "x86_64"},
	{regexp.MustCompile(`^ld-linux-aarch64\.so\.[0-9]+$`), "aarch64"},
}

var archWord = regexp.MustCompile(`(^|[-_.])(x86_64|x86-64|amd64|aarch64|arm64)([-_.]|$)`)

// archOf is the architecture that a file's name tells, whether it is that of a
// boot loader, or empty.
func archOf(name string) (arch string, boot bool) {
	for _, b := range bootNames {
		if b.pattern.MatchString(name) {
			return b.arch, true
		}
	}
	if m := archWord.FindStringSubmatch(name); m != nil {
		return canonical(m[2]), false
	}
	return "", false
}

func canonical(arch string) string {
	switch arch {
	case "x86-64", "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return arch
}

// checkFiles looks at the paths in %files of packages that are really built.
func (l *linter) checkFiles(s *specFile) {
	for _, line := range s.text.Files() {
		arch, boot, name := pathArch(line.Text)
		if arch == "" {
			continue
		}
		for _, e := range s.evaluated {
			if e.Result == nil || !line.When.Holds(e.Variant.Arch) || ownedBy(s.recipe, arch) {
				continue
			}
			p := packageOf(e, line.Section.Args)
			if p == nil {
				continue
			}
			severity := Warning
			var message, hint string
			switch named, _ := archOf(p.Name); {
			case p.Arch == noarch && (named != "" || !boot || len(l.architectures(e, p)) < 2):
				continue
			case p.Arch == noarch:
				message = fmt.Sprintf("%s is for %s, in a noarch package that each architecture builds: whichever is published last decides whether it is there", name, arch)
				hint = "put the architecture into the package's name, under %ifarch, or name in recipe.yaml who builds it: noarch: " + arch
			case runsOn(arch, e.Variant.Arch):
				continue
			default:
				if boot {
					severity = Error
				}
				message = fmt.Sprintf("%s is for %s, in a package that is built for %s", name, arch, e.Variant.Arch)
				hint = fmt.Sprintf("put it under %%ifarch %s, and its own counterpart under the others", arch)
			}
			l.findings.add(s.at(line.Position).finding(ruleForeign, severity, message, hint, p.Name), e)
		}
	}
}

// pathArch finds the part of a path that tells an architecture; a boot loader's
// counts more.
func pathArch(text string) (arch string, boot bool, name string) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return "", false, ""
	}
	for _, part := range strings.Split(fields[len(fields)-1], "/") {
		a, b := archOf(part)
		if a != "" && (arch == "" || b && !boot) {
			arch, boot, name = a, b, part
		}
	}
	return arch, boot, name
}

// packageOf is the package that a %files section is of, when it is built.
func packageOf(e *Evaluated, args string) *headers.Header {
	main := e.Result.Source.Name
	pattern := main
	fields := strings.Fields(args)
	for i := 0; i < len(fields); i++ {
		switch {
		case fields[i] == "-f":
			i++
		case fields[i] == "-n" && i+1 < len(fields):
			i++
			pattern = wildcards(fields[i])
		default:
			pattern = main + "-" + wildcards(fields[i])
		}
	}
	packages := e.packages()
	for i := range packages {
		if matches(pattern, packages[i].Name) {
			return &packages[i]
		}
	}
	return nil
}

// architectures are those that build a package of one name for a target.
func (l *linter) architectures(e *Evaluated, h *headers.Header) []string {
	var archs []string
	for _, p := range l.world(e.Variant.Target, e.Variant.Arch).names[h.Name] {
		if a := p.by.Variant.Arch; !slices.Contains(archs, a) {
			archs = append(archs, a)
		}
	}
	return archs
}

// checkPackageName looks at packages that are named after an architecture.
func (l *linter) checkPackageName(s *specFile, e *Evaluated, h *headers.Header) {
	arch, _ := archOf(h.Name)
	if arch == "" || arch == e.Variant.Arch || ownedBy(s.recipe, e.Variant.Arch) {
		return
	}
	at := s.findPackage(e, h.Name)
	message := fmt.Sprintf("the package is named after %s, and built for %s too", arch, e.Variant.Arch)
	hint := "build it under %ifarch " + arch + " only: here it would be empty, or hold the wrong architecture's files"
	l.findings.add(at.finding(ruleForeign, Error, message, hint, h.Name), e)
}

// checkSourceNames looks at sources that are named after another architecture,
// when none is named after the one that is built for.
func (l *linter) checkSourceNames(s *specFile, e *Evaluated) {
	native := slices.ContainsFunc(e.Result.Source.Sources, func(name string) bool {
		arch, _ := archOf(path.Base(name))
		return arch == e.Variant.Arch
	})
	if native || s.recipe.Noarch != "" {
		return
	}
	for _, name := range e.Result.Source.Sources {
		arch, boot := archOf(name)
		if arch == "" || runsOn(arch, e.Variant.Arch) {
			continue
		}
		severity := Warning
		if boot {
			severity = Error
		}
		at, _ := s.findSource(name, e.Variant, "Source")
		message := fmt.Sprintf("the source %s is for %s, and there is none for %s", name, arch, e.Variant.Arch)
		hint := fmt.Sprintf("name a source for each architecture, or exclude %s with a reason", e.Variant.Arch)
		l.findings.add(at.finding(ruleForeign, severity, message, hint), e)
	}
}
