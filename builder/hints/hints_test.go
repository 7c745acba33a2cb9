package hints

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// layers makes a root of folders: paths, with what a link leads to behind " -> ".
func layers(t *testing.T, all ...[]string) []string {
	t.Helper()
	var dirs []string
	for _, paths := range all {
		dir := t.TempDir()
		for _, p := range paths {
			name, target, link := strings.Cut(p, " -> ")
			at := filepath.Join(dir, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
			switch {
			case link:
				require.NoError(t, os.Symlink(target, at))
			case strings.HasSuffix(name, "/"):
				require.NoError(t, os.MkdirAll(at, 0o755))
			default:
				require.NoError(t, os.WriteFile(at, nil, 0o644))
			}
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// system is a small distribution: what every root has, a compiler whose program is
// a link to another package's, libraries, and packages that hold nothing.
func system(t *testing.T) *Root {
	t.Helper()
	dirs := layers(t,
		[]string{"/opt/ours/lib/libours.so"},
		[]string{
			"/bin -> usr/bin", "/usr/bin/sh", "/usr/bin/rpmbuild", "/usr/bin/gcc -> gcc-12", "/usr/bin/gcc-12", "/usr/bin/g++ -> /bin/g++-12", "/usr/bin/g++-12",
			"/usr/bin/flex", "/usr/bin/bison", "/usr/lib/libz.so.1", "/usr/lib/libz.so -> libz.so.1", "/usr/include/zlib.h", "/usr/share/doc/meta/README",
			"/usr/lib/liba.so.1", "/usr/include/a.h", "/usr/bin/as", "/usr/lib/loop -> loop",
		})
	r := NewRoot(dirs, []Package{
		{Name: "sh", Files: []string{"/bin", "/bin/sh"}, Always: true},
		{Name: "rpm", Requires: []string{"zlib"}, Files: []string{"/usr/bin/rpmbuild"}},
		{Name: "zlib", Files: []string{"/usr/lib/libz.so.1"}},
		{Name: "zlib-devel", Provides: []string{"pkgconfig(zlib)"}, Requires: []string{"zlib"}, Files: []string{"/usr", "/usr/include/zlib.h", "/usr/lib/loop"}},
		{Name: "gcc", Requires: []string{"gcc-12"}, Files: []string{"/usr/bin/gcc"}},
		{Name: "gcc-12", Requires: []string{"binutils"}, Files: []string{"/usr/bin/gcc-12"}},
		{Name: "gcc-c++", Requires: []string{"gcc", "gcc-12"}, Files: []string{"/bin/g++", "/usr/bin/g++-12"}},
		{Name: "binutils", Files: []string{"/bin/as"}},
		{Name: "flex", Files: []string{"/usr/bin/flex"}},
		{Name: "bison", Files: []string{"/usr/bin/bison"}},
		{Name: "meta", Requires: []string{"flex"}, Files: []string{"/usr/share/doc", "/usr/share/doc/meta/README"}},
		{Name: "empty"},
		{Name: "a", Files: []string{"/usr/lib/liba.so.1"}},
		{Name: "a-devel", Requires: []string{"a"}, Files: []string{"/usr/include/a.h"}},
		{Name: "ours", Provides: []string{"libours.so()(64bit)"}, Requires: []string{"a-devel", "rpmlib(x)"}, Files: []string{"/opt/ours/lib/libours.so"}},
	})
	t.Cleanup(r.Close)
	return r
}

func TestUnused(t *testing.T) {
	for name, tc := range map[string]struct {
		requires, opened, covered, want []string
	}{
		"nothing required":                 {},
		"opened":                           {[]string{"flex"}, []string{"/usr/bin/flex"}, nil, nil},
		"not opened":                       {[]string{"flex", "bison"}, []string{"/usr/bin/flex"}, nil, []string{"bison"}},
		"a version":                        {[]string{"bison >= 3.0"}, nil, nil, []string{"bison >= 3.0"}},
		"an architecture":                  {[]string{"bison(x86-64) = 3.0"}, nil, nil, []string{"bison(x86-64) = 3.0"}},
		"twice":                            {[]string{"bison", "bison"}, nil, nil, []string{"bison"}},
		"by a path":                        {[]string{"/usr/bin/bison", "/bin/flex"}, []string{"/usr/bin/flex"}, nil, []string{"/usr/bin/bison"}},
		"a link's target was opened":       {[]string{"gcc", "gcc-c++"}, []string{"/usr/bin/gcc-12"}, nil, []string{"gcc-c++"}},
		"only the other's":                 {[]string{"gcc", "gcc-c++"}, []string{"/usr/bin/g++-12"}, nil, []string{"gcc"}},
		"what only it pulls in":            {[]string{"gcc-c++"}, []string{"/usr/bin/as"}, nil, nil},
		"what another pulls in too":        {[]string{"gcc-c++", "gcc"}, []string{"/usr/bin/as"}, nil, []string{"gcc-c++", "gcc"}},
		"what every root has":              {[]string{"zlib-devel"}, []string{"/usr/lib/libz.so.1"}, nil, []string{"zlib-devel"}},
		"a library by its devel package":   {[]string{"a-devel"}, []string{"/usr/lib/liba.so.1"}, nil, nil},
		"ours, by what it requires":        {[]string{"ours"}, []string{"/usr/include/a.h"}, nil, nil},
		"ours":                             {[]string{"ours"}, []string{"/usr/bin/as"}, nil, []string{"ours"}},
		"by what it provides":              {[]string{"pkgconfig(zlib)", "libours.so()(64bit)"}, []string{"/opt/ours/lib/libours.so"}, nil, []string{"pkgconfig(zlib)"}},
		"a meta-package":                   {[]string{"meta", "empty"}, nil, nil, nil},
		"unknown, rich":                    {[]string{"unknown", "(flex or bison)", "/etc/unknown"}, nil, nil, nil},
		"hidden by a native program":       {[]string{"gcc", "flex"}, nil, []string{"/usr/bin/gcc-12"}, []string{"flex"}},
		"hidden by a folder of the host's": {[]string{"flex"}, nil, []string{"/usr"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var requires []Requirement
			for _, r := range tc.requires {
				requires = append(requires, Requirement{Text: r})
			}
			var want []string
			for _, r := range tc.want {
				want = append(want, "BuildRequires: "+r+" was never opened")
			}
			require.Equal(t, want, system(t).Unused(requires, tc.opened, tc.covered))
		})
	}
}

func TestWhereItIsWritten(t *testing.T) {
	hints := system(t).Unused([]Requirement{{"bison", "components/a/SPECS/a.spec:12"}, {"flex\x1b[2J", ""}}, nil, nil)
	require.Equal(t, []string{"BuildRequires: bison was never opened (components/a/SPECS/a.spec:12)"}, hints)
}

func TestTree(t *testing.T) {
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), nil, 0o644))
	tr := newTree(layers(t,
		[]string{"/upper/file", "/both -> upper"},
		[]string{"/lower/file", "/both/hidden", "/escape -> " + outside, "/up -> ../../../../upper", "/loop -> loop", "/a/b/c -> ../../lower/file"},
	))
	for path, want := range map[string]string{
		"/upper/file": "/upper/file", "/lower/../upper/file": "/upper/file", "/lower/file": "/lower/file", "/both/file": "/upper/file",
		"/up/file": "/upper/file", "/a/b/c": "/lower/file",
		"/both/hidden": "", "/escape/secret": "", "/loop": "", "/nothing": "", "/upper/file/x": "",
	} {
		real, _, ok := tr.resolve(path)
		require.Equal(t, want != "", ok, path)
		if ok {
			require.Equal(t, want, real, path)
		}
	}
}

func TestDebian(t *testing.T) {
	dirs := layers(t, []string{"/usr/include/zlib.h"})
	write := func(name, text string) {
		at := filepath.Join(dirs[0], name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(t, os.WriteFile(at, []byte(text), 0o644))
	}
	write("var/lib/dpkg/status", `Package: zlib1g-dev
Status: install ok installed
Architecture: amd64
Provides: libz-dev
Depends: zlib1g (= 1:1.2.13), libc6-dev | libc-dev
Pre-Depends: a:any
Description: short
 Depends: long

Package: gone
Status: deinstall ok config-files

Package: ../../evil
Status: install ok installed

Package: tzdata
Status: install ok installed
Priority: required

Package: base-files
Essential: yes
Status: install ok installed
`)
	write("var/lib/dpkg/info/zlib1g-dev:amd64.list", "/.\n/usr\n/usr/include/zlib.h\n/usr/lib/pkgconfig/zlib.pc\n")
	write("var/lib/dpkg/info/base-files.list", "/etc\n")
	write("var/lib/dpkg/info/tzdata.list", "/usr/share/zoneinfo/UTC\n")
	packages, err := Debian(dirs, map[string][]string{"zlib-devel": {"zlib1g-dev"}, "other": {"absent"}})
	require.NoError(t, err)
	require.Equal(t, []Package{
		{
			Name: "zlib1g-dev", Provides: []string{"libz-dev", "pkgconfig(zlib)", "zlib-devel"},
			Requires: []string{"zlib1g", "libc6-dev", "libc-dev", "a"},
			Files:    []string{"/.", "/usr", "/usr/include/zlib.h", "/usr/lib/pkgconfig/zlib.pc"},
		},
		{Name: "tzdata", Always: true, Files: []string{"/usr/share/zoneinfo/UTC"}},
		{Name: "base-files", Always: true, Files: []string{"/etc"}},
	}, packages)

	packages, err = Debian(layers(t, []string{"/etc/os-release"}), nil)
	require.NoError(t, err)
	require.Nil(t, packages, "no dpkg there")
}

func TestParse(t *testing.T) {
	packages, err := parse(strings.NewReader("na\npa\npliba.so()(64bit)\nrb\nrrpmlib(x)\nf/usr/a\nf(contains no files)\n\nnb\npb\n"))
	require.NoError(t, err)
	require.Equal(t, []Package{
		{Name: "a", Provides: []string{"a", "liba.so()(64bit)"}, Requires: []string{"b"}, Files: []string{"/usr/a"}},
		{Name: "b", Provides: []string{"b"}},
	}, packages)
	_, err = parse(strings.NewReader("f/usr/a\n"))
	require.ErrorContains(t, err, "not with a package")
}
