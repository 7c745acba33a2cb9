package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/plan/provide"
	"github.com/ohpc-build/ohpc-build/matrix/plan/specline"
)

// CycleError says that jobs need each other to be built.
type CycleError struct {
	Path  []string // IDs of jobs, each of which needs the next; the first is repeated at the end
	Steps []Step   // one less than the path has
	Also  []string // IDs of jobs of the same recipes with a cycle of the same kind: one for each
}

// Step is why one job needs another.
type Step struct {
	From, To    string // names without the cell
	Requirement string
	AtRunTime   bool // a package that From makes requires it; otherwise From does to be built
	File        string
	Line        int
}

func (s Step) String() string {
	how := "BuildRequires"
	if s.AtRunTime {
		how = "needs at run time"
	}
	text := fmt.Sprintf("%s → %s: %s: %s", s.From, s.To, how, s.Requirement)
	switch {
	case s.Line > 0:
		text += fmt.Sprintf(" (%s:%d)", s.File, s.Line)
	case s.File != "":
		text += " (" + s.File + ")"
	}
	return text
}

func (e *CycleError) Error() string {
	var b strings.Builder
	b.WriteString("these jobs need each other to be built: " + strings.Join(e.Path, " → "))
	for _, s := range e.Steps {
		b.WriteString("\n  " + s.String())
	}
	if len(e.Also) > 0 {
		b.WriteString("\n  and so it is with " + strings.Join(e.Also, ", "))
	}
	b.WriteString("\n  take one of these requirements out")
	return b.String()
}

// cycles finds a shortest circle in each set of jobs that need each other.
func (g *graph) cycles() error {
	var errs []error
	kinds := map[string]*CycleError{}
	for _, component := range components(g.needs) {
		e := g.shortest(component)
		k := kind(e)
		if first := kinds[k]; first != nil {
			first.Also = append(first.Also, e.Path[0])
			continue
		}
		kinds[k] = e
		errs = append(errs, e)
	}
	return join(errs)
}

// kind is the same for cycles that are made by the same lines.
func kind(e *CycleError) string {
	var b strings.Builder
	for _, s := range e.Steps {
		from, _, _ := strings.Cut(s.From, "@")
		fmt.Fprintf(&b, "%s\x00%v\x00%s\x00%d\x00", from, s.AtRunTime, s.File, s.Line)
		if s.Line == 0 {
			b.WriteString(s.Requirement)
		}
	}
	return b.String()
}

// components are the sets of nodes that can be reached from each other, of more
// than one node or with an edge to itself, in the order of their first nodes
// (Tarjan, Depth-first search and linear graph algorithms, 1972).
func components(edges [][]int) [][]int {
	var (
		number = make([]int, len(edges)) // in order of discovery, from 1
		low    = make([]int, len(edges))
		inside = make([]bool, len(edges)) // is on the stack
		stack  []int
		count  int
		found  [][]int
	)
	type frame struct{ node, next int }
	for start := range edges {
		if number[start] != 0 {
			continue
		}
		open := []frame{{start, 0}}
		for len(open) > 0 {
			f := &open[len(open)-1]
			if f.next == 0 {
				count++
				number[f.node], low[f.node] = count, count
				stack, inside[f.node] = append(stack, f.node), true
			}
			descend := false
			for f.next < len(edges[f.node]) {
				to := edges[f.node][f.next]
				f.next++
				if number[to] == 0 {
					open, descend = append(open, frame{to, 0}), true
					break
				}
				if inside[to] {
					low[f.node] = min(low[f.node], number[to])
				}
			}
			if descend {
				continue
			}
			node := f.node
			open = open[:len(open)-1]
			if len(open) > 0 {
				parent := open[len(open)-1].node
				low[parent] = min(low[parent], low[node])
			}
			if low[node] != number[node] {
				continue
			}
			first := slices.Index(stack, node)
			component := slices.Clone(stack[first:])
			stack = stack[:first]
			for _, n := range component {
				inside[n] = false
			}
			if len(component) > 1 || slices.Contains(edges[node], node) {
				slices.Sort(component)
				found = append(found, component)
			}
		}
	}
	slices.SortFunc(found, func(a, b []int) int { return a[0] - b[0] })
	return found
}

