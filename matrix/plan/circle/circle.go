package circle

import "slices"

// Edge leads from one node to another. It is Length long, and Label is the
// caller's own.
type Edge struct{ To, Length, Label int }

// maxEdges bounds how many edges are looked at for a still shorter circle.
const maxEdges = 20_000_000

// Shortest is the node at which a shortest circle begins, and its edges. Of
// several it is one of the lowest node. The edges are nil when there is no circle.
func Shortest(edges [][]Edge) (first int, circle []Edge) {
	length, looked := far, 0
	for start := range edges {
		if looked > maxEdges {
			break
		}
		if found, n := back(edges, start, length, &looked); found != nil {
			first, circle, length = start, found, n
		}
	}
	return first, circle
}

const far = 1 << 30

// back is the shortest way from start back to it that is shorter than limit, and
// its length.
func back(edges [][]Edge, start, limit int, looked *int) ([]Edge, int) {
	type reached struct {
		by   int
		over Edge
	}
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
				to := d + e.Length
				if e.To == start {
					if to < arrival {
						arrival, closing = to, reached{n, e}
					}
					continue
				}
				if to >= distance[e.To] || to >= limit {
					continue
				}
				distance[e.To], from[e.To] = to, reached{n, e}
				for len(levels) <= to {
					levels = append(levels, nil)
				}
				levels[to] = append(levels[to], e.To)
			}
		}
	}
	if arrival >= limit {
		return nil, 0
	}
	circle := []Edge{closing.over}
	for n := closing.by; n != start; n = from[n].by {
		circle = append(circle, from[n].over)
	}
	slices.Reverse(circle)
	return circle, arrival
}

// Components are the sets of nodes that can be reached from each other, of more
// than one node or with an edge to itself, in the order of their first nodes
// (Tarjan, Depth-first search and linear graph algorithms, 1972).
func Components(edges [][]int) [][]int {
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
