package bridge

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

func TestRPMVersion(t *testing.T) {
	for debian, want := range map[string]string{
		"1.2.3":                "1.2.3",
		"1:1.2.13.dfsg-1":      "1.2.13",
		"4:12.2.0-3":           "12.2.0",
		"2.36-9+deb12u14":      "2.36",
		"1.34+dfsg-1.2+deb12":  "1.34",
		"8.6.19-1":             "8.6.19",
		"5.0~rc1-2":            "5.0~rc1",
		"1.2+really1.1-3":      "1.1",
		"1.0-rc2-1":            "1.0_rc2",
		"7.0.3+ds1-1":          "7.0.3",
		"20230311ubuntu0.22-1": "20230311ubuntu0.22",
	} {
		require.Equal(t, want, rpmVersion(debian), debian)
	}
}

func TestModuleVersion(t *testing.T) {
	for text, want := range map[string]string{
		"Name: x\nVersion: 1.2\n":                          "1.2",
		"major=3\nminor=${major}.4\nVersion: ${minor}.5\n": "3.4.5",
		"Name: x\n":                        "",
		"Version: ${unknown}\n":            "",
		"prefix=/usr\n\nVersion:1.0 \nX: ": "1.0",
	} {
		require.Equal(t, want, moduleVersion(text), text)
	}
}

func FuzzModuleVersion(f *testing.F) {
	f.Add("a=${b}\nb=${a}\nVersion: ${a}$\n")
	f.Fuzz(func(t *testing.T, text string) {
		if v := moduleVersion(text); len(v) > len(text)*len(text)+1 {
			t.Errorf("%d bytes of %d", len(v), len(text))
		}
	})
}

// newSystem is a root of a few files; a target that begins with -> is a link.
func newSystem(t *testing.T, files map[string]string) System {
	t.Helper()
	root := t.TempDir()
	for name, body := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target, ok := strings.CutPrefix(body, "->"); ok {
			require.NoError(t, os.Symlink(target, path))
			continue
		}
		require.NoError(t, os.WriteFile(path, []byte(body), 0o755))
	}
	return System{Root: root, Arch: "x86_64"}
}

const status = `Package: zlib1g-dev
Status: install ok installed
Version: 1:1.2.13.dfsg-1
Description: compression library
 Package: not a field

Package: gone
Status: deinstall ok config-files
Version: 1.0-1

Package: make
Status: install ok installed
Version: 4.3-4.1
`

func TestProvides(t *testing.T) {
	s := newSystem(t, map[string]string{
		"etc/os-release":                       "NAME=\"Debian\"\nVERSION_ID=\"12\"\n",
		"var/lib/dpkg/status":                  status,
		"bin":                                  "->usr/bin",
		"usr/bin/make":                         "#!/bin/sh\n",
		"usr/bin/awk":                          "->/etc/alternatives/awk",
		"etc/alternatives/awk":                 "->/usr/bin/mawk",
		"usr/bin/mawk":                         "x",
		"usr/bin/[":                            "x",
		"usr/bin/dangling":                     "->/nowhere",
		"usr/bin/escape":                       "->../../../../../../../../../../etc/hostname",
		"usr/bin/python3":                      "->python3.11",
		"usr/bin/python3.11":                   "x",
		"usr/bin/bad name":                     "x",
		"usr/bin/%{bad}":                       "x",
		"usr/sbin/tool":                        "x",
		"usr/share/perl5/Getopt/Long.pm":       "package Getopt::Long;",
		"usr/lib/x/perl/5.36.0/strict.pm":      "",
		"etc/ld.so.conf":                       "# comment\ninclude /etc/ld.so.conf.d/*.conf\n",
		"etc/ld.so.conf.d/x.conf":              "/usr/lib/x\n",
		"usr/lib/x/pkgconfig/zlib.pc":          "version=1.2.13\nVersion: ${version}\n",
		"usr/lib/x/libscript.so":               "/* GNU ld script */",
		"usr/share/pkgconfig/bash-complete.pc": "Name: x\n",
	})
	got, err := s.Provides(Names{"zlib-devel": {"zlib1g-dev"}, "make": {"make", "zlib1g-dev"}})
	require.NoError(t, err)
	require.Equal(t, []string{
		"/bin/[", "/bin/awk", "/bin/make", "/bin/mawk", "/bin/python3", "/bin/python3.11",
		"/usr/bin/[", "/usr/bin/awk", "/usr/bin/make", "/usr/bin/mawk", "/usr/bin/python3", "/usr/bin/python3.11",
		"/usr/sbin/tool",
		"make = 4.3", "make(x86-64) = 4.3",
		"perl(Getopt::Long)", "perl(strict)",
		"pkgconfig(bash-complete)", "pkgconfig(zlib) = 1.2.13",
		"python(abi) = 3.11", "rtld(GNU_HASH)", "system-release(releasever) = 12",
		"zlib-devel = 1.2.13", "zlib-devel(x86-64) = 1.2.13",
	}, got)

	_, err = s.Provides(Names{"old": {"gone"}, "fortran": {"gfortran"}})
	require.ErrorContains(t, err, "packages that its image does not hold: gfortran (for fortran), gone (for old)")
}

func TestProvidesOfASystemThatIsNone(t *testing.T) {
	_, err := newSystem(t, nil).Provides(nil)
	require.ErrorContains(t, err, "which packages are installed")
	_, err = newSystem(t, map[string]string{"var/lib/dpkg/status": status, "etc/os-release": "NAME=x\n"}).Provides(nil)
	require.ErrorContains(t, err, "VERSION_ID")
}

func TestSonamesAreWhatRPMSays(t *testing.T) {
	const elfdeps = "/usr/lib/rpm/elfdeps"
	if _, err := os.Stat(elfdeps); err != nil {
		testenv.Missing(t, elfdeps+" is not installed")
	}
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	libraries, err := filepath.Glob("/usr/lib/*/lib*.so.*")
	require.NoError(t, err)
	loaders, err := filepath.Glob("/usr/lib*/*/ld-linux*.so.*")
	require.NoError(t, err)
	libraries = append(libraries, loaders...)
	// Programs keep files of other kinds beside their libraries.
	numbered := regexp.MustCompile(`\.so(\.[0-9]+)+$`)
	libraries = slices.DeleteFunc(libraries, func(path string) bool { return !numbered.MatchString(path) })
	checked := 0
	for i, path := range libraries {
		// All of libc's and a sample of the others.
		if i%7 != 0 && !strings.Contains(path, "libc.so") && !strings.Contains(path, "ld-linux") && !strings.Contains(path, "libstdc++") {
			continue
		}
		_, got, err := elfProvides(path, machine)
		require.NoError(t, err, path)
		out, err := exec.Command(elfdeps, "--provides", path).Output()
		require.NoError(t, err, path)
		want := strings.Fields(string(out))
		slices.Sort(got)
		slices.Sort(want)
		require.Equal(t, slices.Compact(want), slices.Compact(got), path)
		checked++
	}
	require.Greater(t, checked, 10)
}
