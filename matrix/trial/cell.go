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
	"github.com/ohpc-build/ohpc-build/validate/suite"
)

// Cell is what is tried, and in what.
type Cell struct {
	Target, Arch string
	Image        buildroot.Image
	Required     []string // names of checks: closure, signatures, content, install, install-<package manager>, upgrade, suite
	Managers     []string // the package managers of the target; the first one installs for tests

	Snapshot  snapshot.Snapshot
	PublicKey []byte // armored

	Installs []Install
	Tests    []Test

	// Base is the repository that the snapshot is an overlay on; nil when it stands
	// alone. Before is what the packages are to be upgraded from, beside what the
	// snapshot is an overlay on; NotBefore says why there is nothing.
	Base      *Tree
	Before    *Tree
	NotBefore string

	// SuiteTree is a folder with a tree of tests as OpenHPC has it; "" for none. It
	// is part of the check suite.
	SuiteTree string

	Exceptions []content.Exception // what recipes declare that packages may hold

	// Begun is when the run began: checks tell from there when they did.
	Begun time.Time

	// Patience tries checks again whose containers were lost; nil: nobody does.
	Patience Patience

	// Timeout bounds one run of a package manager; 0: 20 minutes.
	Timeout time.Duration

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
	Skip     string // why it is not run; "" when it is
	Void     bool   // it is not run because there is nothing to test

	Quarantine []suite.Quarantine // those in force
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

// Install is what is installed together in one container.
type Install struct {
	Subject  string   // recipe@variant, or the package if not all of them can be together
	Packages []string // names
}

// Tree is a repository that is there already.
type Tree struct {
	Name      string // for people
	Dir       string
	ID        string // tells its bytes apart from all others
	PublicKey []byte // armored
}

// check is one that the cell requires.
type check struct {
	name    string
	subject string
	manager string   // of an installation or an upgrade
	install *Install // nil: no installation
	test    *Test    // nil: no test
	tree    bool     // it is the tree of tests
	void    bool     // the overlay has nothing to check
}

// checks are those that the cell requires, in the order in which they begin.
func (c *Cell) checks() []check {
	var checks []check
	for _, name := range c.Required {
		before := len(checks)
		switch manager, one := strings.CutPrefix(name, installCheck+"-"); {
		case name == installCheck:
			checks = append(checks, c.installs(name, c.Managers)...)
		case one:
			checks = append(checks, c.installs(name, []string{manager})...)
		case name == upgradeCheck:
			for _, manager := range c.Managers {
				checks = append(checks, check{name: name, subject: "all packages with " + manager, manager: manager})
			}
		case name == suiteCheck:
			for i := range c.Tests {
				checks = append(checks, check{name: name, subject: c.Tests[i].Subject, test: &c.Tests[i]})
			}
			if c.SuiteTree != "" {
				checks = append(checks, check{name: name, subject: "tree of tests", tree: true})
			}
		default:
			checks = append(checks, check{name: name, subject: "all packages"})
		}
		// A repository without a single test has proven nothing. But few packages over it
		// may have none, and take nothing away from what it has proven.
		if len(checks) == before && c.Base != nil {
			checks = append(checks, check{name: name, subject: "all packages", void: true})
		}
	}
	return checks
}

func (c *Cell) installs(name string, managers []string) []check {
	var checks []check
	for _, manager := range managers {
		for i := range c.Installs {
			subject := c.Installs[i].Subject + " with " + manager
			checks = append(checks, check{name: name, subject: subject, manager: manager, install: &c.Installs[i]})
		}
	}
	return checks
}

// WantsInstalls says whether packages are installed in the cell.
func (c *Cell) WantsInstalls() bool {
	return slices.ContainsFunc(c.Required, func(name string) bool {
		return name == installCheck || strings.HasPrefix(name, installCheck+"-")
	})
}

// Count is the number of checks.
func (c *Cell) Count() int { return len(c.checks()) }

// recordName names a check on exact bytes.
func (c *Cell) recordName(k check) string {
	parts := []string{format, k.name, k.subject, c.String(), c.Snapshot.ID, string(c.Image.Digest)}
	if c.Base != nil {
		parts = append(parts, "on "+c.Base.ID)
	}
	switch {
	case k.name == contentCheck:
		parts = append(parts, content.Version)
		for _, e := range c.Exceptions {
			parts = append(parts, fmt.Sprintf("%q", e))
		}
	case k.name == signaturesCheck:
		parts = append(parts, string(store.Of(c.PublicKey)))
	case k.install != nil:
		parts = append(append(parts, string(store.Of(c.PublicKey))), k.install.Packages...)
	case k.name == upgradeCheck && c.Before != nil:
		parts = append(parts, "from "+c.Before.ID)
	case k.test != nil:
		parts = append(append(parts, string(store.Of(c.PublicKey))), testInputs(k.test)...)
	}
	return strings.Join(parts, "\n")
}
