package closure

import (
	"fmt"
	"iter"
	"math/bits"
	"path"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// hints tells what there is in place of what is missing. The names are listed
// when the first hint is asked for.
type hints struct {
	world *world
	names Names
	known map[hinted]string
}

type hinted struct {
	dependency rpm.Dependency
	cell       int
}

// Names are names that something provides, and files, in order.
type Names struct{ names []name }

// NewNames gathers names, each of which may come several times.
func NewNames(texts iter.Seq[string]) *Names {
	n := &Names{}
	for text := range texts {
		n.names = append(n.names, name{text, ^uint64(0), letters(text)})
	}
	n.sort()
	n.names = slices.CompactFunc(n.names, func(a, b name) bool { return a.text == b.text })
	return n
}

// Nearest is the name that is most like text but not the same, or "" when none is
// like it.
func (n *Names) Nearest(text string) string { return n.similar(text, ^uint64(0)) }

func (n *Names) sort() {
	slices.SortFunc(n.names, func(a, b name) int { return strings.Compare(a.text, b.text) })
}

// name is one of them, and in which cells it is.
type name struct {
	text    string
	cells   uint64
	letters uint64 // the characters in it, for passing over what is far away
}

const (
	// maxHints bounds for how many distinct requirements similar names are
	// looked for: with more, it is the base that is missing.
	maxHints = 200
	// maxShown bounds how many versions a hint lists.
	maxShown = 3
)

// of is the hint for an expression that does not hold: of a rich one, for each
// of its dependencies that has no provider.
func (h *hints) of(e Expression, cell int) string {
	if e.Op == "" {
		return h.leaf(e.Leaf, cell)
	}
	var parts []string
	e.Leaves(func(d rpm.Dependency) {
		if h.world.holds(Expression{Leaf: d}, cell) != unmet || len(parts) == maxShown {
			return
		}
		hint := h.leaf(d, cell)
		if hint == "" {
			hint = "nothing provides " + d.String()
		}
		if !slices.Contains(parts, hint) {
			parts = append(parts, hint)
		}
	})
	if len(parts) == 0 {
		return "each part has a provider, but not one for all of it"
	}
	return strings.Join(parts, "; ")
}

func (h *hints) leaf(d rpm.Dependency, cell int) string {
	k := hinted{d, cell}
	hint, ok := h.known[k]
	if !ok && len(h.known) < maxHints {
		if h.known == nil {
			h.known = map[hinted]string{}
			h.list()
		}
		hint = h.find(d, cell)
		h.known[k] = hint
	}
	return hint
}

func (h *hints) find(d rpm.Dependency, cell int) string {
	if versions := h.versions(d.Name, cell); versions != "" {
		return fmt.Sprintf("%s is there in %s, not %s %s", d.Name, versions, d.Flags.Operator(), d.Version)
	}
	for other, arch := range h.world.cells {
		if other != cell && h.world.provided(d, other) {
			return fmt.Sprintf("%s is there for %s only", d.Name, arch)
		}
	}
	if strings.HasPrefix(d.Name, "/") {
		base := "/" + path.Base(d.Name)
		for _, n := range h.names.names {
			if n.cells&(1<<cell) != 0 && strings.HasPrefix(n.text, "/") && strings.HasSuffix(n.text, base) {
				return n.text + " is there"
			}
		}
	}
	if similar := h.names.similar(d.Name, 1<<cell); similar != "" {
		if versions := h.versions(similar, cell); versions != "" {
			return fmt.Sprintf("%s is there in %s", similar, versions)
		}
		return similar + " is there"
	}
	return ""
}

// versions are those in which a name is provided in the cell, the newest first.
func (h *hints) versions(name string, cell int) string {
	var found []string
	for _, p := range h.world.provides[name] {
		if p.version != "" && h.world.packages[p.by].in(cell) {
			found = append(found, strings.TrimPrefix(p.version, "0:"))
		}
	}
	slices.SortFunc(found, func(a, b string) int { return rpm.ParseEVR(b).Compare(rpm.ParseEVR(a)) })
	found = slices.Compact(found)
	if len(found) > maxShown {
		found = append(found[:maxShown], "…")
	}
	return strings.Join(found, ", ")
}

// list gathers all names, in order.
func (h *hints) list() {
	w := h.world
	for text, provides := range w.provides {
		n := name{text: text, letters: letters(text)}
		for _, p := range provides {
			n.cells |= w.packages[p.by].cells
		}
		h.names.names = append(h.names.names, n)
	}
	for text, holders := range w.files {
		n := name{text: text, letters: letters(text)}
		for _, i := range holders {
			n.cells |= w.packages[i].cells
		}
		h.names.names = append(h.names.names, n)
	}
	h.names.sort()
}

// similar is the name of these cells that is nearest to text: the same with a mark
// in parentheses, such as libhwloc.so.15()(64bit) and
// libhwloc.so.15()(64bit)(ohpc), or else the one with the fewest changes.
func (n *Names) similar(text string, cells uint64) string {
	if len(text) > 256 {
		return ""
	}
	best, limit, set := "", min(3, len(stem(text))/4), letters(text)
	for _, other := range n.names {
		if other.cells&cells == 0 || other.text == text {
			continue
		}
		if marked(other.text, text) || marked(text, other.text) {
			return other.text
		}
		// One change adds at most one character and takes one away.
		if abs(len(other.text)-len(text)) > limit || bits.OnesCount64(other.letters^set) > 2*limit {
			continue
		}
		d := distance(text, other.text, limit)
		if d < limit || d == limit && (best == "" || rpm.CompareVersions(other.text, best) > 0) {
			best, limit = other.text, d // of several, what looks like the newest
		}
	}
	if best == "" {
		return n.sibling(text, cells)
	}
	return best
}

// sibling is a name that differs from text in one of the words between its
// hyphens, but not in the first: scotch-gnu14-ohpc is one of scotch-arm1-ohpc. Of
// several it is the one that looks like the newest.
func (n *Names) sibling(text string, cells uint64) string {
	words := strings.Split(text, "-")
	if len(words) < 3 || strings.ContainsAny(text, "/(") {
		return ""
	}
	// The names are in order: those with the same first word follow one another.
	first := words[0] + "-"
	i, _ := slices.BinarySearchFunc(n.names, first, func(a name, b string) int { return strings.Compare(a.text, b) })
	best := ""
	for _, other := range n.names[i:] {
		if !strings.HasPrefix(other.text, first) {
			break
		}
		if other.cells&cells == 0 || strings.Count(other.text, "-") != len(words)-1 {
			continue
		}
		differ, j := 0, 0
		for word := range strings.SplitSeq(other.text, "-") {
			if word != words[j] {
				differ++
			}
			j++
		}
		if differ == 1 && (best == "" || rpm.CompareVersions(other.text, best) > 0) {
			best = other.text
		}
	}
	return best
}

// stem is the part of a name that tells it from others of its kind: lib of
// lib.so.1()(64bit), module of perl(module).
func stem(name string) string {
	if lib, _, ok := strings.Cut(name, ".so"); ok {
		return lib
	}
	if _, inner, ok := strings.Cut(name, "("); ok {
		return strings.TrimSuffix(inner, ")")
	}
	return name
}

// marked says whether a is b with a mark in parentheses at its end.
func marked(a, b string) bool {
	return len(a) > len(b) && a[len(b)] == '(' && strings.HasSuffix(b, ")") && strings.HasPrefix(a, b)
}

func letters(s string) uint64 {
	set := uint64(0)
	for i := range len(s) {
		set |= 1 << (s[i] & 63)
	}
	return set
}

func abs(n int) int { return max(n, -n) }

// distance is how many bytes must be changed, added or taken away to make b of
// a; above the limit it is only more than the limit.
func distance(a, b string, limit int) int {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	var short [64]int // spares the allocation for nearly all names
	row := short[:]
	if len(b) >= len(row) {
		row = make([]int, len(b)+1)
	}
	row = row[:len(b)+1]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal, least := row[0], i+1
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
			least = min(least, row[j+1])
		}
		if least > limit {
			return least
		}
	}
	return row[len(b)]
}
