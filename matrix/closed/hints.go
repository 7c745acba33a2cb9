package closed

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// hints tell why there is no provider, or what there is instead.
type hints struct {
	offers   map[string][]offer              // by name
	declared map[string]map[string]*plan.Job // by cell and name: who declares a package that is never produced
	absences map[string][]absence            // by cell
	names    map[string]*closure.Names       // by cell
	known    map[hinted]string
}

// offer is what a job provides in a cell.
type offer struct {
	job     *plan.Job
	cell    string
	version string
}

// absence is a job that there is not in a cell.
type absence struct {
	recipe, variant string
	failed          bool
	why             string
}

type hinted struct {
	cell string
	req  rpm.Dependency
}

func newHints(in Input) *hints {
	h := &hints{
		offers: map[string][]offer{}, declared: map[string]map[string]*plan.Job{}, absences: map[string][]absence{},
		names: map[string]*closure.Names{}, known: map[hinted]string{},
	}
	for _, j := range in.Plan.Jobs {
		r := in.Evaluated(j)
		for _, arch := range j.Architectures() {
			cell := j.Target + "/" + arch
			for _, p := range r.Packages {
				for _, d := range p.Provides {
					h.offers[d.Name] = append(h.offers[d.Name], offer{j, cell, d.Version})
				}
			}
			for _, name := range r.Unbuilt {
				if h.declared[cell] == nil {
					h.declared[cell] = map[string]*plan.Job{}
				}
				h.declared[cell][name] = j
			}
		}
	}
	for _, f := range in.Plan.Failures {
		cell := f.Target + "/" + f.Arch
		h.absences[cell] = append(h.absences[cell], absence{f.Recipe, f.Variant, true, "cannot be read"})
	}
	for _, s := range in.Plan.Skips {
		cell := s.Target + "/" + s.Arch
		h.absences[cell] = append(h.absences[cell], absence{s.Recipe, s.Variant, false, s.Reason})
	}
	return h
}

// of is the hint for what is missing of one requirement.
func (h *hints) of(cell, requirement string, missing []rpm.Dependency) string {
	var all []string
	for _, req := range missing {
		k := hinted{cell, req}
		hint, ok := h.known[k]
		if !ok {
			hint = h.find(cell, req)
			h.known[k] = hint
		}
		if hint == "" && requirement != req.String() {
			hint = "nothing provides " + req.String()
		}
		if hint != "" && !slices.Contains(all, hint) {
			all = append(all, hint)
		}
	}
	return strings.Join(all, "; ")
}

func (h *hints) find(cell string, req rpm.Dependency) string {
	var here, elsewhere []offer
	for _, o := range h.offers[req.Name] {
		if o.cell == cell {
			here = append(here, o)
		} else {
			elsewhere = append(elsewhere, o)
		}
	}
	switch {
	case len(here) > 0:
		return fmt.Sprintf("%s is there in %s, not %s %s", req.Name, versions(here, req), req.Flags.Operator(), req.Version)
	case h.declared[cell][req.Name] != nil:
		return fmt.Sprintf("%s declares it, but gives it no files: it is never produced", h.declared[cell][req.Name].Spec)
	case len(elsewhere) > 0:
		return h.notHere(cell, elsewhere)
	}
	if a, ok := h.likely(cell, req.Name); ok {
		return a.String()
	}
	if h.names[cell] == nil {
		h.names[cell] = closure.NewNames(func(yield func(string) bool) {
			for name, offers := range h.offers {
				if slices.ContainsFunc(offers, func(o offer) bool { return o.cell == cell }) && !yield(name) {
					return
				}
			}
		})
	}
	if nearest := h.names[cell].Nearest(req.Name); nearest != "" {
		return nearest + " is there"
	}
	return ""
}

// versions are those of what there is, in the detail in which one is required: the
// release depends on the target.
func versions(of []offer, req rpm.Dependency) string {
	found := map[string]bool{}
	for _, o := range of {
		version := strings.TrimPrefix(o.version, "0:")
		if !strings.Contains(req.Version, "-") {
			version, _, _ = strings.Cut(version, "-")
		}
		if version == "" {
			version = "no version"
		}
		found[version] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), ", ")
}

// notHere says why something that other cells have is not in this one.
func (h *hints) notHere(cell string, elsewhere []offer) string {
	var reasons, cells []string
	for _, o := range elsewhere {
		for _, a := range h.absences[cell] {
			if a.recipe == o.job.Recipe && (a.variant == "" || a.variant == o.job.Variant) && !slices.Contains(reasons, a.String()) {
				reasons = append(reasons, a.String())
			}
		}
		if !slices.Contains(cells, o.cell) {
			cells = append(cells, o.cell)
		}
	}
	if len(reasons) > 0 {
		return strings.Join(reasons[:min(len(reasons), maxReasons)], "; ")
	}
	slices.Sort(cells)
	return fmt.Sprintf("%s makes it for %s only", elsewhere[0].job.Name(), strings.Join(cells, ", "))
}

// maxReasons bounds how many absences are told of one name: several may provide it.
const maxReasons = 2

// likely is the absent job that would make a package, as far as names tell: what
// no cell has, only the name of the recipe speaks for.
func (h *hints) likely(cell, name string) (absence, bool) {
	var best absence
	length := 0
	for _, a := range h.absences[cell] {
		base := path.Base(a.recipe)
		rest, ok := strings.CutPrefix(name, base)
		if !ok || rest != "" && rest[0] != '-' || len(base) <= length {
			continue
		}
		if a.variant != "" && !strings.Contains(rest+"-", "-"+a.variant+"-") {
			continue
		}
		best, length = a, len(base)
	}
	return best, length > 0
}

func (a absence) String() string {
	name := a.recipe
	if a.variant != "" {
		name += "@" + a.variant
	}
	if a.failed {
		return fmt.Sprintf("%s would make it, whose spec cannot be read", name)
	}
	return fmt.Sprintf("%s would make it, but is not built here: %s", name, a.why)
}
