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
	Name        string `yaml:"name,required"` // unique; for a meta-package also the package's name
	Kind        Kind   `yaml:"kind,required"`
	Group       string `yaml:"group"` // the folder below components/; empty for a meta-package
	Summary     string `yaml:"summary,required"`
	Description string `yaml:"description"` // of a meta-package; the summary when empty

	SpecFile string   `yaml:"spec"`    // path below the recipe; SPECS/<name>.spec when empty
	Fetched  []Source `yaml:"sources"` // what SOURCES/ does not hold
	Patches  []Patch  `yaml:"patches"` // what the spec applies to the sources

	// Families names the families that multiply the recipe, and of each the
	// members wanted.
	Families map[string]Choice `yaml:"families"`
	Variants []Extra           `yaml:"variants"` // further ones, that defines make
	Exclude  []Exclusion       `yaml:"exclude"`

	// Noarch says that the output is the same whatever architecture builds it:
	// it is built once per target and shared. The value is the architecture
	// that must build it, or "any".
	Noarch string `yaml:"noarch"`

	Needs    Needs         `yaml:"needs"`
	Tests    []Test        `yaml:"tests"`
	Requires []Requirement `yaml:"requires"` // of a meta-package

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

// Source is one file that has to be fetched. Exactly one of the fields from
// Debian to Generated says how.
type Source struct {
	File   string `yaml:"file,required"` // its name in _sourcedir
	SHA256 string `yaml:"sha256"`        // 64 hexadecimal digits; required for debian and url

	Debian    *Debian  `yaml:"debian"`
	URL       string   `yaml:"url"`
	Mirrors   []string `yaml:"mirrors"` // further places of a url
	Git       *Git     `yaml:"git"`
	Folder    *Folder  `yaml:"dir"`
	Generated string   `yaml:"generated"` // a name under which the run provides the bytes
}

// Debian is a file of a Debian source package.
type Debian struct {
	Suite   string `yaml:"suite,required"`
	Package string `yaml:"package,required"`
	Version string `yaml:"version,required"`
	File    string `yaml:"file,required"` // its name in the archive
}

// Git is a tree of a repository at one commit, which is either given here or by
// a pin.
type Git struct {
	URL    string `yaml:"url"`
	Commit string `yaml:"commit"`                // 40 hexadecimal digits
	Pin    string `yaml:"pin" json:",omitempty"` // a [Pin]'s name; a loaded recipe has URL and Commit of it
	Prefix string `yaml:"prefix,required"`       // the folder that the archive unpacks to
}

// Folder is a folder of this machine, for work in progress.
type Folder struct {
	Path   string `yaml:"path,required"` // absolute, or relative to the current folder
	Prefix string `yaml:"prefix,required"`
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
	Name    string            `yaml:"name,required"` // ends the variant's name: gnu12-pmix
	Defines map[string]string `yaml:"defines,required"`

	// Families replaces the recipe's own where it is given: {} stands for none.
	Families map[string]Choice `yaml:"families"`
}

// Patch is a file that a spec applies: one of SOURCES/, or the change that a
// commit of the upstream repository made.
type Patch struct {
	File   string `yaml:"file,required"` // its name in _sourcedir, as the spec has it
	URL    string `yaml:"url"`           // of the repository
	Commit string `yaml:"commit"`        // 40 hexadecimal digits
}

// Exclusion says where a recipe, one of its variants or a family member is not
// built. An empty field stands for all.
type Exclusion struct {
	Target   string            `yaml:"target"`
	Arch     string            `yaml:"arch"`
	Families map[string]string `yaml:"families"` // kind → member
	Variant  string            `yaml:"variant"`  // the name of an extra one
	Reason   string            `yaml:"reason,required"`
}

// Requirement is what a meta-package requires, everywhere or on conditions.
type Requirement struct {
	Package string    `yaml:"package,required"` // may name {family}
	Only    Condition `yaml:"only"`             // nowhere else
	Except  Condition `yaml:"except"`           // not there
}

// UnmarshalText accepts a package alone.
func (r *Requirement) UnmarshalText(text []byte) error {
	r.Package = string(text)
	return nil
}

// Condition chooses variants and cells: those that each given field names.
type Condition struct {
	Targets       []string          `yaml:"targets"`
	Architectures []string          `yaml:"architectures"`
	Families      map[string]Choice `yaml:"families"`
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

// holds says whether the requirement counts for a variant in a cell.
func (r Requirement) holds(target, arch string, picks []Pick) bool {
	return r.Only.holds(target, arch, picks) && (r.Except.Empty() || !r.Except.holds(target, arch, picks))
}

// Needs is what one build takes, natively.
type Needs struct {
	Memory Size     `yaml:"memory"`
	Disk   Size     `yaml:"disk"`
	Cores  int      `yaml:"cores"` // how many it can make use of; 0: all it is given
	Time   Duration `yaml:"time"`  // after this a build is hung, not slow
	Takes  Duration `yaml:"takes"` // how long it is expected to take, for the plan's estimates
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

// Test is a script that tries the installed packages of a recipe.
type Test struct {
	Script   string   `yaml:"script,required"` // path below the recipe
	Packages []string `yaml:"packages"`        // installed beside the recipe's own; may name {family}
	Time     Duration `yaml:"time"`            // its limit, natively
}

// UnmarshalText accepts a script's path alone.
func (t *Test) UnmarshalText(text []byte) error {
	t.Script = string(text)
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
