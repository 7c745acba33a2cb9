package recipes

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

// Target is a distribution to build for.
type Target struct {
	Name          string   `yaml:"name,required"`          // the target's name, like the file's
	Summary       string   `yaml:"summary,required"`       // one line that says which distribution it is
	Architectures []string `yaml:"architectures,required"` // rpm's names, the preferred one first

	Image Image `yaml:"image,required"` // where its root file system comes from

	// The package managers that its users install with.
	Managers []string `yaml:"managers,required"`

	// Macros that are given to rpmspec and rpmbuild for every job.
	Defines map[string]string `yaml:"defines"`

	// The target whose image reads the specs when this one's own is not at hand.
	// Empty: no other.
	Evaluate string `yaml:"evaluate"`

	// What the distribution's own rpm configuration defines, for when another
	// target's image reads the specs. In its own image the macros are there, and do
	// what is only hinted at here: they are never given to rpmbuild. A name may have
	// options after it as in a macro file: systemd_post().
	Macros map[string]string `yaml:"macros"`

	// For the packages that recipes require of the target under their usual RPM
	// names, the packages that the target has instead. Only for targets that are
	// no RPM distributions.
	Bridge map[string][]string `yaml:"bridge"`

	// Further such names whose packages are not part of the image: they are
	// downloaded and added to the build root of a job that requires the name.
	OnDemand map[string][]string `yaml:"on_demand"`

	// The checks that must be green for a cell to be supported.
	Checks []RequiredCheck `yaml:"checks"`
}

// Image says where the target's root file system comes from: one of its fields
// is set.
type Image struct {
	Reference string     `yaml:"reference"` // an OCI image: in a registry, a folder with an OCI layout, or an archive
	Bootstrap *Bootstrap `yaml:"bootstrap"` // made from a Debian archive
}

// Bootstrap makes an image from a Debian archive.
type Bootstrap struct {
	Suite      string   `yaml:"suite,required"`              // Debian's release
	Components []string `yaml:"components" default:"[main]"` // the archive's components
	Packages   []string `yaml:"packages,required"`           // what is installed beside the essential packages

	// By foreign architecture, the packages of a native root whose programs do
	// the work of emulated builds: a cross compiler and tools.
	Toolchain map[string][]string `yaml:"toolchain"`
}

// CheckNames are the checks that a target can require.
func CheckNames() []string {
	return []string{"closure", "signatures", "content", "install", "install-dnf", "install-zypper", "upgrade", "suite", "boot"}
}

// RequiredCheck is a check by name, for all architectures of its target or for
// some.
type RequiredCheck struct {
	Name          string   `yaml:"name,required"`               // the check's name
	Architectures []string `yaml:"architectures" default:"all"` // those of the target that it counts for
}

// UnmarshalText accepts a check's name alone.
func (c *RequiredCheck) UnmarshalText(text []byte) error {
	c.Name = string(text)
	return nil
}

// RequiredChecks are the checks that a cell needs to be supported.
func (t *Target) RequiredChecks(arch string) []string {
	var names []string
	for _, c := range t.Checks {
		if len(c.Architectures) == 0 || slices.Contains(c.Architectures, arch) {
			names = append(names, c.Name)
		}
	}
	return names
}

// MacroDefines are the target's macros as rpm's command line takes them, by name.
// Whoever has an image of another target read a spec gives them before all other
// defines.
func (t *Target) MacroDefines() []Define {
	defines := make([]Define, 0, len(t.Macros))
	for _, name := range slices.Sorted(maps.Keys(t.Macros)) {
		value := t.Macros[name]
		if strings.Contains(value, "\n") {
			value = "{" + value + "}" // or rpm would stop at the end of the line
		}
		defines = append(defines, Define{name, value})
	}
	return defines
}

var (
	namePattern  = regexp.MustCompile(NamePattern)
	archPattern  = regexp.MustCompile(ArchPattern)
	macroPattern = regexp.MustCompile(MacroPattern)
	// A macro's options are those of getopt, in parentheses; rpm: macro.c.
	optionsPattern = regexp.MustCompile(`\([A-Za-z0-9:-]*\)$`)
)

// Check reports all that is wrong with a target by itself: the key it is in, what
// to do about it or nothing, and the message.
func (t *Target) Check(report func(key, hint, format string, args ...any)) {
	if !namePattern.MatchString(t.Name) {
		report("name", "letters, digits and + . _ -", "%q cannot name a target", t.Name)
	}
	if len(t.Architectures) == 0 {
		report("architectures", "", "a target needs at least one architecture")
		return
	}
	for i, a := range t.Architectures {
		if !archPattern.MatchString(a) || a == "noarch" || a == "src" {
			report(fmt.Sprintf("architectures[%d]", i), "rpm's names, such as x86_64 and aarch64", "%q is not an architecture", a)
		}
	}
	if (t.Image.Reference == "") == (t.Image.Bootstrap == nil) {
		report("image", "", "an image has either a reference or a bootstrap")
	}
	for i, c := range t.Checks {
		if !slices.Contains(CheckNames(), c.Name) {
			report(fmt.Sprintf("checks[%d]", i), strict.DidYouMean(c.Name, CheckNames()), "there is no check %q", c.Name)
		}
		for j, a := range c.Architectures {
			if !slices.Contains(t.Architectures, a) {
				report(fmt.Sprintf("checks[%d].architectures[%d]", i, j), strict.DidYouMean(a, t.Architectures), "the target has no architecture %q", a)
			}
		}
	}
	if t.Evaluate == t.Name {
		report("evaluate", "leave it out, or name another target", "its own image is the one that is not at hand")
	}
	t.checkMacros(report)
}

func (t *Target) checkMacros(report func(key, hint, format string, args ...any)) {
	for _, name := range slices.Sorted(maps.Keys(t.Defines)) {
		at := "defines." + name
		if !macroPattern.MatchString(name) {
			report(at, "letters, digits and _, at least three", "%q is not the name of a macro", name)
		}
		if strings.ContainsAny(t.Defines[name], "\n\x00") {
			report(at, "", "the value of a macro must be a single line")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Macros)) {
		at, value := "macros."+name, t.Macros[name]
		if !macroPattern.MatchString(optionsPattern.ReplaceAllString(name, "")) {
			report(at, "a name such as systemd_requires, or with options: systemd_post()", "%q is not the name of a macro", name)
		}
		if strings.ContainsRune(value, 0) {
			report(at, "", "the value of a macro holds a zero byte")
		}
		if !balanced(value) {
			report(at, "", "the braces in the value of a macro must be in pairs")
		}
	}
}

// balanced says whether each brace has its partner; rpm: macro.c, matchchar().
func balanced(value string) bool {
	depth := 0
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			if depth--; depth < 0 {
				return false
			}
		}
	}
	return depth == 0
}
