package closure

import (
	"slices"
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

func TestNearest(t *testing.T) {
	names := NewNames(slices.Values([]string{
		"scotch-gnu14-ohpc", "scotch-gnu12-ohpc", "libhwloc.so.15()(64bit)(ohpc)", "scotch-gnu14-ohpc", "zlib",
		"boost-gnu14-mpich-ohpc", "boost-intel-mpich-ohpc", "boost-gnu14-openmpi5-ohpc", "petsc-arm1-mpich-ohpc",
	}))
	for text, want := range map[string]string{
		"scoth-gnu14-ohpc":        "scotch-gnu14-ohpc",
		"scotch-gnu13-ohpc":       "scotch-gnu14-ohpc", // of those at one distance what looks newest
		"scotch-gnu14-ohpc":       "scotch-gnu12-ohpc", // never the name itself
		"libhwloc.so.15()(64bit)": "libhwloc.so.15()(64bit)(ohpc)",
		"petsc":                   "",
		"boost-arm1-mpich-ohpc":   "boost-intel-mpich-ohpc", // all words but one
		"boost-arm1-impi-ohpc":    "",
		"hypre-gnu14-mpich-ohpc":  "", // another package altogether
	} {
		require.Equal(t, want, names.Nearest(text), text)
	}
}
