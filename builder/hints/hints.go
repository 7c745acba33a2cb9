package hints

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"
)

// Requirement is one BuildRequires of a spec.
type Requirement struct {
	Text  string `json:"text"`            // as rpm prints it: a name, and perhaps a version
	Where string `json:"where,omitempty"` // file:line
}

// Package is a package that is installed in the build root.
type Package struct {
	Name     string
	Provides []string // without versions; its name is one of them
	Requires []string // without versions
	Files    []string // absolute paths
	Always   bool     // every build root holds it
}

// builds is what every build root needs to build anything.
const builds = "/usr/bin/rpmbuild"

// Root is a build root: its packages and its files.
type Root struct {
	packages []Package
	tree     *tree
	provider map[string][]int // packages by what they provide, their paths included
}

// NewRoot is a root made of layers, the uppermost first.
func NewRoot(layers []string, packages []Package) *Root {
	r := &Root{packages: packages, tree: newTree(layers), provider: map[string][]int{}}
	for i, p := range packages {
		for _, name := range append([]string{p.Name}, p.Provides...) {
			if of := r.provider[name]; len(of) == 0 || of[len(of)-1] != i {
				r.provider[name] = append(of, i)
			}
		}
	}
	return r
}

// Unused are the hints for requirements of which no file was opened, in their
// order. The paths of opened lead over no link. What lies below the paths of
// covered is hidden by mounts, and whether it was opened is not known.
func (r *Root) Unused(requires []Requirement, opened, covered []string) []string {
	used := usage{opened: map[string]bool{}, covered: covered}
	for _, p := range opened {
		used.opened[p] = true
	}
	base := r.closure(r.always())
	sets := make([]set, len(requires)) // what each brings
	for i, req := range requires {
		if of := r.providers(name(req.Text)); of != nil {
			sets[i] = r.closure(of)
		}
	}
	var hints []string
	for i, req := range requires {
		of := r.providers(name(req.Text))
		if len(of) == 0 {
			continue // nobody knows what it brings
		}
		others := base.clone()
		for j, s := range sets {
			if j != i && name(requires[j].Text) != name(req.Text) {
				others.add(s)
			}
		}
		if !r.holdsFiles(of) || r.anyUsed(of, used) || r.anyUsed(sets[i].without(others), used) {
			continue
		}
		hint := "BuildRequires: " + req.Text + " was never opened"
		if req.Where != "" {
			hint += " (" + req.Where + ")"
		}
		if hint = plain(hint); !slices.Contains(hints, hint) {
			hints = append(hints, hint)
		}
	}
	return hints
}

// name is what a requirement asks for, without a version and an architecture.
func name(requirement string) string {
	if strings.HasPrefix(requirement, "(") {
		return "" // a rich one: who knows which part of it counts
	}
	name, _, _ := strings.Cut(requirement, " ")
	for _, isa := range []string{"(x86-64)", "(aarch-64)"} {
		name = strings.TrimSuffix(name, isa)
	}
	return name
}

// plain is text without what a terminal would act on: specs are foreign.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// providers are the packages that provide something, or hold the file of the path.
func (r *Root) providers(name string) []int {
	if of := r.provider[name]; len(of) > 0 || !path.IsAbs(name) {
		return of
	}
	var of []int
	if real, _, ok := r.tree.resolve(name); ok {
		for i, p := range r.packages {
			if slices.ContainsFunc(p.Files, func(f string) bool {
				if path.Base(f) != path.Base(name) && path.Base(f) != path.Base(real) {
					return false
				}
				at, _, ok := r.tree.resolve(f)
				return ok && at == real
			}) {
				of = append(of, i)
			}
		}
	}
	r.provider[name] = of
	return of
}

// always are the packages of every build root.
func (r *Root) always() []int {
	of := slices.Clone(r.providers(builds))
	for i, p := range r.packages {
		if p.Always {
			of = append(of, i)
		}
	}
	return of
}

// set is a set of packages, by number.
type set map[int]bool

func (s set) clone() set {
	c := set{}
	c.add(s)
	return c
}

func (s set) add(o set) {
	for i := range o {
		s[i] = true
	}
}

func (s set) without(o set) []int {
	var rest []int
	for i := range s {
		if !o[i] {
			rest = append(rest, i)
		}
	}
	return rest
}

// closure are packages and all that they require, directly or not.
func (r *Root) closure(of []int) set {
	all := set{}
	for open := slices.Clone(of); len(open) > 0; {
		i := open[len(open)-1]
		open = open[:len(open)-1]
		if all[i] {
			continue
		}
		all[i] = true
		for _, req := range r.packages[i].Requires {
			open = append(open, r.providers(req)...)
		}
	}
	return all
}

// documentation is what builds have no business with.
var documentation = []string{"/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/licenses/", "/usr/share/locale/", "/usr/share/lintian/", "/usr/share/bug/"}

func documents(file string) bool {
	return slices.ContainsFunc(documentation, func(dir string) bool { return strings.HasPrefix(file, dir) })
}

// holdsFiles says whether packages hold anything that a build could open.
func (r *Root) holdsFiles(of []int) bool {
	return slices.ContainsFunc(of, func(i int) bool {
		return slices.ContainsFunc(r.packages[i].Files, func(f string) bool {
			if documents(f) {
				return false
			}
			_, mode, ok := r.tree.resolve(f)
			return ok && mode.IsRegular()
		})
	})
}

// usage is what is known of the files of a root.
type usage struct {
	opened  map[string]bool
	covered []string
}

func (u usage) of(file string) bool {
	return u.opened[file] || slices.ContainsFunc(u.covered, func(c string) bool {
		return file == c || strings.HasPrefix(file, c+"/") || strings.HasPrefix(c, file+"/")
	})
}

// anyUsed says whether a file of the packages was opened. The paths as they are
// written come first, as they are mostly the right ones and cost nothing.
func (r *Root) anyUsed(of []int, used usage) bool {
	for _, i := range of {
		if slices.ContainsFunc(r.packages[i].Files, func(f string) bool { return used.opened[f] }) {
			return true
		}
	}
	for _, i := range of {
		if slices.ContainsFunc(r.packages[i].Files, func(f string) bool {
			if documents(f) {
				return false
			}
			real, mode, ok := r.tree.resolve(f)
			return ok && mode&fs.ModeDir == 0 && used.of(real)
		}) {
			return true
		}
	}
	return false
}
