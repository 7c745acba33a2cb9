package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/plan/circle"
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
	for _, component := range circle.Components(g.needs) {
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

// shortest is a circle of the fewest requirements among jobs that need each
// other, the one with the first job when there are several.
func (g *graph) shortest(component []int) *CycleError {
	position := map[int]int{}
	for i, n := range component {
		position[n] = i
	}
	edges := make([][]circle.Edge, len(component))
	roots := make([]*provide.Root, len(component))
	for i, n := range component {
		roots[i] = g.root(n)
		edges[i] = g.edges(n, roots[i], position)
	}
	at, round := circle.Shortest(edges)
	e := &CycleError{Path: []string{g.jobs[component[at]].ID}}
	for _, hop := range round {
		g.explain(e, component[at], roots[at], hop.Label)
		at = hop.To
	}
	return e
}

// edges lead from one job to those of its component: as long as there are
// requirements in between, with the step of the root that ends each.
func (g *graph) edges(n int, root *provide.Root, position map[int]int) []circle.Edge {
	j := g.jobs[n]
	w := g.cells[cell{j.Target, j.Arch}]
	var edges []circle.Edge
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
			edges = append(edges, circle.Edge{To: to, Length: depth[i], Label: i})
		} else if depth[i] < edges[k].Length {
			edges[k].Length, edges[k].Label = depth[i], i
		}
	}
	return edges
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
