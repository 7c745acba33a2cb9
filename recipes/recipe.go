package recipes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

// Recipe is a folder: a component with its spec and sources, or a meta-package
// that is only a list of requirements.
type Recipe struct {
	// The recipe's name, like the folder's and unlike any other's. For a
	// meta-package it is also the package's and may name families: a name with
	// {compiler} makes one recipe for each compiler, in the folder without braces.
	Name string `yaml:"name,required"`
	Kind Kind   `yaml:"kind,required"` // what the recipe makes
	// The folder below components/ that the recipe is in. Only for a component,
	// and required there.
	Group       string `yaml:"group"`
	Summary     string `yaml:"summary,required"`                  // one line that says what the package is
	Description string `yaml:"description" default:"the summary"` // a few lines about it; only for a meta-package

	SpecFile string   `yaml:"spec" default:"SPECS/<name>.spec"` // the spec's path below the recipe; only for a component
	Fetched  []Source `yaml:"sources"`                          // what the spec needs and SOURCES/ does not hold; only for a component
	Patches  []Patch  `yaml:"patches"`                          // what the spec applies to the sources; only for a component

	// The families that multiply the recipe, and of each the members wanted. The
	// spec is told the member by the family's macro.
	Families map[string]Choice `yaml:"families"`
	Variants []Extra           `yaml:"variants"` // further variants, that defines make of the spec; only for a component
	Exclude  []Exclusion       `yaml:"exclude"`  // where the recipe, or a variant of it, is not built, and why

	// The architecture that must build what is the same whatever architecture
	// builds it, or any. It is built once for each target and shared. A
	// meta-package without conditions on architectures is so by itself.
	Noarch string `yaml:"noarch" default:"built for each architecture"`

	Needs    Needs         `yaml:"needs"`    // what one build takes
	Tests    []Test        `yaml:"tests"`    // scripts that try the installed packages
	Requires []Requirement `yaml:"requires"` // the packages that a meta-package installs; only for one, and required there
	Allow    []Allowance   `yaml:"allow"`    // what the check content objects to in the packages, and is right

	Dir     string `yaml:"-"` // the recipe's folder in the catalogue
	Spec    File   `yaml:"-"` // the spec; empty for a meta-package
	Sources []File `yaml:"-"` // the files in SOURCES/

	// Pin is what the recipe's git sources follow, when they do.
	Pin *Pin `yaml:"-"`

	// FromSpec says that whatever SOURCES/ lacks is fetched from the addresses in
	// the spec. Only recipes of an OpenHPC tree do so; nobody vouches for digests.
	FromSpec bool `yaml:"-"`

	// Fixed are the members that the name of a meta-package stands for: a name
	// with {compiler} is one recipe for each compiler.
	Fixed []Pick `yaml:"-"`
}

// Kind is what a recipe makes.
type Kind string

// The kinds of recipes.
const (
	Component   Kind = "component"
	MetaPackage Kind = "meta-package"
)

// UnmarshalText accepts the name of a kind.
func (k *Kind) UnmarshalText(text []byte) error {
	kinds := []string{string(Component), string(MetaPackage)}
	if !slices.Contains(kinds, string(text)) {
		return orHint(fmt.Errorf("must be %s or %s, not %q", Component, MetaPackage, text), string(text), kinds)
	}
	*k = Kind(text)
	return nil
}

// File is a file of the catalogue.
type File struct {
	Name   string // without folders
	Path   string // in the catalogue
	Digest store.Digest
}

// Source is one file that has to be fetched. Exactly one of debian, url, git, dir
// and generated says how.
type Source struct {
	File   string `yaml:"file,required"` // its name in _sourcedir, as the spec has it
	SHA256 string `yaml:"sha256"`        // its digest, 64 hexadecimal digits; required for debian and url

	Debian    *Debian  `yaml:"debian"`    // from Debian's archive of source packages
	URL       string   `yaml:"url"`       // an http or https address
	Mirrors   []string `yaml:"mirrors"`   // further addresses, tried after url
	Git       *Git     `yaml:"git"`       // an archive of a repository's tree; the name says how it is compressed: .tar, .tar.gz, .tar.xz, .tar.zst
	Folder    *Folder  `yaml:"dir"`       // an archive of a folder of this machine, for work in progress
	Generated string   `yaml:"generated"` // made by the run itself: repo-file, public-key, or status: the standing of the target's cells; when it has changed, the spec is given another ohpc_serial for its release

	// Commit is the change of a commit; it comes from a [Patch].
	Commit *Commit `yaml:"-" json:",omitempty"`
}

// Debian is a file of a Debian source package.
type Debian struct {
	Suite   string `yaml:"suite,required"`   // Debian's release
	Package string `yaml:"package,required"` // the source package
	Version string `yaml:"version,required"` // its version, with Debian's revision
	File    string `yaml:"file,required"`    // the file's name in the archive
}

