package group

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Comps are a repository's groups and how they are presented.
type Comps struct {
	Groups       []Group
	Categories   []Category
	Environments []Environment
}

// Group is a set of packages, by their names, that are installed together.
type Group struct {
	ID          string // what people type; letters, digits, and . _ + - within
	Name        string // what people read; the ID when empty
	Description string
	Order       int  // among groups that are shown together, smaller ones first; 0 for no place of its own
	Default     bool // installers select it unless told otherwise
	Hidden      bool // not listed, but of use to other groups

	Mandatory   []string      // always installed with the group
	Preset      []string      // installed with the group unless left out
	Optional    []string      // installed when asked for
	Conditional []Conditional // installed when something else is
}

// Conditional is a package that a group brings when another is installed.
type Conditional struct {
	Name     string
	Requires string // the other package
}

// Category is a heading that groups are shown under.
type Category struct {
	ID, Name, Description string
	Order                 int
	Groups                []string // IDs
}

// Environment is a set of groups that are installed together.
type Environment struct {
	ID, Name, Description string
	Order                 int
	Groups                []string // IDs of those that belong to it
	Options               []string // IDs of those that may be added
}

var (
	// id is what dnf takes on its command line without taking it for something
	// else: "@" begins a group there, "/" separates an environment's profile.
	id = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)
	// name is what rpm allows in a package's name (rpm: parsePreamble.c,
	// ALLOWED_CHARS_NAME).
	name = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]*$`)
)

// sorted is c in the order in which it is written, checked.
func (c Comps) sorted() (Comps, error) {
	var errs []error
	known := map[string]bool{}
	out := Comps{}
	for _, g := range c.Groups {
		if known[g.ID] {
			errs = append(errs, fmt.Errorf("there are two groups %q", g.ID))
		}
		known[g.ID] = true
		g, err := g.sorted()
		errs = append(errs, err)
		out.Groups = append(out.Groups, g)
	}
	groups := maps.Clone(known)
	refer := func(what, from string, ids []string) []string {
		for _, to := range ids {
			if !groups[to] {
				errs = append(errs, fmt.Errorf("%s %q has group %q, which does not exist", what, from, to))
			}
		}
		return unique(ids)
	}
	for _, k := range c.Categories {
		errs = append(errs, checkNames("category", k.ID, k.Name, k.Description))
		k.Groups = refer("category", k.ID, k.Groups)
		out.Categories = append(out.Categories, k)
	}
	for _, e := range c.Environments {
		errs = append(errs, checkNames("environment", e.ID, e.Name, e.Description))
		if known[e.ID] { // dnf has one name space for both
			errs = append(errs, fmt.Errorf("environment %q has the ID of a group or of another environment", e.ID))
		}
		known[e.ID] = true
		e.Groups, e.Options = refer("environment", e.ID, e.Groups), refer("environment", e.ID, e.Options)
		out.Environments = append(out.Environments, e)
	}
	slices.SortFunc(out.Groups, func(a, b Group) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(out.Categories, func(a, b Category) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(out.Environments, func(a, b Environment) int { return cmp.Compare(a.ID, b.ID) })
	for i := 1; i < len(out.Categories); i++ {
		if out.Categories[i].ID == out.Categories[i-1].ID {
			errs = append(errs, fmt.Errorf("there are two categories %q", out.Categories[i].ID))
		}
	}
	return out, errors.Join(errs...)
}

func (g Group) sorted() (Group, error) {
	errs := []error{checkNames("group", g.ID, g.Name, g.Description)}
	g.Mandatory, g.Preset, g.Optional = unique(g.Mandatory), unique(g.Preset), unique(g.Optional)
	g.Conditional = slices.Clone(g.Conditional)
	slices.SortFunc(g.Conditional, func(a, b Conditional) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Requires, b.Requires))
	})
	g.Conditional = slices.Compact(g.Conditional)
	seen := map[string]bool{}
	for _, list := range [][]string{g.Mandatory, g.Preset, g.Optional} {
		for _, p := range list {
			if !name.MatchString(p) {
				errs = append(errs, fmt.Errorf("group %q: %q is no name of a package", g.ID, p))
			}
			if seen[p] {
				errs = append(errs, fmt.Errorf("group %q has package %q in two ways", g.ID, p))
			}
			seen[p] = true
		}
	}
	for _, p := range g.Conditional {
		if !name.MatchString(p.Name) || !name.MatchString(p.Requires) {
			errs = append(errs, fmt.Errorf("group %q: %q if %q: that is no name of a package", g.ID, p.Name, p.Requires))
		}
		if seen[p.Name] {
			errs = append(errs, fmt.Errorf("group %q has package %q in two ways", g.ID, p.Name))
		}
	}
	return g, errors.Join(errs...)
}

func checkNames(what, key string, texts ...string) error {
	if !id.MatchString(key) {
		return fmt.Errorf("%q is no ID of a %s: letters, digits, and . _ + - within it are allowed", key, what)
	}
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, forbidden) {
			return fmt.Errorf("%s %q: %q has a character that metadata cannot hold", what, key, s)
		}
	}
	return nil
}

// forbidden are the characters that XML 1.0 does not allow.
func forbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

func unique(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}
