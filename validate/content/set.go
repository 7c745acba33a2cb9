package content

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/validate/overlap"
)

// Exception declares that what a rule objects to is right.
type Exception struct {
	Package string // name of the package; "" for all
	Rule    Rule
	Paths   []string // patterns as of path.Match; one that ends in /** is for all below
	Reason  string
}

func (e Exception) covers(f Finding) bool {
	return e.Rule == f.Rule && (e.Package == "" || e.Package == f.Name) &&
		slices.ContainsFunc(e.Paths, func(pattern string) bool { return matches(pattern, f.Path) })
}

func matches(pattern, name string) bool {
	if dir, ok := strings.CutSuffix(pattern, "**"); ok && strings.HasSuffix(dir, "/") {
		return strings.HasPrefix(name, dir)
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// Set is packages that are part of one repository, and what else is known there.
type Set struct {
	Reports   []*Report
	Conflicts []overlap.Conflict

	// Has says whether there is a file, in one of the packages or in the system that
	// they are for. Nil: nobody knows, and interpreters are not looked for.
	Has func(path string) bool

	Exceptions []Exception
}

// Findings are those of all packages, in order of package and path. Those that are
// declared tell so.
func (s *Set) Findings() []Finding {
	var all []Finding
	for _, r := range s.Reports {
		for _, f := range r.Findings {
			f.Package, f.Name = r.Package, r.Name
			all = append(all, f)
		}
		all = append(all, s.interpreters(r)...)
	}
	for _, c := range s.Conflicts {
		all = append(all, Finding{
			Package: c.Package, Name: c.Name, Path: printable(c.Path), Rule: FileConflict,
			What: fmt.Sprintf("%s has it too, %s", c.Other, c.Difference),
			Mend: "put it into one of them, or let them conflict with each other",
		})
	}
	all = append(all, s.sameBuildIDs()...)
	for i := range all {
		for _, e := range s.Exceptions {
			if e.covers(all[i]) {
				all[i].Allowed = e.Reason
				break
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
	})
	return all
}

// interpreters are the scripts of a package whose interpreters are not there.
func (s *Set) interpreters(r *Report) []Finding {
	if s.Has == nil {
		return nil
	}
	var found []Finding
	for _, script := range r.Scripts {
		if s.Has(script.Interpreter) {
			continue
		}
		found = append(found, Finding{
			Package: r.Package, Name: r.Name, Path: script.Path, Rule: Interpreter,
			What: fmt.Sprintf("its interpreter %s is neither in a package nor in the image", script.Interpreter),
			Mend: "name a program that is installed, and require its package",
		})
	}
	return found
}

// sameBuildIDs are different files that a debugger cannot tell apart.
func (s *Set) sameBuildIDs() []Finding {
	type place struct {
		report *Report
		built  Built
	}
	first := map[string]place{}
	var found []Finding
	for _, r := range s.Reports {
		for _, b := range r.BuildIDs {
			other, ok := first[b.ID]
			if !ok {
				first[b.ID] = place{r, b}
				continue
			}
			if other.report == r || other.built.Digest == b.Digest {
				continue
			}
			found = append(found, Finding{
				Package: r.Package, Name: r.Name, Path: b.Path, Rule: BuildID,
				What: fmt.Sprintf("it has the build ID %s of %s in %s, and is another file", b.ID, other.built.Path, other.report.Package),
			})
		}
	}
	return found
}
