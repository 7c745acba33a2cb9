package bridge

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
)

// maxText bounds configuration files that are read whole, in bytes.
const maxText = 1 << 20

// System is an unpacked root file system.
type System struct {
	Root string // folder
	Arch string // rpm's name
}

// isas are what rpm calls the instruction sets in name(isa) (rpm: macros,
// %{_isa}).
var isas = map[string]string{"x86_64": "x86-64", "aarch64": "aarch-64"}

// legal matches what a spec file takes after Provides: as it stands.
var legal = regexp.MustCompile(`^[][A-Za-z0-9_./+@:(){}&,~^-]+( = [A-Za-z0-9._+~^]+)?$`)

// Provides returns all that the system provides, in order. The error says so when
// a package of the table is not installed: the table is wrong then.
func (s System) Provides(names Names) ([]string, error) {
	set := map[string]bool{"rtld(GNU_HASH)": true}
	for _, part := range []func() ([]string, error){
		s.sonames, s.programs, s.pkgConfig, s.perlModules, s.python,
		func() ([]string, error) { return s.packages(names) },
	} {
		some, err := part()
		if err != nil {
			return nil, err
		}
		for _, p := range some {
			if legal.MatchString(p) {
				set[p] = true
			}
		}
	}
	release, err := s.release()
	if err != nil {
		return nil, err
	}
	set["system-release(releasever) = "+release] = true // dnf: const.py, DISTROVERPKG
	return slices.Sorted(maps.Keys(set)), nil
}

// resolve follows symbolic links as they are meant inside the root.
func (s System) resolve(name string) (string, error) { return securejoin.SecureJoin(s.Root, name) }

