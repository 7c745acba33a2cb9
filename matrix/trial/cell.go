package trial

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
	"github.com/ohpc-build/ohpc-build/validate/content"
)

// Cell is what is tried, and in what.
type Cell struct {
	Target, Arch string
	Image        buildroot.Image
	Required     []string // names of checks: closure, signatures, content, install-<package manager>, test
	Manager      string   // the package manager that installs for tests

	Snapshot  snapshot.Snapshot
	PublicKey []byte // armored

	Meta     []string // meta-packages, which must bring everything along
	Packages []string // all binary packages
	Tests    []Test

	Exceptions []content.Exception // what recipes declare that packages may hold

	// Fresh says that nothing of earlier trials is believed: the snapshot is not one
	// that never changes.
	Fresh bool
}

// Test is a recipe's test script.
type Test struct {
	Subject  string   // recipe and variant
	Script   string   // name in Files
	Files    []File   // what the script finds beside it
	Packages []string // installed when it runs
	Env      []string
	Limit    time.Duration
}

// File is one file of a test's folder.
type File struct {
	Name   string
	Data   []byte
	Digest store.Digest
}

// ReadFiles reads the files of a test's folder in a catalogue.
func ReadFiles(fsys fs.FS, dir string) ([]File, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("reading the tests in %s: %w", dir, err)
	}
	var files []File
	for _, e := range entries {
		data, err := recipes.ReadFile(fsys, path.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading the tests in %s: %w", dir, err)
		}
		files = append(files, File{e.Name(), data, store.Of(data)})
	}
	return files, nil
}

func (c *Cell) String() string { return c.Target + "/" + c.Arch }

// check is one that the cell requires.
type check struct {
	name    string
	subject string
	test    *Test // nil: an installation
}

// checks are those that the cell requires, in the order in which they run.
func (c *Cell) checks() []check {
	var checks []check
	for _, name := range c.Required {
		if name == "test" {
			for i := range c.Tests {
				checks = append(checks, check{name, c.Tests[i].Subject, &c.Tests[i]})
			}
			continue
		}
		subject := "all packages"
		if len(c.Meta) > 0 && !ofAll(name) {
			subject = "meta-packages"
		}
		checks = append(checks, check{name: name, subject: subject})
	}
	return checks
}

// ofAll says whether a check is always of all packages.
func ofAll(name string) bool {
	return name == closureCheck || name == signaturesCheck || name == contentCheck
}

// Count is the number of checks.
func (c *Cell) Count() int { return len(c.checks()) }

// toInstall are the packages of an installation: the meta-packages; in a run that
// has none, all packages.
func (c *Cell) toInstall() []string {
	if len(c.Meta) > 0 {
		return c.Meta
	}
	return c.Packages
}

// underTest are the packages that tests want installed.
func (c *Cell) underTest() []string {
	var names []string
	for _, t := range c.Tests {
		names = append(names, t.Packages...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// recordName names a check on exact bytes.
func (c *Cell) recordName(k check) string {
	parts := []string{format, k.name, k.subject, c.String(), c.Snapshot.ID, string(c.Image.Digest)}
	switch k.name {
	case contentCheck:
		parts = append(parts, content.Version)
		for _, e := range c.Exceptions {
			parts = append(parts, fmt.Sprintf("%q", e))
		}
		return strings.Join(parts, "\n")
	case signaturesCheck:
		return strings.Join(append(parts, string(store.Of(c.PublicKey))), "\n")
	}
	parts = append(parts, c.toInstall()...)
	if k.test != nil {
		parts = append(append(parts, "test"), c.underTest()...)
		for _, f := range k.test.Files {
			parts = append(parts, f.Name+" "+string(f.Digest))
		}
	}
	return strings.Join(parts, "\n")
}
