package toolchain

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/emulate/toolchain/overlay"
)

// Root is a root file system as its overlay layers.
type Root struct {
	Arch   string   // as rpm calls it: x86_64, aarch64
	Digest string   // of what the layers hold
	Layers []string // folders, the uppermost first
}

func (r Root) overlay() overlay.Layers { return r.Layers }

// program is an ELF file of a root: an executable or a library.
type program struct {
	overlay.Entry
	needed []string // sonames
}

// unfit says why a program cannot stand in for another.
type unfit struct{ reason string }

func (e *unfit) Error() string { return e.reason }

// unfitting hands the reason to then when err is an *unfit.
func unfitting(err error, then func(reason string) error) error {
	var u *unfit
	if errors.As(err, &u) {
		return then(u.reason)
	}
	return err
}

// program finds an ELF file of the root's architecture.
func (r Root) program(name string) (program, error) {
	where := name + " of the " + r.Arch + " root"
	e, err := r.overlay().Find(name)
	if errors.Is(err, fs.ErrNotExist) {
		return program{}, &unfit{where + " does not exist"}
	} else if err != nil {
		return program{}, err
	}
	if fi, err := os.Lstat(e.Source); err != nil || !fi.Mode().IsRegular() {
		return program{}, &unfit{where + " is not a file"}
	}
	raw, err := os.Open(e.Source)
	if err != nil {
		return program{}, err
	}
	defer raw.Close()
	f, err := elf.NewFile(raw)
	if err != nil {
		return program{}, &unfit{where + " is not an ELF file"}
	}
	system := systems[r.Arch]
	if f.Machine != system.elf {
		return program{}, &unfit{fmt.Sprintf("%s is for %s", where, f.Machine)}
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		loader, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
		if got := strings.TrimRight(string(loader), "\x00"); err != nil || got != system.loader {
			return program{}, &unfit{fmt.Sprintf("%s has the loader %q", where, got)}
		}
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		return program{}, &unfit{fmt.Sprintf("%s: %v", where, err)}
	}
	return program{Entry: e, needed: needed}, nil
}

// libraries returns what a native program loads, by soname. The loader has no cache
// for them inside the image and looks into its default folders, which is where they
// are mounted.
func (p *planner) libraries(f program) (map[string]program, error) {
	found := map[string]program{}
	todo := f.needed
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if _, ok := found[name]; ok || name == path.Base(p.host.loader) {
			continue
		}
		if strings.Contains(name, "/") {
			return nil, &unfit{fmt.Sprintf("%s needs the library %s by its path", f.Path, name)}
		}
		library, known := p.loaded[name]
		var err error
		if !known {
			library, err = p.native.program(path.Join("/usr/lib", p.host.triplet, name))
		}
		if errors.As(err, new(*unfit)) {
			library, err = p.native.program(path.Join("/lib", p.host.triplet, name))
		}
		if err != nil {
			return nil, unfitting(err, func(reason string) error {
				return &unfit{f.Path + " needs " + name + ": " + reason}
			})
		}
		p.loaded[name] = library
		found[name] = library
		todo = append(todo, library.needed...)
	}
	return found, nil
}

// GCC and binutils carry their versions as text: "12.2.0", "(Debian 12.2.0-14) "
// (version.cc) and "(GNU Binutils for Debian) 2.40" (bfdver.h).
var (
	gccRelease      = regexp.MustCompile(`\x00(\d+\.\d+\.\d+)\x00`)
	gccBuild        = regexp.MustCompile(`\x00(\([^()\x00]{1,100}\)) \x00`)
	binutilsVersion = regexp.MustCompile(`\(GNU Binutils[^()\x00]{0,100}\) [0-9.]+`)
)

// maxProgram bounds what is searched for versions, in bytes. A driver of GCC has
// 1.3 MB, an assembler 0.5 MB.
const maxProgram = 64 << 20

// text reads the whole program.
func (f program) text() ([]byte, error) {
	file, err := os.Open(f.Source)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxProgram))
}

// gcc is the version of a driver: "12.2.0 (Debian 12.2.0-14)".
func (f program) gcc() (string, error) {
	text, err := f.text()
	if err != nil {
		return "", err
	}
	release, build := gccRelease.FindSubmatch(text), gccBuild.FindSubmatch(text)
	if release == nil || build == nil {
		return "", &unfit{f.Path + " does not tell its version"}
	}
	return fmt.Sprintf("%s %s", release[1], build[1]), nil
}

// binutils is the version of an assembler: "(GNU Binutils for Debian) 2.40".
func (f program) binutils() (string, error) {
	text, err := f.text()
	if err != nil {
		return "", err
	}
	version := binutilsVersion.Find(text)
	if version == nil {
		return "", &unfit{f.Path + " does not tell its version"}
	}
	return string(version), nil
}
