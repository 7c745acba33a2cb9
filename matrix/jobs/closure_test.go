package jobs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// made puts a package into a store and reads it back as the run would.
func made(t *testing.T, h *headerCache, name, version string, provides, requires []string) available {
	t.Helper()
	zeros := func(n int) []uint32 { return make([]uint32, n) }
	empty := func(n int) []string { return make([]string, n) }
	provides = append(provides, name)
	craft := rpmtest.Simple(name, version, "1", "x86_64",
		rpmtest.Texts(uint32(rpm.TagProvideName), provides...),
		rpmtest.Int32s(uint32(rpm.TagProvideFlags), append(zeros(len(provides)-1), uint32(rpm.Equal))...),
		rpmtest.Texts(uint32(rpm.TagProvideVersion), append(empty(len(provides)-1), version+"-1")...),
	)
	if len(requires) > 0 {
		craft = craft.With(
			rpmtest.Texts(uint32(rpm.TagRequireName), requires...),
			rpmtest.Int32s(uint32(rpm.TagRequireFlags), zeros(len(requires))...),
			rpmtest.Texts(uint32(rpm.TagRequireVersion), empty(len(requires))...),
		)
	}
	d, err := h.store.PutBytes(t.Context(), craft.Bytes())
	require.NoError(t, err)
	header, err := h.of(d)
	require.NoError(t, err)
	require.Equal(t, name, header.Name)
	return available{job: &plan.Job{Recipe: name}, file: buildroot.Package{File: header.FileName(), Digest: d}, header: header}
}

func TestClosure(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	h := newHeaderCache(st)
	from := []available{
		made(t, h, "gnu12-compilers-ohpc", "12.2.0", nil, []string{"lmod-ohpc", "gcc"}),
		made(t, h, "lmod-ohpc", "3", nil, []string{"ohpc-filesystem", "Lmod"}),
		made(t, h, "ohpc-filesystem", "3", nil, nil),
		made(t, h, "hwloc-ohpc", "2.9.0", []string{"libhwloc.so.15()(64bit)(ohpc)"}, []string{"ohpc-filesystem"}),
		made(t, h, "circle-a", "1", nil, []string{"circle-b"}),
		made(t, h, "circle-b", "1", nil, []string{"circle-a"}),
	}
	for name, tc := range map[string]struct {
		requires []rpm.Dependency
		want     string
	}{
		"nothing":             {nil, ""},
		"the target's own":    {[]rpm.Dependency{{Name: "zlib-devel"}}, ""},
		"and what it needs":   {[]rpm.Dependency{{Name: "gnu12-compilers-ohpc"}}, "gnu12-compilers-ohpc lmod-ohpc ohpc-filesystem"},
		"by what it provides": {[]rpm.Dependency{{Name: "libhwloc.so.15()(64bit)(ohpc)"}}, "hwloc-ohpc ohpc-filesystem"},
		"a circle":            {[]rpm.Dependency{{Name: "circle-a"}}, "circle-a circle-b"},
		"new enough":          {[]rpm.Dependency{{Name: "hwloc-ohpc", Flags: rpm.Greater | rpm.Equal, Version: "2.9"}}, "hwloc-ohpc ohpc-filesystem"},
		"either of two":       {[]rpm.Dependency{{Name: "(libother or hwloc-ohpc)"}}, "hwloc-ohpc ohpc-filesystem"},
		"too old":             {[]rpm.Dependency{{Name: "hwloc-ohpc", Flags: rpm.Greater, Version: "3"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			_, root := rootOf(&plan.Job{BuildRequires: tc.requires}, from, nil)
			for _, a := range picked(root, from) {
				got = append(got, a.job.Recipe)
			}
			require.Equal(t, tc.want, strings.Join(got, " "))
		})
	}
}

func TestHeadersOfDamagedPackages(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	h := newHeaderCache(st)
	d, err := st.PutBytes(t.Context(), []byte("no package at all"))
	require.NoError(t, err)
	_, err = h.of(d)
	require.ErrorContains(t, err, d.Hex(), "the file is named")
	_, err = h.of(store.Of([]byte("absent")))
	require.ErrorIs(t, err, store.ErrNotFound)
}
