package hints

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

const (
	dpkgStatus = "/var/lib/dpkg/status"
	dpkgInfo   = "/var/lib/dpkg/info/"

	maxLine = 1 << 20  // bytes of a line
	maxList = 32 << 20 // bytes of a package's list of files
)

// Debian are the packages of a root that dpkg installed, none where there is no
// dpkg. names are the names that RPM distributions have for some of them.
func Debian(layers []string, names map[string][]string) ([]Package, error) {
	r := NewRoot(layers, nil)
	defer r.Close()
	f, err := r.tree.open(dpkgStatus)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading which packages are installed: %w", err)
	}
	defer f.Close()
	var packages []Package
	if err := stanzas(f, func(fields map[string]string) error {
		if !strings.HasSuffix(fields["Status"], " installed") {
			return nil
		}
		p := Package{
			Name: fields["Package"],
			// Debian's policy, 2.5: required packages are on every system.
			Always:   fields["Essential"] == "yes" || fields["Priority"] == "required",
			Provides: relations(fields["Provides"]),
			Requires: append(relations(fields["Depends"]), relations(fields["Pre-Depends"])...),
		}
		if p.Name == "" || path.Base(p.Name) != p.Name {
			return nil
		}
		p.Files, err = r.tree.debianFiles(p.Name, fields["Architecture"])
		for _, file := range p.Files {
			if module, ok := strings.CutSuffix(path.Base(file), ".pc"); ok && path.Base(path.Dir(file)) == "pkgconfig" {
				p.Provides = append(p.Provides, "pkgconfig("+module+")")
			}
		}
		packages = append(packages, p)
		return err
	}); err != nil {
		return nil, fmt.Errorf("reading which packages are installed: %w", err)
	}
	byName := map[string]int{}
	for i, p := range packages {
		byName[p.Name] = i
	}
	for _, rpm := range slices.Sorted(maps.Keys(names)) {
		for _, debian := range names[rpm] {
			if i, ok := byName[debian]; ok {
				packages[i].Provides = append(packages[i].Provides, rpm)
			}
		}
	}
	return packages, nil
}

// stanzas reads dpkg's status file (man 5 deb822), the first line of each field.
func stanzas(r io.Reader, each func(map[string]string) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	fields := map[string]string{}
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			if err := each(fields); err != nil {
				return err
			}
			fields = map[string]string{}
			continue
		}
		if name, value, ok := strings.Cut(line, ":"); ok && name[0] != ' ' {
			fields[name] = strings.TrimSpace(value)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return each(fields)
}

// relations are the names in a field such as Depends, of all alternatives.
func relations(field string) []string {
	var names []string
	for _, part := range strings.FieldsFunc(field, func(r rune) bool { return r == ',' || r == '|' }) {
		name, _, _ := strings.Cut(strings.TrimSpace(part), " ")
		name, _, _ = strings.Cut(name, ":")
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// debianFiles is a package's list of files; packages that can be installed for
// several architectures at a time have the architecture in its name.
func (t *tree) debianFiles(name, arch string) ([]string, error) {
	f, err := t.open(dpkgInfo + name + ":" + arch + ".list")
	if err != nil {
		f, err = t.open(dpkgInfo + name + ".list")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxList))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n"), nil
}