// edge is how a job needs another: over how many requirements, the last of which
// is that step of its root.
type edge struct{ to, length, step int }

// maxEdges bounds how many edges are looked at for a shorter circle.
const maxEdges = 20_000_000

// shortest is a circle of the fewest requirements among jobs that need each
// other, the one with the first job when there are several.
func (g *graph) shortest(component []int) *CycleError {
	position := map[int]int{}
	for i, n := range component {
		position[n] = i
	}
	edges := make([][]edge, len(component))
	roots := make([]*provide.Root, len(component))
	for i, n := range component {
		roots[i] = g.root(n)
		edges[i] = g.edges(n, roots[i], position)
	}
	var (
		best   []edge // of the circle; to is where it goes on
		first  int
		length = 1 << 30
		looked = 0
	)
	for start := range component {
		if looked > maxEdges {
			break
		}
		if circle, n := back(edges, start, length, &looked); circle != nil {
			best, first, length = circle, start, n
		}
	}
	e := &CycleError{Path: []string{g.jobs[component[first]].ID}}
	at := first
	for _, hop := range best {
		g.explain(e, component[at], roots[at], hop.step)
		at = hop.to
	}
	return e
}

// edges are those of one job to those of its component.
func (g *graph) edges(n int, root *provide.Root, position map[int]int) []edge {
	j := g.jobs[n]
	w := g.cells[cell{j.Target, j.Arch}]
	var edges []edge
	depth := make([]int, len(root.Steps()))
	seen := map[int]int{}
	for i, s := range root.Steps() {
		depth[i] = 1
		if s.By >= 0 {
			depth[i] = depth[s.By] + 1
		}
		to, ok := position[w.packages[s.Package].Owner]
		if !ok {
			continue
		}
		if k, again := seen[to]; !again {
			seen[to] = len(edges)
			edges = append(edges, edge{to, depth[i], i})
		} else if depth[i] < edges[k].length {
			edges[k].length, edges[k].step = depth[i], i
		}
	}
	return edges
}

// back is the shortest way from start back to it that is shorter than limit, and
// its length.
func back(edges [][]edge, start, limit int, looked *int) ([]edge, int) {
	type reached struct {
		by   int
		over edge
	}
	const far = 1 << 30
	distance := make([]int, len(edges))
	from := make([]reached, len(edges))
	for i := range distance {
		distance[i] = far
	}
	arrival, closing := far, reached{}
	levels := [][]int{{start}} // the nodes at each distance
	for d := 0; d < len(levels) && d < min(limit, arrival); d++ {
		for _, n := range levels[d] {
			if n != start && distance[n] != d {
				continue // was reached on a shorter way
			}
			*looked += len(edges[n])
			for _, e := range edges[n] {
				to := d + e.length
				if e.to == start {
					if to < arrival {
						arrival, closing = to, reached{n, e}
					}
					continue
				}
				if to >= distance[e.to] || to >= limit {
					continue
				}
				distance[e.to], from[e.to] = to, reached{n, e}
				for len(levels) <= to {
					levels = append(levels, nil)
				}
				levels[to] = append(levels[to], e.to)
			}
		}
	}
	if arrival >= limit {
		return nil, 0
	}
	circle := []edge{closing.over}
	for n := closing.by; n != start; n = from[n].by {
		circle = append(circle, from[n].over)
	}
	slices.Reverse(circle)
	return circle, arrival
}

// explain adds to a cycle the requirements that lead to a step of a job's root.
func (g *graph) explain(e *CycleError, n int, root *provide.Root, step int) {
	j := g.jobs[n]
	w := g.cells[cell{j.Target, j.Arch}]
	var chain []provide.Step
	for i := step; i >= 0; i = root.Steps()[i].By {
		chain = append(chain, root.Steps()[i])
	}
	slices.Reverse(chain)
	from, kind := j, specline.BuildRequires
	for _, s := range chain {
		to := g.jobs[w.packages[s.Package].Owner]
		text := s.Requirement.String()
		file, line := g.lines.of(from, kind, text)
		e.Steps = append(e.Steps, Step{
			From: from.Name(), To: to.Name(), Requirement: text, AtRunTime: kind == specline.Requires, File: file, Line: line,
		})
		e.Path = append(e.Path, to.ID)
		from, kind = to, specline.Requires
	}
}
