package closure

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"a", "", 1},
		{"scotch", "scotch", 0},
		{"scotch", "scoth", 1},
		{"gnu12", "gnu14", 1},
		{"kitten", "sitting", 3},
		{"aa", "aaaa", 2},
		{"llvm-compilers-ohpc", "llvm10-compilers-ohpc", 2},
	} {
		require.Equal(t, tc.want, distance(tc.a, tc.b, 3), "%s %s", tc.a, tc.b)
		require.Equal(t, tc.want, distance(tc.b, tc.a, 3), "%s %s", tc.b, tc.a)
	}
	require.Greater(t, distance("abcdefgh", "stuvwxyz", 3), 3)
}
