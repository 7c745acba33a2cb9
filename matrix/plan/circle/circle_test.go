package circle_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/plan/circle"
)

func TestComponents(t *testing.T) {
	for name, tc := range map[string]struct{ edges, want [][]int }{
		"nothing":      {nil, nil},
		"no circle":    {[][]int{{1, 2}, {2}, {}}, nil},
		"itself":       {[][]int{{}, {1}}, [][]int{{1}}},
		"two circles":  {[][]int{{4}, {2}, {1, 0}, {}, {0, 3}}, [][]int{{0, 4}, {1, 2}}},
		"one of two":   {[][]int{{1}, {2}, {0, 3}, {4}, {2}}, [][]int{{0, 1, 2, 3, 4}}},
		"found behind": {[][]int{{}, {0, 3}, {1}, {2}}, [][]int{{1, 2, 3}}},
	} {
		require.Equal(t, tc.want, circle.Components(tc.edges), name)
	}
}

func TestShortest(t *testing.T) {
	first, edges := circle.Shortest([][]circle.Edge{
		{{To: 1, Length: 1, Label: 7}},
		{{To: 2, Length: 1, Label: 8}, {To: 0, Length: 5}},
		{{To: 0, Length: 1, Label: 9}},
		{{To: 3, Length: 4}},
	})
	require.Zero(t, first)
	require.Equal(t, []circle.Edge{{1, 1, 7}, {2, 1, 8}, {0, 1, 9}}, edges)

	first, edges = circle.Shortest([][]circle.Edge{{{To: 1, Length: 1}}, {{To: 1, Length: 1}}})
	require.Equal(t, 1, first)
	require.Len(t, edges, 1)

	_, edges = circle.Shortest([][]circle.Edge{{{To: 1, Length: 1}}, nil})
	require.Nil(t, edges)
}

// TestRandomGraphs compares with the matrix of all distances (Floyd, Warshall).
func TestRandomGraphs(t *testing.T) {
	const far = 1 << 20
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		n := 1 + random.IntN(7)
		edges, plain := make([][]circle.Edge, n), make([][]int, n)
		distance := make([][]int, n)
		for i := range n {
			distance[i] = make([]int, n)
			for j := range n {
				distance[i][j] = far
				if random.IntN(4) == 0 {
					distance[i][j] = 1 + random.IntN(4)
					edges[i] = append(edges[i], circle.Edge{To: j, Length: distance[i][j]})
					plain[i] = append(plain[i], j)
				}
			}
		}
		for k := range n {
			for i := range n {
				for j := range n {
					distance[i][j] = min(distance[i][j], distance[i][k]+distance[k][j])
				}
			}
		}
		want, at := far, 0
		component := map[int]int{} // of each node on a circle: its lowest fellow
		for i := range n {
			if distance[i][i] < want {
				want, at = distance[i][i], i
			}
			for j := range n {
				if distance[i][j] < far && distance[j][i] < far {
					component[i] = j
					break
				}
			}
		}
		first, found := circle.Shortest(edges)
		length := 0
		for _, e := range found {
			length += e.Length
		}
		if want == far {
			require.Nil(t, found)
		} else {
			require.Equal(t, want, length)
			require.Equal(t, at, first)
			require.Equal(t, first, found[len(found)-1].To)
		}
		got := map[int]int{}
		for _, nodes := range circle.Components(plain) {
			for _, node := range nodes {
				got[node] = nodes[0]
			}
		}
		require.Equal(t, component, got)
	}
}
