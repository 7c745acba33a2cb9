package overlap

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// named makes packages of lines such as "a requires b c; conflicts d".
func named(t *testing.T, lines ...string) []*rpm.Package {
	t.Helper()
	var all []*rpm.Package
	for _, line := range lines {
		name, rest, _ := strings.Cut(line, " ")
		provides := rpmtest.Texts(1047, name)
		more := []rpmtest.Entry{provides, rpmtest.Int32s(1112, 8), rpmtest.Texts(1113, "1-1")}
		for _, part := range strings.Split(rest, "; ") {
			words := strings.Fields(part)
			if len(words) == 0 {
				continue
			}
			tags := map[string][3]uint32{"requires": {1049, 1048, 1050}, "conflicts": {1054, 1053, 1055}}[words[0]]
			names := words[1:]
			more = append(more, rpmtest.Texts(tags[0], names...), rpmtest.Int32s(tags[1], make([]uint32, len(names))...), rpmtest.Texts(tags[2], make([]string, len(names))...))
		}
		c := rpmtest.Simple(name, "1", "1", "noarch", more...)
		b := c.Bytes()
		p, err := rpm.Read(strings.NewReader(string(b)), int64(len(b)))
		require.NoError(t, err)
		all = append(all, p)
	}
	return all
}

func TestSets(t *testing.T) {
	for name, tc := range map[string]struct {
		packages []string
		sets     string
		left     []string
	}{
		"nothing":     {nil, "", nil},
		"all at once": {[]string{"a requires b", "b", "c"}, "a b c", nil},
		"families": {
			[]string{"app-openmpi requires openmpi", "app-mpich requires mpich", "tool", "openmpi conflicts mpich mvapich", "mpich conflicts mvapich", "mvapich"},
			"app-openmpi tool openmpi | app-mpich mpich | mvapich", nil,
		},
		"what is not offered any more": {
			[]string{"new", "old-one conflicts new", "old-two"}, "new old-two", []string{"old-one: old-one-1-1.noarch and new-1-1.noarch exclude each other"},
		},
		"no way at all": {
			[]string{"a", "b requires c d", "c conflicts d", "d"}, "a c | d", []string{"b: b-1-1.noarch requires d, and what provides that is excluded by what else is there"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			packages := named(t, tc.packages...)
			sets, left, err := Sets(t.Context(), packages, nil, func(i int) bool { return !strings.HasPrefix(packages[i].Name, "old") })
			require.NoError(t, err)
			var told, why []string
			for _, set := range sets {
				var names []string
				for _, i := range set {
					names = append(names, packages[i].Name)
				}
				told = append(told, strings.Join(names, " "))
			}
			for _, l := range left {
				why = append(why, fmt.Sprintf("%s: %s", packages[l.Package].Name, l.Why))
			}
			require.Equal(t, tc.sets, strings.Join(told, " | "))
			require.Equal(t, tc.left, why)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := Sets(ctx, named(t, "a"), nil, func(int) bool { return true })
	require.ErrorIs(t, err, context.Canceled)
}
