package write

import (
	"cmp"
	"crypto/md5"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Bounds on what is accepted. rpm allows more, and no package that is meant
// needs it.
const (
	maxName     = 4 << 10  // bytes of anything of one line
	maxText     = 1 << 20  // bytes of anything of several lines
	maxList     = 1 << 16  // elements of any list
	maxHeader   = 16 << 20 // bytes; what rpm before 4.14 reads
	maxContent  = 1 << 30  // bytes of all files
	maxFileName = 255      // bytes of the name of the package's own file
)

type architecture struct {
	number byte   // in the lead (rpm: rpmrc.in, arch_canon)
	isa    string // what the package provides its name with (rpm: installplatform)
}

var architectures = map[string]architecture{
	"noarch":      {255, ""},
	"x86_64":      {1, "x86-64"},
	"i586":        {1, "x86-32"},
	"i686":        {1, "x86-32"},
	"armv7hl":     {12, "armv7hl-32"},
	"s390x":       {15, "s390-64"},
	"ppc64le":     {16, "ppc-64"},
	"aarch64":     {19, "aarch-64"},
	"riscv64":     {22, "riscv-64"},
	"loongarch64": {23, "loongarch64-64"},
}

// check refuses what rpmbuild would not write, and what is out of bounds.
func (p *Package) check() error {
	if err := checkName(p.Name); err != nil {
		return fmt.Errorf("its name: %w", err)
	}
	if err := checkVersion(p.Version); err != nil {
		return fmt.Errorf("its version: %w", err)
	}
	if err := checkVersion(p.Release); err != nil {
		return fmt.Errorf("its release: %w", err)
	}
	if _, known := architectures[p.Arch]; !known {
		return fmt.Errorf("its architecture %q is not known", p.Arch)
	}
	if n := len(p.fileName()); n > maxFileName {
		return fmt.Errorf("the name of its file would have %d bytes, allowed are %d", n, maxFileName)
	}
	for _, check := range []func() error{p.checkTexts, p.checkOrigin, p.checkDependencies, p.checkChangelog, p.checkFiles} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Package) checkTexts() error {
	for _, text := range []struct {
		what, text string
		required   bool
	}{
		{"summary", p.Summary, true},
		{"license", p.License, true},
		{"group", p.Group, true},
		{"build host", p.BuildHost, true},
		{"URL", p.URL, false},
		{"vendor", p.Vendor, false},
		{"packager", p.Packager, false},
	} {
		if text.required && text.text == "" {
			return fmt.Errorf("it has no %s", text.what)
		}
		if err := checkLine(text.text); err != nil {
			return fmt.Errorf("its %s: %w", text.what, err)
		}
	}
	for what, word := range map[string]string{"URL": p.URL, "build host": p.BuildHost} {
		if strings.ContainsFunc(word, unicode.IsSpace) {
			return fmt.Errorf("its %s has spaces", what)
		}
	}
	if err := checkLines(p.Description); err != nil {
		return fmt.Errorf("its description: %w", err)
	}
	return nil
}

// checkOrigin checks when and from what the package was built.
func (p *Package) checkOrigin() error {
	if err := checkTime(p.BuildTime); err != nil {
		return fmt.Errorf("its build time: %w", err)
	}
	if p.Source {
		if p.SourceRPM != "" || p.SourceID != nil {
			return errors.New("a source package is not built from one")
		}
		for _, arch := range p.BuildArchs {
			if _, known := architectures[arch]; !known {
				return fmt.Errorf("its build architecture %q is not known", arch)
			}
		}
		return nil
	}
	if len(p.BuildArchs) > 0 {
		return errors.New("only a source package has architectures that it is to be built for")
	}
	if n := len(p.SourceID); n != 0 && n != md5.Size {
		return fmt.Errorf("the id of its source package has %d bytes, expected %d", n, md5.Size)
	}
	return checkSourceRPM(p.SourceRPM)
}

func checkSourceRPM(name string) error {
	if err := checkCharacters(name, "._+-~^"); err != nil || len(name) > maxFileName || !strings.HasSuffix(name, ".src.rpm") || !isWord(name[0]) {
		return fmt.Errorf("%q is not the file name of a source package", name)
	}
	return nil
}

func (p *Package) checkDependencies() error {
	for _, r := range p.relations() {
		if len(r.list) > maxList {
			return fmt.Errorf("it %s %d things, allowed are %d", r.what, len(r.list), maxList)
		}
		for _, d := range r.list {
			if err := r.check(d); err != nil {
				return fmt.Errorf("what it %s: %w", r.what, err)
			}
		}
	}
	return nil
}

func (p *Package) checkChangelog() error {
	if n := len(p.Changelog); n > maxList {
		return fmt.Errorf("its changelog has %d entries, allowed are %d", n, maxList)
	}
	if !slices.IsSortedFunc(p.Changelog, func(a, b rpm.Change) int { return cmp.Compare(b.Time, a.Time) }) {
		return errors.New("its changelog does not begin with the newest entry")
	}
	for i, c := range p.Changelog {
		if c.Author == "" || c.Text == "" {
			return fmt.Errorf("entry %d of its changelog has no author or no text", i+1)
		}
		for _, err := range []error{checkTime(time.Unix(c.Time, 0)), checkLine(c.Author), checkLines(c.Text)} {
			if err != nil {
				return fmt.Errorf("entry %d of its changelog: %w", i+1, err)
			}
		}
	}
	return nil
}

// checkFiles checks files in their final order.
func (p *Package) checkFiles() error {
	if n := len(p.Files); n > maxList {
		return fmt.Errorf("it has %d files, allowed are %d", n, maxList)
	}
	size, specs := 0, 0
	for i, f := range p.Files {
		if err := f.check(p.Source); err != nil {
			return fmt.Errorf("file %q: %w", f.Path, err)
		}
		if i > 0 && f.Path == p.Files[i-1].Path {
			return fmt.Errorf("file %q comes twice", f.Path)
		}
		if size += len(f.Data); size > maxContent {
			return fmt.Errorf("its files have more than %d bytes", maxContent)
		}
		if f.Flags&rpm.FileSpec != 0 {
			specs++
		}
	}
	if p.Source && specs != 1 {
		return fmt.Errorf("it has %d files that are marked as its spec; a source package has one", specs)
	}
	return nil
}

// fileFlags are those that a spec can give (rpm: PARSEATTR_MASK), the last two
// being %readme and %artifact.
const fileFlags = rpm.FileConfig | rpm.FileDoc | rpm.FileMissingOK | rpm.FileNoReplace | rpm.FileSpec | rpm.FileGhost | rpm.FileLicense |
	1<<8 | 1<<12

func (f File) check(source bool) error {
	for _, text := range []string{f.Path, f.User, f.Group, f.LinkTo} {
		if err := checkLine(text); err != nil {
			return err
		}
	}
	if err := checkTime(f.ModTime); err != nil {
		return err
	}
	if source {
		if f.Path == "" || f.Path == "." || f.Path == ".." || strings.Contains(f.Path, "/") {
			return errors.New("in a source package there are only names")
		}
	} else if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
		return errors.New("not an absolute path in its shortest form")
	}
	regular, link := false, false
	switch f.Mode & modeType {
	case modeRegular:
		regular = true
	case modeLink:
		link = true
	case modeDir:
	default:
		return fmt.Errorf("mode %o is neither a regular file nor a folder nor a symbolic link", f.Mode)
	}
	switch {
	case f.Flags&^fileFlags != 0:
		return fmt.Errorf("flags %#x have no meaning", uint32(f.Flags&^fileFlags))
	case source && !regular:
		return errors.New("in a source package there are only regular files")
	case !source && f.Flags&rpm.FileSpec != 0:
		return errors.New("only a source package has a spec")
	case link != (f.LinkTo != ""):
		return errors.New("a symbolic link, and nothing else, points somewhere")
	case len(f.Data) > 0 && (!regular || f.Flags&rpm.FileGhost != 0):
		return errors.New("only regular files that are not ghosts have content")
	}
	return nil
}

