package plan

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// hints tell what there is in place of what nobody provides.
type hints struct {
	cells map[cell]*world
	order []cell
	names map[cell]*closure.Names
	known map[hinted]string
	gone  map[cell][]absence
}

type hinted struct {
	cell cell
	req  rpm.Dependency
}

// absence is a recipe whose packages are not there.
type absence struct{ name, why string }

func newHints(cells map[cell]*world, skips []Skip, failures []Failure) *hints {
	h := &hints{cells: cells, names: map[cell]*closure.Names{}, known: map[hinted]string{}, gone: map[cell][]absence{}}
	h.order = slices.SortedFunc(maps.Keys(cells), func(a, b cell) int {
		return strings.Compare(a.target+"/"+a.arch, b.target+"/"+b.arch)
	})
	add := func(recipe, target, arch, why string) {
		at := cell{target, arch}
		h.gone[at] = append(h.gone[at], absence{path.Base(recipe), why})
	}
	for _, f := range failures {
		add(f.Recipe, f.Target, f.Arch, Name(f.Recipe, f.Variant)+" could not be read")
	}
	for _, s := range skips {
		add(s.Recipe, s.Target, s.Arch, Name(s.Recipe, s.Variant)+" is skipped: "+s.Reason)
	}
	return h
}

// of is the hint for what is missing of one requirement.
func (h *hints) of(at cell, missing []rpm.Dependency) string {
	var all []string
	for _, req := range missing {
		k := hinted{at, req}
		hint, ok := h.known[k]
		if !ok {
			hint = h.find(at, req)
			h.known[k] = hint
		}
		if hint == "" && len(missing) > 1 {
			hint = "nothing provides " + req.String()
		}
		if hint != "" && !slices.Contains(all, hint) {
			all = append(all, hint)
		}
	}
	return strings.Join(all, "; ")
}

func (h *hints) find(at cell, req rpm.Dependency) string {
	w := h.cells[at]
	if versions := w.Versions(req.Name); len(versions) > 0 && req.Version != "" {
		return fmt.Sprintf("%s is there in %s, not %s %s", req.Name, versions[0], req.Flags.Operator(), req.Version)
	}
	// The longest name says most: of scotch and scotch-tools the latter.
	var gone absence
	for _, a := range h.gone[at] {
		rest, ok := strings.CutPrefix(req.Name, a.name)
		if ok && (rest == "" || rest[0] == '-') && len(a.name) > len(gone.name) {
			gone = a
		}
	}
	if gone.why != "" {
		return gone.why
	}
	var others []string
	for _, other := range h.order {
		if other != at && h.cells[other].Provided(req) {
			others = append(others, other.target+"/"+other.arch)
		}
	}
	if len(others) > 0 {
		return fmt.Sprintf("%s is there for %s only", req.Name, strings.Join(others, ", "))
	}
	if h.names[at] == nil {
		h.names[at] = closure.NewNames(w.Names())
	}
	if nearest := h.names[at].Nearest(req.Name); nearest != "" {
		return nearest + " is there"
	}
	return ""
}
