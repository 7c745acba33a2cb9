package rpm_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

func TestTagsAndTheirValues(t *testing.T) {
	read := func(c rpmtest.Craft) *rpm.Header {
		b := c.Bytes()
		p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		return p.Header()
	}
	simple := rpmtest.Simple("a", "1", "1", "noarch", rpmtest.Binary(1146, []byte{0xca, 0xfe}))
	a := read(simple)
	b := read(simple.With(rpmtest.Int32s(1112, 8, 9), rpmtest.Texts(1047, "a", "b"), rpmtest.Texts(1113, "1-1", "2-1")).Without(1007))

	tags := slices.Collect(a.Tags())
	require.True(t, slices.IsSorted(tags))
	require.Contains(t, tags, rpm.TagName)
	require.Equal(t, []string{"cafe"}, slices.Collect(a.Values(1146)))
	require.Equal(t, []string{"a"}, slices.Collect(a.Values(rpm.TagName)))
	require.Equal(t, []string{"8", "9"}, slices.Collect(b.Values(rpm.TagProvideFlags)))
	require.Empty(t, slices.Collect(b.Values(rpm.TagBuildHost)))

	require.True(t, a.SameEntry(b, rpm.TagName))
	require.True(t, a.SameEntry(b, rpm.TagEpoch), "in neither")
	require.False(t, a.SameEntry(b, rpm.TagBuildHost), "in one only")
	require.False(t, a.SameEntry(b, rpm.TagProvideFlags))
}
