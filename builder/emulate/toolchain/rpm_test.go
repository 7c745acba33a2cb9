package toolchain

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

// status is dpkg's record of packages, name → version.
func status(versions map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		text.WriteString("Package: " + name + "\nStatus: install ok installed\nVersion: " + versions[name] + "\nDescription: a\n package\n\n")
	}
	return text.String()
}

// withRPM adds to a native tree and that of an image what a Debian with rpm has.
func withRPM(t *testing.T, native, image map[string]string) {
	versions := map[string]string{"rpm": "4.18-1", "librpm9": "4.18-1", "file": "5.44", "libc6": "2.36-1"}
	for arch, tree := range map[string]map[string]string{"x86_64": native, "aarch64": image} {
		lib := "usr/lib/" + systems[arch].triplet
		tree["usr/bin/rpm"] = fakeELF(t, arch, "", "librpm.so.9", "libc.so.6")
		tree["usr/bin/rpmquery"] = "-> rpm"
		tree["usr/bin/rpmbuild"] = fakeELF(t, arch, "", "librpm.so.9")
		tree["usr/bin/file"] = fakeELF(t, arch, "")
		tree["usr/lib/rpm/elfdeps"] = fakeELF(t, arch, "")
		tree["usr/lib/rpm/macros"] = "%_arch " + arch
		tree[lib+"/rpm-plugins/audit.so"] = fakeELF(t, arch, "")
		tree[lib+"/librpm.so.9"] = "-> librpm.so.9.3"
		tree[lib+"/librpm.so.9.3"] = fakeELF(t, arch, "", "libc.so.6")
		tree["var/lib/dpkg/status"] = status(versions)
		tree["var/lib/dpkg/info/rpm.list"] = "/usr/bin/rpm\n/usr/bin/rpmbuild\n/usr/lib/rpm/elfdeps\n"
		tree["var/lib/dpkg/info/file.list"] = "/usr/bin/file\n"
		tree["var/lib/dpkg/info/librpm9:any.list"] = "/" + lib + "/librpm.so.9.3\n"
		tree["var/lib/dpkg/info/libc6:any.list"] = "/lib/" + systems[arch].triplet + "/libc.so.6\n"
	}
	native["usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"] = fakeELF(t, "x86_64", "--preload\x00--argv0\x00")
}

func TestRPM(t *testing.T) {
	alone := map[string]string{
		"/lib64/ld-linux-x86-64.so.2":                     "native/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		"/usr/lib/x86_64-linux-gnu/libc.so.6":             "native/usr/lib/x86_64-linux-gnu/libc.so.6",
		"/usr/lib/x86_64-linux-gnu/librpm.so.9":           "native/usr/lib/x86_64-linux-gnu/librpm.so.9.3",
		"/usr/lib/aarch64-linux-gnu/rpm-plugins/audit.so": "native/usr/lib/x86_64-linux-gnu/rpm-plugins/audit.so",
		"/usr/bin/rpm":              "launchers/rpm",
		folder + "/native/bash":     "native/usr/bin/bash",
		folder + "/native/uname.so": "launchers/uname.so",
		folder + "/native/rpm":      "native/usr/bin/rpm",
		folder + "/own/rpm":         "image/usr/bin/rpm",
	}
	all := with(basic, compiling, alone, map[string]string{
		"/usr/bin/rpmbuild":         "launchers/rpmbuild",
		folder + "/native/rpmbuild": "native/usr/bin/rpmbuild",
		folder + "/own/rpmbuild":    "image/usr/bin/rpmbuild",
		"/usr/bin/file":             "native/usr/bin/file",
		"/usr/lib/rpm/elfdeps":      "native/usr/lib/rpm/elfdeps",
	})
	versions := func(tree map[string]string, name, version string) {
		tree["var/lib/dpkg/status"] += status(map[string]string{name: version})
	}
	for _, c := range []struct {
		name   string
		change func(native, image map[string]string)
		reason string // why rpm stays emulated
	}{
		{name: "the same versions"},
		{name: "another C library", change: func(_, image map[string]string) { versions(image, "libc6", "2.36-2") }},
		{name: "another rpm", change: func(_, image map[string]string) { versions(image, "rpm", "4.18-2") }, reason: `rpm is "4.18-2" in the image and "4.18-1" in the native root`},
		{name: "another library", change: func(_, image map[string]string) { versions(image, "librpm9", "4.19-1") }, reason: `librpm9 is "4.19-1" in the image`},
		{name: "another file(1)", change: func(native, _ map[string]string) { versions(native, "file", "5.45") }, reason: `"5.45" in the native root`},
		{
			name: "a package that was removed",
			change: func(_, image map[string]string) {
				image["var/lib/dpkg/status"] = strings.ReplaceAll(image["var/lib/dpkg/status"], "ok installed", "ok config-files")
			},
			reason: `rpm is "" in the image`,
		},
		{name: "no dpkg", change: func(native, _ map[string]string) { delete(native, "var/lib/dpkg/info/rpm.list") }, reason: "no package of the x86_64 root has /usr/bin/rpm"},
		{name: "an old loader", change: func(native, _ map[string]string) {
			native["usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"] = fakeELF(t, "x86_64", "--preload\x00")
		}, reason: "does not know the option --argv0"},
		{name: "a plug-in that is not there natively", change: func(native, _ map[string]string) {
			delete(native, "usr/lib/x86_64-linux-gnu/rpm-plugins/audit.so")
		}, reason: "audit.so of the x86_64 root does not exist"},
		{name: "no rpm", change: func(native, _ map[string]string) { delete(native, "usr/bin/rpmbuild") }, reason: "/usr/bin/rpmbuild of the x86_64 root does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			native, image := nativeTree(t), imageTree(t)
			withRPM(t, native, image)
			if c.change != nil {
				c.change(native, image)
			}
			dirs := map[string]string{"native": layer(t, native), "image": layer(t, image), "launchers": t.TempDir()}
			plan, err := New(
				Root{Arch: "x86_64", Digest: "n", Layers: []string{dirs["native"]}},
				Root{Arch: "aarch64", Digest: "i", Layers: []string{dirs["image"]}}, dirs["launchers"])
			require.NoError(t, err)
			if c.reason != "" {
				require.Equal(t, with(basic, compiling), places(dirs, plan.Mounts))
				require.Empty(t, plan.Install)
				require.Len(t, plan.Emulated, 1)
				require.Equal(t, "rpm", plan.Emulated[0].What)
				require.Contains(t, plan.Emulated[0].Reason, c.reason)
				return
			}
			require.Empty(t, plan.Emulated)
			require.Equal(t, all, places(dirs, plan.Mounts))
			require.Equal(t, alone, places(dirs, plan.Install))
		})
	}
}

// places are mounts as destination → source below its tree.
func places(dirs map[string]string, mounts []sandbox.Mount) map[string]string {
	got := map[string]string{}
	for _, m := range mounts {
		for name, dir := range dirs {
			if rel, ok := strings.CutPrefix(m.Source, dir+"/"); ok && m.ReadOnly {
				got[m.Destination] = name + "/" + rel
			}
		}
	}
	return got
}