// checkName checks a package's name (rpm: parsePreamble.c, ALLOWED_CHARS_NAME).
func checkName(name string) error {
	if name == "" || !isWord(name[0]) {
		return fmt.Errorf("%q does not begin with a letter, a digit or '_'", name)
	}
	return checkCharacters(name, "._+-")
}

// checkVersion checks a version or a release (rpm: ALLOWED_CHARS_VERREL).
func checkVersion(version string) error {
	if version == "" {
		return errors.New("it is empty")
	}
	return checkCharacters(version, "._+~^")
}

func checkCharacters(text, others string) error {
	if len(text) > maxName {
		return fmt.Errorf("it has %d bytes, allowed are %d", len(text), maxName)
	}
	for i := range len(text) {
		if c := text[i]; !isWord(c) && strings.IndexByte(others, c) < 0 {
			return fmt.Errorf("%q has a %q; allowed are letters, digits and %s", text, c, others)
		}
	}
	if strings.Contains(text, "..") {
		return fmt.Errorf("%q has two dots in a row", text)
	}
	return nil
}

// isWord is for ASCII letters, digits and '_', which no locale changes.
func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

func checkLine(text string) error { return checkText(text, maxName, "") }

func checkLines(text string) error { return checkText(text, maxText, "\n\t") }

func checkText(text string, limit int, controls string) error {
	if len(text) > limit {
		return fmt.Errorf("it has %d bytes, allowed are %d", len(text), limit)
	}
	if !utf8.ValidString(text) {
		return errors.New("it is not UTF-8")
	}
	for i, r := range text {
		if unicode.IsControl(r) && !strings.ContainsRune(controls, r) {
			return fmt.Errorf("it has the control character %U at byte %d", r, i)
		}
	}
	return nil
}

// checkTime checks that a time can be written: unsigned 32-bit seconds.
func checkTime(t time.Time) error {
	if s := t.Unix(); s < 0 || s > math.MaxUint32 {
		return fmt.Errorf("%s is not between 1970 and 2106", t.UTC().Format(time.RFC3339))
	}
	return nil
}