// Git is a tree of a repository at one commit, which is either given here or by
// a pin.
type Git struct {
	URL    string `yaml:"url"`                   // https, http, ssh or git address of the repository, or a folder of this machine
	Commit string `yaml:"commit"`                // 40 hexadecimal digits
	Pin    string `yaml:"pin" json:",omitempty"` // the name of a file in pins/, in place of url and commit
	Prefix string `yaml:"prefix,required"`       // the folder that the archive unpacks to
}

// Folder is a folder of this machine, for work in progress.
type Folder struct {
	Path   string `yaml:"path,required"`   // absolute, or relative to the current folder
	Prefix string `yaml:"prefix,required"` // the folder that the archive unpacks to
}

// Commit is what a commit of a repository changed.
type Commit struct {
	URL    string // as in [Git]
	Commit string // 40 hexadecimal digits
}

// Choice is some of a family's members, or the word "all".
type Choice []string

// All chooses every member of a family, those of the future too.
const All = "all"

// HasAll says whether every member is chosen.
func (c Choice) HasAll() bool { return slices.Contains(c, All) }

// UnmarshalText accepts the word "all".
func (c *Choice) UnmarshalText(text []byte) error {
	if string(text) != All {
		return fmt.Errorf("must be a list of members, or %s; not %q", All, text)
	}
	*c = Choice{All}
	return nil
}

// Extra is a further variant of a recipe, that defines make of the same spec.
type Extra struct {
	Name    string            `yaml:"name,required"`    // ends the variant's name: gnu12-pmix
	Defines map[string]string `yaml:"defines,required"` // macros for rpmspec and rpmbuild

	// The families that multiply this variant; {} stands for none.
	Families map[string]Choice `yaml:"families" default:"the recipe's"`
}

// Patch is a file that a spec applies: one of SOURCES/ or of the sources, or the
// change that a commit of the upstream repository made, as git format-patch
// would write it.
type Patch struct {
	File   string `yaml:"file,required"` // its name in _sourcedir, as the spec has it
	URL    string `yaml:"url"`           // the repository to take a commit from: https, http, ssh or git address, or a folder of this machine
	Commit string `yaml:"commit"`        // the commit, 40 hexadecimal digits; neither a merge nor a root
}

// UnmarshalText accepts a file's name alone.
func (p *Patch) UnmarshalText(text []byte) error {
	p.File = string(text)
	return nil
}

// Exclusion says where a recipe, one of its variants or a family member is not
// built. An empty field stands for all.
type Exclusion struct {
	Target   string            `yaml:"target" default:"all"`   // a target's name
	Arch     string            `yaml:"arch" default:"all"`     // rpm's name of an architecture
	Families map[string]string `yaml:"families" default:"all"` // members by family
	Variant  string            `yaml:"variant" default:"all"`  // the name of one of the recipe's variants
	Reason   string            `yaml:"reason,required"`        // why, as plans and reports tell it
}

// Requirement is what a meta-package requires, everywhere or on conditions.
type Requirement struct {
	Package string    `yaml:"package,required"` // a package's name; may have {compiler} or another of the recipe's families
	Only    Condition `yaml:"only"`             // it is required where this holds and nowhere else
	Except  Condition `yaml:"except"`           // it is not required where this holds
}

// UnmarshalText accepts a package alone.
func (r *Requirement) UnmarshalText(text []byte) error {
	r.Package = string(text)
	return nil
}

// Condition chooses variants and cells: those that each given field names.
type Condition struct {
	Targets       []string          `yaml:"targets" default:"all"`       // targets' names
	Architectures []string          `yaml:"architectures" default:"all"` // rpm's names of architectures
	Families      map[string]Choice `yaml:"families" default:"all"`      // members by family
}

// Empty says whether a condition chooses nothing in particular.
func (c Condition) Empty() bool {
	return len(c.Targets) == 0 && len(c.Architectures) == 0 && len(c.Families) == 0
}

func (c Condition) holds(target, arch string, picks []Pick) bool {
	if len(c.Targets) > 0 && !slices.Contains(c.Targets, target) || len(c.Architectures) > 0 && !slices.Contains(c.Architectures, arch) {
		return false
	}
	for family, choice := range c.Families {
		if !slices.ContainsFunc(picks, func(p Pick) bool {
			return p.Family == family && (choice.HasAll() || slices.Contains(choice, p.Member))
		}) {
			return false
		}
	}
	return true
}

// Holds says whether the requirement counts for a variant in a cell.
func (r Requirement) Holds(target, arch string, picks []Pick) bool {
	return r.Only.holds(target, arch, picks) && (r.Except.Empty() || !r.Except.holds(target, arch, picks))
}

// Needs is what one build takes, natively.
type Needs struct {
	Memory Size     `yaml:"memory"`                              // how much memory at most
	Disk   Size     `yaml:"disk"`                                // how much space the build's files take
	Cores  int      `yaml:"cores" default:"its share"`           // how many processors it can make use of: it gets so many, or all that there are; without, those of the host are shared among the builds that run when it begins, and one alone has all
	Time   Duration `yaml:"time" default:"2h"`                   // after this a build is held to hang
	Takes  Duration `yaml:"takes" default:"from earlier builds"` // how long it is expected to take, for the plan's estimates; at most time
}

