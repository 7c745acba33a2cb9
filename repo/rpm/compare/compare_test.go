package compare_test

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/compare"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// build makes a package of one architecture from what differs between specs.
func build(t *testing.T, tags, install, files string, args ...string) string {
	t.Helper()
	spec := fmt.Sprintf(`Name: a
Version: 1
Release: 1
Summary: A test
License: MIT
%s
%%description
One line.
%%install
mkdir -p %%{buildroot}/opt
echo one > %%{buildroot}/opt/one
%s
%%files
%%attr(0644,root,root) /opt/one
%s
%%changelog
* Mon Oct 21 2024 A <a@example.org> - 1-1
- First
`, tags, install, files)
	packages := rpmtest.BuildText(t, spec, "x86_64", args...)
	i := slices.IndexFunc(packages, func(p string) bool { return strings.HasSuffix(p, "x86_64.rpm") })
	return packages[i]
}

func differences(t *testing.T, a, b string) []compare.Difference {
	t.Helper()
	scratch := t.TempDir()
	r, err := compare.Files(t.Context(), a, b, scratch)
	require.NoError(t, err)
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left, "nothing is left behind")
	// rpmbuild -ba ties packages to their source package, whose spec differs.
	return slices.DeleteFunc(r.Differences, func(d compare.Difference) bool { return d.Tag == "SourcePkgID" })
}

func TestPackagesThatAreTheSame(t *testing.T) {
	require.Empty(t, differences(t, build(t, "", "", ""), build(t, "", "", "")))
}

