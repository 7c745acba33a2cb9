package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

func TestWhatIsTheProjectsOwn(t *testing.T) {
	b := &Base{endings: []string{"-hpc", "-ohpc"}, unbuilt: map[string]map[string]bool{}}
	b.declare("EL_9/x86_64", []string{"lustre-kmp"})
	for name, own := range map[string]bool{
		"scotch-gnu14-ohpc":         true,
		"pdsh-ohpc-rcmd-ssh":        true,
		"scotch-ohpc(x86-64)":       true,
		"scotch-ohpc(aarch-64)":     true,
		"ohpc-gnu14-serial-libs":    true,
		"ohpc-buildroot":            true,
		"site-tools-hpc":            true,
		"lustre-kmp":                true, // declared, whatever its name
		"lustre-osd":                false,
		"zlib-devel":                false,
		"libhwloc.so.15()(64bit)":   false,
		"libx-ohpc.so.1()(64bit)":   false,
		"perl(x-ohpc)":              false, // found when a package is built
		"pkgconfig(x-ohpc)":         false,
		"/opt/ohpc/pub/bin/scotch":  false,
		"scotch-ohpc(some)(64bit)":  false,
		"x-ohpcish":                 false,
		"ohpc":                      false,
		"python3dist(ohpc-library)": false,
	} {
		require.Equal(t, own, b.Own("EL_9", "x86_64", name), name)
		met, known := b.Provides("EL_9", "x86_64", rpm.Dependency{Name: name})
		require.False(t, met, name)
		require.Equal(t, own, known, name)
	}
	require.False(t, b.Own("EL_9", "aarch64", "lustre-kmp"), "another cell")

	b.provided = map[string]map[string][]rpm.Dependency{"EL_9/x86_64": {"zlib": {{Name: "zlib", Flags: rpm.Equal, Version: "1.2"}}}}
	for version, want := range map[string]bool{"1.1": true, "1.3": false} {
		met, known := b.Provides("EL_9", "x86_64", rpm.Dependency{Name: "zlib", Flags: rpm.Greater | rpm.Equal, Version: version})
		require.Equal(t, want, met, version)
		require.True(t, known, "the image is at hand")
	}
}