// Size is a number of bytes, written "512MiB" or "70GiB".
type Size int64

// UnmarshalText accepts a number with the unit KiB, MiB, GiB or TiB.
func (s *Size) UnmarshalText(text []byte) error {
	for unit, shift := range map[string]uint{"KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40} {
		number, ok := strings.CutSuffix(string(text), unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 20)
		if err != nil || n <= 0 {
			break
		}
		*s = Size(n << shift)
		return nil
	}
	return fmt.Errorf("must be a whole number with a unit, such as 512MiB or 4GiB, not %q", text)
}

// Duration is a length of time, written "90m" or "6h".
type Duration time.Duration

// UnmarshalText accepts what [time.ParseDuration] does, above zero.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v <= 0 {
		return fmt.Errorf("must be a length of time, such as 90m or 6h, not %q", text)
	}
	*d = Duration(v)
	return nil
}

// Test is a script that tries the installed packages of a recipe: a file of BATS
// tests, which ends in .bats, or any other script for bash.
type Test struct {
	Script     string       `yaml:"script,required"`    // its path below the recipe, in tests/
	Packages   []string     `yaml:"packages"`           // what is installed beside the recipe's own packages; may have {compiler} or another of the recipe's families
	Time       Duration     `yaml:"time" default:"10m"` // after this it is held to hang, natively
	Quarantine []Quarantine `yaml:"quarantine"`         // what runs and does not count, for a while
}

// UnmarshalText accepts a script's path alone.
func (t *Test) UnmarshalText(text []byte) error {
	t.Script = string(text)
	return nil
}

// Quarantine keeps the result of a test that is known to be unreliable from counting.
// It runs and is reported all the same.
type Quarantine struct {
	Case   string `yaml:"case" default:"all"` // the name of one of the script's BATS tests
	Until  Date   `yaml:"until,required"`     // the last day; at most 90 days ahead
	Reason string `yaml:"reason,required"`    // why, as reports tell it
}

// maxQuarantine is for how many days ahead something may be in quarantine.
const maxQuarantine = 90

// Check tells what is wrong with a quarantine at a time, if anything. One that is
// over is no mistake: it does not count any more.
func (q Quarantine) Check(now time.Time) error {
	if limit := now.UTC().AddDate(0, 0, maxQuarantine); q.Until.After(limit) {
		return fmt.Errorf("%s is more than %d days ahead", q.Until.Format(time.DateOnly), maxQuarantine)
	}
	return nil
}

// Allowance declares that what a rule of the check content objects to is right.
type Allowance struct {
	// The rule's name, as the check tells it.
	Rule Rule `yaml:"rule,required"`
	// Paths in the packages, as they are installed: patterns in which * and ? stand
	// for parts of one name; one that ends in /** is for all below a folder.
	Paths  []string `yaml:"paths,required"`
	Reason string   `yaml:"reason,required"` // why it is right, as logs tell it
}

// Rule is the name of a rule of the check content.
type Rule string

// Rules are the names of those that a recipe can allow exceptions from.
func Rules() []string {
	return []string{
		"machine", "noarch-code", "build-path", "run-path", "interpreter", "setuid", "capability",
		"world-writable", "device", "owner", "symlink", "file-conflict",
	}
}

// UnmarshalText accepts the name of a rule.
func (r *Rule) UnmarshalText(text []byte) error {
	if !slices.Contains(Rules(), string(text)) {
		return orHint(fmt.Errorf("must be one of %s, not %q", strings.Join(Rules(), ", "), text), string(text), Rules())
	}
	*r = Rule(text)
	return nil
}

// Excluded returns the reason why nothing of the recipe is built for a cell, or
// false.
func (r *Recipe) Excluded(target, arch string) (reason string, excluded bool) {
	for _, e := range r.Exclude {
		if len(e.Families) == 0 && e.Variant == "" && e.covers(target, arch, nil, "") {
			return e.Reason, true
		}
	}
	return "", false
}

// covers says whether a variant in a cell is among what is excluded.
func (e Exclusion) covers(target, arch string, picks []Pick, extra string) bool {
	if e.Target != "" && e.Target != target || e.Arch != "" && e.Arch != arch || e.Variant != "" && e.Variant != extra {
		return false
	}
	for family, member := range e.Families {
		if !slices.Contains(picks, Pick{family, member}) {
			return false
		}
	}
	return true
}

func excludedBy(exclusions []Exclusion, target, arch string, picks []Pick, extra string) (string, bool) {
	for _, e := range exclusions {
		if e.covers(target, arch, picks, extra) {
			return e.Reason, true
		}
	}
	return "", false
}

// orHint adds the word that was probably meant to an error.
func orHint(err error, word string, candidates []string) error {
	if hint := strict.DidYouMean(word, candidates); hint != "" {
		return fmt.Errorf("%w (%s)", err, hint)
	}
	return err
}