func TestWhereAndInWhatPackagesDiffer(t *testing.T) {
	rodata, debuglink := offsetOf(t, "/bin/true", ".rodata"), offsetOf(t, "/bin/true", ".gnu_debuglink")
	patch := func(offset uint64) string {
		return fmt.Sprintf("cp /bin/true %%{buildroot}/opt/elf\nprintf '\\377' | dd of=%%{buildroot}/opt/elf bs=1 seek=%d conv=notrunc status=none", offset)
	}
	rpmtest.Tool(t, "ar")
	library := func(text string) string {
		return "cd %{buildroot}/opt; printf '" + text + `\0' > x.o; cp one y.o; ar rcD lib.a y.o x.o; rm x.o y.o`
	}
	base := build(t, "", "", "")
	for name, tc := range map[string]struct {
		a, b string
		want []string
	}{
		"a tag": {
			base, build(t, "Group: Other", "", ""),
			[]string{"tag Group: Unspecified | Other"},
		},
		"the build's host": {
			base, build(t, "", "", "", "--define", "_buildhost elsewhere"),
			[]string{"tag BuildHost: build.example | elsewhere", "tag Cookie: build.example 1729468800 | elsewhere 1729468800"},
		},
		"a requirement": {
			build(t, "Requires: zebra >= 2, ant", "", ""), build(t, "Requires: zebra >= 3, ant", "", ""),
			[]string{"tag Requires: zebra >= 2 | zebra >= 3"},
		},
		"a script": {
			build(t, "", "", "%post\necho a\necho b\necho c"), build(t, "", "", "%post\necho a\necho B\necho c"),
			[]string{"tag PostIn:\n@@ -2,1 +2,1 @@\n echo a\n-echo b\n+echo B\n echo c"},
		},
		"permissions": {
			base, build(t, "", "", "%attr(0755,root,bin) /opt/one"),
			[]string{"/opt/one, mode: 100644 | 100755", "/opt/one, group: root | bin"},
		},
		"a line": {
			base, build(t, "", "echo two >> %{buildroot}/opt/one", ""),
			[]string{"/opt/one, lines:\n@@ -2,0 +2,1 @@\n one\n+two"},
		},
		"a link": {
			build(t, "", "ln -s one %{buildroot}/opt/link", "/opt/link"), build(t, "", "ln -s two %{buildroot}/opt/link", "/opt/link"),
			[]string{"/opt/link, link: one | two"},
		},
		"a file more": {
			base, build(t, "", "touch %{buildroot}/opt/two", "/opt/two"),
			[]string{"/opt/two, only in the second: – | 100644 root:root, 0 bytes"},
		},
		"a section": {
			build(t, "", "cp /bin/true %{buildroot}/opt/elf", "/opt/elf"), build(t, "", patch(rodata+64), "/opt/elf"),
			[]string{"/opt/elf, section .rodata, at byte 0x40: "},
		},
		"another section": {
			build(t, "", "cp /bin/true %{buildroot}/opt/elf", "/opt/elf"), build(t, "", patch(debuglink), "/opt/elf"),
			[]string{"/opt/elf, section .gnu_debuglink, at byte 0x0: "},
		},
		"a member of a library": {
			build(t, "", library("abcdef"), "/opt/lib.a"), build(t, "", library("abcxyz"), "/opt/lib.a"),
			[]string{"/opt/lib.a, member x.o, at byte 0x3: abcdef | abcxyz"},
		},
		"compression": {
			build(t, "", "", "", "--define", "_binary_payload w1.gzdio", "--define", "payload_flags 9"), build(t, "", "", "", "--define", "_binary_payload w9.gzdio"),
			[]string{"tag PayloadFlags: 1 | 9"},
		},
		"content that is compressed": {
			build(t, "", "", "", "--define", "_binary_payload w6.xzdio"),
			build(t, "", "echo two >> %{buildroot}/opt/one", "", "--define", "_binary_payload w6.xzdio"),
			[]string{"/opt/one, lines:\n@@ -2,0 +2,1 @@\n one\n+two"},
		},
		"content that is not": {
			build(t, "", "", "", "--define", "_binary_payload w19.zstdio"),
			build(t, "", "echo two >> %{buildroot}/opt/one", "", "--define", "_binary_payload w7.bzdio"),
			[]string{
				"tag Requires: rpmlib(PayloadIsZstd) <= 5.4.18-1 | rpmlib(PayloadIsBzip2) <= 3.0.5-1",
				"tag PayloadCompressor: zstd | bzip2", "tag PayloadFlags: 19 | 7", "/opt/one, lines:\n@@ -2,0 +2,1 @@\n one\n+two",
			},
		},
		"a file with two names": {
			build(t, "", "ln %{buildroot}/opt/one %{buildroot}/opt/two", "/opt/two"),
			build(t, "", "ln %{buildroot}/opt/one %{buildroot}/opt/two; echo x >> %{buildroot}/opt/two", "/opt/two"),
			[]string{"/opt/two, lines:\n@@ -2,0 +2,1 @@\n one\n+x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, d := range differences(t, tc.a, tc.b) {
				got = append(got, d.String())
			}
			for _, want := range tc.want {
				require.True(t, slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, want) }), "%q is not in\n%s", want, strings.Join(got, "\n"))
			}
			require.Len(t, got, len(tc.want), strings.Join(got, "\n"))
		})
	}
}

func offsetOf(t *testing.T, path, name string) uint64 {
	t.Helper()
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	s := f.Section(name)
	require.NotNil(t, s, "%s of %s", name, path)
	return s.Offset
}

// TestNames compares our names of tags with rpm's own, over packages that have
// nearly all of them.
func TestNames(t *testing.T) {
	for _, path := range rpmtest.Varied(t) {
		p, err := rpm.ReadFile(path)
		require.NoError(t, err)
		var ours []string
		for tag := range p.Header().Tags() {
			if tag != 100 {
				ours = append(ours, strings.ToLower(compare.Name(tag)))
			}
		}
		var theirs []string
		// The signature's entries come first, and end at the main header's own mark.
		_, main, ok := strings.Cut(rpmtest.Run(t, "rpm", "-qp", "--nosignature", "--xml", path), `<rpmTag name="Name">`)
		require.True(t, ok)
		for line := range strings.Lines(`<rpmTag name="Name">` + main) {
			if _, rest, ok := strings.Cut(line, `<rpmTag name="`); ok {
				name, _, _ := strings.Cut(rest, `"`)
				if name != "Archivesize" { // rpm takes it from the signature
					theirs = append(theirs, strings.ToLower(name))
				}
			}
		}
		require.Equal(t, theirs, ours, filepath.Base(path))
	}
}
