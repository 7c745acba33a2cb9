package recipes

import "slices"

// Target is a distribution to build for.
type Target struct {
	Name          string   `yaml:"name,required"`
	Summary       string   `yaml:"summary,required"`
	Architectures []string `yaml:"architectures,required"` // rpm's names, the preferred one first

	Image Image `yaml:"image,required"`

	// Managers are the package managers that its users install with.
	Managers []string `yaml:"managers,required"`

	// Defines are given to rpmspec and rpmbuild for every job.
	Defines map[string]string `yaml:"defines"`

	// Bridge names, for the packages that recipes require of the target under
	// their usual RPM names, the packages that the target has instead. Only
	// targets that are no RPM distributions have one.
	Bridge map[string][]string `yaml:"bridge"`

	// Checks must be green for a cell to be supported.
	Checks []RequiredCheck `yaml:"checks"`
}

// Image says where the target's root file system comes from: one of its fields
// is set.
type Image struct {
	Reference string     `yaml:"reference"` // an OCI image
	Bootstrap *Bootstrap `yaml:"bootstrap"`
}

// Bootstrap makes an image from a Debian archive.
type Bootstrap struct {
	Suite      string   `yaml:"suite,required"`
	Components []string `yaml:"components"` // main when empty
	Packages   []string `yaml:"packages,required"`

	// Toolchain are, for a foreign architecture, the packages of a native root
	// whose programs do the work of emulated builds: a cross compiler and tools.
	Toolchain map[string][]string `yaml:"toolchain"`
}

// RequiredCheck is a check by name, for all architectures of its target or for
// some.
type RequiredCheck struct {
	Name          string   `yaml:"name,required"`
	Architectures []string `yaml:"architectures"`
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
