package recipes

import "slices"

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

	// For the packages that recipes require of the target under their usual RPM
	// names, the packages that the target has instead. Only for targets that are
	// no RPM distributions.
	Bridge map[string][]string `yaml:"bridge"`

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