// list returns the names in a folder of the root; a folder that is not there has
// none.
func (s System) list(dir string) ([]string, error) {
	real, err := s.resolve(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(real)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// text reads a small file of the root.
func (s System) text(name string) (string, error) {
	real, err := s.resolve(name)
	if err != nil {
		return "", err
	}
	fi, err := os.Stat(real)
	if err != nil {
		return "", err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxText {
		return "", fmt.Errorf("%s is no file of at most %d bytes", real, maxText)
	}
	b, err := os.ReadFile(real)
	return string(b), err
}

// release is VERSION_ID of os-release.
func (s System) release() (string, error) {
	text, err := s.text("etc/os-release")
	if err != nil {
		return "", fmt.Errorf("reading which system it is: %w", err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_ID="); ok {
			if version := strings.Trim(value, `"'`); plainVersion.MatchString(version) {
				return version, nil
			}
		}
	}
	return "", errors.New("its etc/os-release has no VERSION_ID")
}

// plainVersion matches what a spec file takes as a version.
var plainVersion = regexp.MustCompile(`^[A-Za-z0-9._+~^]+$`)

// programs are the executables of the usual folders, by both paths that a system
// whose /bin is /usr/bin knows them.
func (s System) programs() ([]string, error) {
	var found []string
	for _, dir := range []string{"/usr/bin", "/usr/sbin"} {
		names, err := s.list(dir)
		if err != nil {
			return nil, fmt.Errorf("looking for programs: %w", err)
		}
		merged := s.same(dir, strings.TrimPrefix(dir, "/usr"))
		for _, name := range names {
			real, err := s.resolve(path.Join(dir, name))
			if err != nil {
				return nil, err
			}
			if fi, err := os.Stat(real); err != nil || !fi.Mode().IsRegular() || fi.Mode()&0o111 == 0 {
				continue
			}
			found = append(found, path.Join(dir, name))
			if merged {
				found = append(found, path.Join(strings.TrimPrefix(dir, "/usr"), name))
			}
		}
	}
	return found, nil
}

// same says whether two names stand for one folder.
func (s System) same(a, b string) bool {
	x, errX := s.resolve(a)
	y, errY := s.resolve(b)
	return errX == nil && errY == nil && x == y
}

// pkgConfig are the modules of pkg-config, as rpm's pkgconfigdeps prints them.
func (s System) pkgConfig() ([]string, error) {
	libs, err := s.libraryFolders()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, dir := range append(libs, "/usr/share") {
		dir = path.Join(dir, "pkgconfig")
		names, err := s.list(dir)
		if err != nil {
			return nil, fmt.Errorf("looking for pkg-config modules: %w", err)
		}
		for _, name := range names {
			module, ok := strings.CutSuffix(name, ".pc")
			if !ok {
				continue
			}
			text, err := s.text(path.Join(dir, name))
			if err != nil {
				continue // a link that leads nowhere
			}
			provide := "pkgconfig(" + module + ")"
			if version := moduleVersion(text); plainVersion.MatchString(version) {
				provide += " = " + version
			}
			found = append(found, provide)
		}
	}
	return found, nil
}

// moduleVersion is the field Version of a .pc file, with its variables expanded.
func moduleVersion(text string) string {
	variables := map[string]string{}
	expand := func(value string) string {
		return os.Expand(value, func(name string) string { return variables[name] })
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if value, ok := strings.CutPrefix(line, "Version:"); ok {
			return expand(strings.TrimSpace(value))
		}
		if name, value, ok := strings.Cut(line, "="); ok && !strings.ContainsAny(name, ": ") {
			variables[name] = expand(strings.TrimSpace(value))
		}
	}
	return ""
}

// perlModules are the modules in Perl's own and the distribution's folders.
func (s System) perlModules() ([]string, error) {
	var folders []string
	for _, pattern := range []string{"usr/share/perl5", "usr/share/perl/*", "usr/lib/*/perl/*", "usr/lib/*/perl5/*", "usr/lib/*/perl-base"} {
		dirs, err := filepath.Glob(filepath.Join(s.Root, pattern))
		if err != nil {
			return nil, err
		}
		folders = append(folders, dirs...)
	}
	var found []string
	for _, dir := range folders {
		if fi, err := os.Lstat(dir); err != nil || !fi.IsDir() { // 5.36 is a link to 5.36.0
			continue
		}
		err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if module, ok := strings.CutSuffix(e.Name(), ".pm"); ok && !e.IsDir() {
				rel, err := filepath.Rel(dir, filepath.Dir(file))
				if err != nil {
					return err
				}
				found = append(found, "perl("+strings.ReplaceAll(path.Join(rel, module), "/", "::")+")")
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("looking for Perl modules: %w", err)
		}
	}
	return found, nil
}

// python is the interface of the default Python.
func (s System) python() ([]string, error) {
	real, err := s.resolve("usr/bin/python3")
	if err != nil {
		return nil, err
	}
	if version, ok := strings.CutPrefix(filepath.Base(real), "python3."); ok {
		return []string{"python(abi) = 3." + version}, nil
	}
	return nil, nil
}

// packages are the table's names with the versions of what is installed.
func (s System) packages(names Names) ([]string, error) {
	versions, err := s.installed()
	if err != nil {
		return nil, err
	}
	var found, missing []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		for _, p := range names[name] {
			if versions[p] == "" {
				missing = append(missing, fmt.Sprintf("%s (for %s)", p, name))
			}
		}
		if len(names[name]) == 0 {
			continue
		}
		version := rpmVersion(versions[names[name][0]])
		found = append(found, name+" = "+version, fmt.Sprintf("%s(%s) = %s", name, isas[s.Arch], version))
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the target's table names packages that its image does not hold: %s; add them to its packages or take them from the table", strings.Join(missing, ", "))
	}
	return found, nil
}

// installed reads dpkg's database: versions by package.
func (s System) installed() (map[string]string, error) {
	real, err := s.resolve("var/lib/dpkg/status")
	if err != nil {
		return nil, err
	}
	f, err := os.Open(real)
	if err != nil {
		return nil, fmt.Errorf("reading which packages are installed: %w", err)
	}
	defer f.Close()
	versions := map[string]string{}
	var name, status, version string
	done := func() {
		if strings.HasSuffix(status, " installed") {
			versions[name] = version
		}
		name, status, version = "", "", ""
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxText)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		switch field {
		case "Package":
			done()
			name = value
		case "Status":
			status = value
		case "Version":
			version = value
		}
	}
	done()
	return versions, lines.Err()
}

// repacked matches what Debian adds to a version when it changes the source
// archive: 1.2.13.dfsg, 2.1~ds1.
var repacked = regexp.MustCompile(`[.+~](dfsg|ds|repack)[.0-9]*$`)

// rpmVersion is a Debian version as the RPM package of the same software has it:
// without epoch and revision.
func rpmVersion(debian string) string {
	v := debian
	if _, rest, ok := strings.Cut(v, ":"); ok {
		v = rest
	}
	if i := strings.LastIndex(v, "-"); i > 0 {
		v = v[:i]
	}
	if _, real, ok := strings.Cut(v, "+really"); ok {
		v = real
	}
	v = repacked.ReplaceAllString(v, "")
	return strings.ReplaceAll(v, "-", "_")
}
