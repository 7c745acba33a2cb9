package bridge

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// machines are the ELF machines of architectures.
var machines = map[string]elf.Machine{"x86_64": elf.EM_X86_64, "aarch64": elf.EM_AARCH64}

// sonames are the libraries that the dynamic loader finds by name, with their
// symbol versions. Libraries elsewhere are their programs' own affair.
func (s System) sonames() ([]string, error) {
	folders, err := s.libraryFolders()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, dir := range folders {
		names, err := s.list(dir)
		if err != nil {
			return nil, fmt.Errorf("looking for libraries: %w", err)
		}
		for _, name := range names {
			if !strings.Contains(name, ".so") {
				continue
			}
			real, err := s.resolve(path.Join(dir, name))
			if err != nil {
				return nil, err
			}
			if fi, err := os.Stat(real); err != nil || !fi.Mode().IsRegular() {
				continue
			}
			soname, provides, err := elfProvides(real, machines[s.Arch])
			if err != nil {
				var format *elf.FormatError
				if errors.As(err, &format) {
					continue // a linker script
				}
				return nil, fmt.Errorf("reading %s: %w", path.Join(dir, name), err)
			}
			if soname == name {
				found = append(found, provides...)
			}
		}
	}
	return found, nil
}

// elfProvides returns a library's soname and what rpm says that it provides (rpm:
// tools/elfdeps.c). A file for another machine provides nothing.
func elfProvides(file string, machine elf.Machine) (soname string, provides []string, err error) {
	f, err := elf.Open(file)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	if f.Type != elf.ET_DYN || f.Machine != machine {
		return "", nil, nil
	}
	names, err := f.DynString(elf.DT_SONAME)
	if err != nil || len(names) == 0 || !strings.Contains(names[0], ".so") {
		return "", nil, nil //nolint:nilerr // a file without a dynamic section is no library
	}
	soname = names[0]
	mark := ""
	if f.Class == elf.ELFCLASS64 {
		mark = "(64bit)"
	}
	provides = []string{soname + "()" + mark}
	if f.SectionByType(elf.SHT_GNU_VERDEF) == nil {
		return soname, provides, nil
	}
	versions, err := f.DynamicVersions()
	if err != nil {
		return "", nil, err
	}
	for _, v := range versions {
		if v.Flags&elf.VER_FLG_BASE == 0 { // the base version is the file's own name
			provides = append(provides, soname+"("+v.Name+")"+mark)
		}
	}
	return soname, provides, nil
}

// libraryFolders are where the dynamic loader looks (ld.so(8)), each once.
func (s System) libraryFolders() ([]string, error) {
	folders, err := s.loaderConf("etc/ld.so.conf", 0)
	if err != nil {
		return nil, fmt.Errorf("reading where libraries are: %w", err)
	}
	folders = append(folders, "/lib", "/usr/lib", "/lib64", "/usr/lib64")
	seen := map[string]bool{}
	return slices.DeleteFunc(folders, func(dir string) bool {
		real, err := s.resolve(dir)
		if err != nil || seen[real] {
			return true
		}
		seen[real] = true
		return false
	}), nil
}

// loaderConf reads the loader's configuration with what it includes.
func (s System) loaderConf(name string, depth int) ([]string, error) {
	if depth > 4 {
		return nil, fmt.Errorf("%s is included too deeply", name)
	}
	text, err := s.text(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var folders []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		pattern, included := strings.CutPrefix(line, "include ")
		switch {
		case included:
			dir, glob := path.Split(strings.TrimSpace(pattern))
			names, err := s.list(dir)
			if err != nil {
				return nil, err
			}
			for _, n := range names {
				if ok, _ := path.Match(glob, n); !ok {
					continue
				}
				more, err := s.loaderConf(path.Join(dir, n), depth+1)
				if err != nil {
					return nil, err
				}
				folders = append(folders, more...)
			}
		case path.IsAbs(line):
			folders = append(folders, line)
		}
	}
	return folders, nil
}
