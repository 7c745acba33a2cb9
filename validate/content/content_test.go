package content

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
	"github.com/ohpc-build/ohpc-build/validate/overlap"
)

// object is an ELF object file of a machine, with further bytes.
func object(machine uint16, more string) []byte {
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(b[16:], 1)
	binary.LittleEndian.PutUint16(b[18:], machine)
	return append(b, more...)
}

// library is a shared library with a RUNPATH in a file of a size; its headers are
// at the end where tools put them that change a RUNPATH.
func library(runPath string, size int) []byte {
	const at = 0x1000
	b := make([]byte, max(size, at+0x1000))
	tail := len(b) - 0x1000
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], 3)
	le.PutUint16(b[18:], 62)
	le.PutUint64(b[0x20:], 64)
	le.PutUint16(b[0x36:], 56)
	le.PutUint16(b[0x38:], 4)
	segment := func(i int, kind, flags uint32, offset, address, size uint64) {
		p := b[64+56*i:]
		le.PutUint32(p, kind)
		le.PutUint32(p[4:], flags)
		le.PutUint64(p[8:], offset)
		le.PutUint64(p[16:], address)
		le.PutUint64(p[32:], size)
	}
	segment(0, 1, 5, uint64(tail), 0x10000, 0x1000)
	segment(1, 2, 6, uint64(tail), 0x10000, 0x100)
	segment(2, 0x6474e551, 7, 0, 0, 0)
	segment(3, 4, 4, 0x200, 0x200, 0x18)
	copy(b[0x200:], "\x04\x00\x00\x00\x08\x00\x00\x00\x03\x00\x00\x00GNU\x00\x01\x23\x45\x67\x89\xab\xcd\xef")
	for i, pair := range [][2]uint64{{5, 0x10200}, {29, 1}, {22, 0}, {0, 0}} {
		le.PutUint64(b[tail+16*i:], pair[0])
		le.PutUint64(b[tail+8+16*i:], pair[1])
	}
	copy(b[tail+0x201:], runPath+"\x00")
	return b
}

func efi(machine uint16) []byte {
	b := make([]byte, 512)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[0x3c:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[0x84:], machine)
	binary.LittleEndian.PutUint16(b[0x80+4+20+68:], 10)
	return b
}

func archive(members ...[]byte) []byte {
	b := []byte("!<arch>\n")
	for i, m := range members {
		b = fmt.Appendf(b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", fmt.Sprintf("m%d.o/", i), 0, 0, 0, 0o644, len(m))
		b = append(b, m...)
		if len(m)%2 == 1 {
			b = append(b, '\n')
		}
	}
	return b
}

func made(t *testing.T, arch string, files ...write.File) (*rpm.Package, []byte) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, write.Write(&b, write.Package{
		Name: "sample", Version: "1", Release: "1", Arch: arch, Summary: "s", License: "MIT", Description: "d",
		SourceRPM: "sample-1-1.src.rpm", BuildTime: time.Unix(1700000000, 0), BuildHost: "h", Files: files,
	}))
	p, err := rpm.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	return p, b.Bytes()
}

func inspected(t *testing.T, arch string, files ...write.File) *Report {
	t.Helper()
	p, b := made(t, arch, files...)
	r, err := Inspect(t.Context(), p, bytes.NewReader(b))
	require.NoError(t, err)
	return r
}

const (
	amd64, arm64, bpf = 62, 183, 247
	program           = modeRegular | 0o755
)

func TestFiles(t *testing.T) {
	for name, tc := range map[string]struct {
		arch string
		file write.File
		want string // rules
		says string
	}{
		"own code":              {"x86_64", write.File{Data: object(amd64, "")}, "", ""},
		"foreign code":          {"aarch64", write.File{Data: object(amd64, "")}, "machine", "an ELF for x86_64 in a package for aarch64"},
		"for a virtual machine": {"aarch64", write.File{Data: object(bpf, "")}, "", ""},
		"code for all":          {"noarch", write.File{Data: object(arm64, "")}, "noarch-code", "an ELF for aarch64"},
		"bytecode for all":      {"noarch", write.File{Data: object(bpf, "")}, "", ""},
		"foreign boot program":  {"aarch64", write.File{Data: efi(0x8664)}, "machine", "EFI program for x86_64"},
		"own boot program":      {"aarch64", write.File{Data: efi(0xaa64)}, "", ""},
		"BIOS boot program":     {"aarch64", write.File{Path: "/tftp/pxelinux.0", Data: []byte{0xea, 0}}, "machine", "BIOS boot program"},
		"own library":           {"aarch64", write.File{Data: archive(object(arm64, ""), []byte("text"))}, "", ""},
		"foreign member":        {"aarch64", write.File{Data: archive(object(arm64, ""), object(amd64, "odd"), object(amd64, ""))}, "machine", "its member m1.o"},
		"broken library":        {"aarch64", write.File{Data: archive(object(arm64, ""))[:70]}, "malformed", ""},
		"broken ELF":            {"aarch64", write.File{Data: []byte("\x7fELF\x02")}, "malformed", ""},

		"build root in a binary":  {"x86_64", write.File{Data: object(amd64, "/build/BUILDROOT/a-1/usr/lib")}, "build-path", "/build/BUILDROOT/a-1/usr/lib"},
		"sources in a binary":     {"x86_64", write.File{Data: object(amd64, "/build/BUILD/a-1/x.c")}, "", ""},
		"sources in a text":       {"noarch", write.File{Data: []byte("prefix=/build/BUILD/a-1\n")}, "build-path", "prefix=/build/BUILD/a-1"},
		"mock's in a text":        {"noarch", write.File{Data: []byte("libdir='/builddir/build/BUILDROOT/a/usr/lib'")}, "build-path", "/builddir/build/BUILDROOT/a/usr/lib"},
		"sources in a document":   {"noarch", write.File{Data: []byte("see /build/BUILD/a-1"), Flags: rpm.FileDoc}, "", ""},
		"far into a file":         {"noarch", write.File{Data: []byte(strings.Repeat("x ", 100000) + "/build/BUILDROOT/a")}, "build-path", "/build/BUILDROOT/a"},
		"on a block's boundary":   {"noarch", write.File{Data: []byte(strings.Repeat("x", 64<<10-8) + " /build/BUILDROOT/a")}, "build-path", "BUILDROOT"},
		"a word that is like one": {"noarch", write.File{Data: []byte("the folder BUILD/ of a build")}, "", ""},

		"own library path":       {"x86_64", write.File{Data: library("/opt/ohpc/pub/lib:$ORIGIN/../lib", 0)}, "exec-stack text-rel", ""},
		"built library path":     {"x86_64", write.File{Data: library("/build/BUILD/a/lib", 0)}, "exec-stack run-path text-rel", "where it was built"},
		"empty library path":     {"x86_64", write.File{Data: library("/opt/lib:", 0)}, "exec-stack run-path text-rel", "started in"},
		"relative library path":  {"x86_64", write.File{Data: library("lib", 0)}, "exec-stack run-path text-rel", "below the folder"},
		"open library path":      {"x86_64", write.File{Data: library("/opt/../tmp/x", 0)}, "exec-stack run-path text-rel", "others than root"},
		"like the origin":        {"x86_64", write.File{Data: library("$ORIGINAL/x", 0)}, "exec-stack run-path text-rel", "below the folder"},
		"path at the end":        {"x86_64", write.File{Data: library("lib", maxHead+maxTail+12345)}, "exec-stack run-path text-rel", "below the folder"},
		"path in a large file":   {"x86_64", write.File{Data: library("lib", maxHead+4567)}, "exec-stack run-path text-rel", "below the folder"},
		"interpreter":            {"noarch", write.File{Mode: program, Data: []byte("#!/bin/sh -e\n")}, "", ""},
		"no script":              {"noarch", write.File{Data: []byte("#!bin/sh\n")}, "", ""},
		"relative interpreter":   {"noarch", write.File{Mode: program, Data: []byte("#!bin/sh\n")}, "interpreter", "no whole path"},
		"no interpreter":         {"noarch", write.File{Mode: program, Data: []byte("#! \n")}, "interpreter", "names no interpreter"},
		"interpreter of DOS":     {"noarch", write.File{Mode: program, Data: []byte("#!/bin/sh\r\n")}, "interpreter", "carriage return"},
		"built interpreter":      {"noarch", write.File{Mode: program, Data: []byte("#!/build/BUILD/py/bin/python\n")}, "build-path interpreter", "where it was built"},
		"long first line":        {"noarch", write.File{Mode: program, Data: []byte("#!/" + strings.Repeat("x", 300) + "\n")}, "interpreter", "longer than"},
		"env":                    {"noarch", write.File{Mode: program, Data: []byte("#!/usr/bin/env -S A=1 python3 -u\n")}, "", ""},
		"env of nothing":         {"noarch", write.File{Mode: program, Data: []byte("#!/usr/bin/env -i\n")}, "interpreter", "no program"},
		"env of a built one":     {"noarch", write.File{Mode: program, Data: []byte("#!/usr/bin/env /build/BUILD/a/sh\n")}, "build-path interpreter", "where it was built"},
		"setuid":                 {"x86_64", write.File{Mode: modeRegular | 0o4755, Data: object(amd64, "")}, "setuid", "its owner (mode 4755, root:root)"},
		"setgid":                 {"x86_64", write.File{Mode: modeRegular | 0o2755, Data: object(amd64, "")}, "setuid", "its group"},
		"folder with a group":    {"noarch", write.File{Mode: modeDir | 0o2775}, "", ""},
		"open file":              {"noarch", write.File{Mode: modeRegular | 0o666, Data: []byte("x")}, "world-writable", "mode 0666"},
		"open folder":            {"noarch", write.File{Mode: modeDir | 0o777}, "world-writable", ""},
		"folder for all":         {"noarch", write.File{Mode: modeDir | 0o1777}, "", ""},
		"build user":             {"noarch", write.File{User: "mockbuild", Group: "mock", Data: []byte("x")}, "owner owner", `the user "mockbuild"`},
		"system's user":          {"noarch", write.File{User: "daemon", Data: []byte("x")}, "", ""},
		"link":                   {"noarch", write.File{Path: "/usr/lib/a", Mode: modeLink | 0o777, LinkTo: "../../opt/a"}, "", ""},
		"link above the root":    {"noarch", write.File{Path: "/usr/lib/a", Mode: modeLink | 0o777, LinkTo: "../../../opt/a"}, "symlink", "above the root"},
		"link to the build root": {"noarch", write.File{Path: "/usr/lib/a", Mode: modeLink | 0o777, LinkTo: "/build/BUILDROOT/a/usr/lib/b"}, "symlink", "where it was built"},
		"whole link":             {"noarch", write.File{Path: "/usr/lib/a", Mode: modeLink | 0o777, LinkTo: "/opt/a"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.file.Path == "" {
				tc.file.Path = "/opt/sample/file"
			}
			r := inspected(t, tc.arch, tc.file)
			var rules, said []string
			for _, f := range r.Findings {
				rules, said = append(rules, string(f.Rule)), append(said, f.What)
				require.Equal(t, tc.file.Path, f.Path)
				require.NotEmpty(t, f.What)
				require.Equal(t, f.Warning(), f.Mend == "", "what is no warning says how to mend it: %v", f)
			}
			sorted := strings.Fields(strings.Join(rules, " "))
			require.ElementsMatch(t, strings.Fields(tc.want), sorted, "%v", said)
			require.Contains(t, strings.Join(said, "\n"), tc.says)
		})
	}
}

// TestRealPackages looks into what rpmbuild makes of a spec with everything that is
// worth finding, accounts and capabilities included.
func TestRealPackages(t *testing.T) {
	rpmtest.Tool(t, "rpmbuild")
	paths := rpmtest.BuildText(t, `Name: real
Version: 1
Release: 1
Summary: s
License: MIT
AutoReqProv: no
%description
d
%package accounts
Summary: s
Provides: user(munge) group(munge)
%description accounts
d
%package pre
Summary: s
%description pre
d
%pre pre
getent passwd slurm || useradd -r slurm
%pre accounts
%install
mkdir -p %{buildroot}/opt/real/bin %{buildroot}/var/lib/munge %{buildroot}/var/lib/slurm
echo "path=/root/rpmbuild/BUILDROOT/real-1-1.x86_64/opt" > %{buildroot}/opt/real/config
echo "made in /root/rpmbuild/BUILD/x" > %{buildroot}/opt/real/real.pc
printf '#!/usr/bin/nothing\n' > %{buildroot}/opt/real/bin/run
touch %{buildroot}/opt/real/bin/suid %{buildroot}/opt/real/bin/cap
mkfifo %{buildroot}/opt/real/pipe
%files
/opt/real/config
/opt/real/real.pc
/opt/real/pipe
%attr(0755,root,root) /opt/real/bin/run
%attr(4755,root,root) /opt/real/bin/suid
%caps(cap_net_admin=ep) /opt/real/bin/cap
%files accounts
%attr(0700,munge,munge) /var/lib/munge
%files pre
%attr(0700,slurm,root) /var/lib/slurm
`, "x86_64")
	got := map[string][]string{}
	for _, path := range paths {
		f, err := os.Open(path)
		require.NoError(t, err)
		fi, err := f.Stat()
		require.NoError(t, err)
		p, err := rpm.Read(f, fi.Size())
		require.NoError(t, err)
		if !p.Source() {
			r, err := Inspect(t.Context(), p, f)
			require.NoError(t, err)
			got[p.Name] = []string{}
			for _, found := range r.Findings {
				got[p.Name] = append(got[p.Name], string(found.Rule)+" "+found.Path)
			}
			if p.Name == "real" {
				require.Equal(t, []Script{{"/opt/real/bin/run", "/usr/bin/nothing"}}, r.Scripts)
			}
		}
		require.NoError(t, f.Close())
	}
	require.Empty(t, got["real-accounts"])
	require.Empty(t, got["real-pre"])
	require.ElementsMatch(t, []string{
		"setuid /opt/real/bin/suid", "capability /opt/real/bin/cap", "device /opt/real/pipe",
		"build-path /opt/real/config", "build-path /opt/real/real.pc",
	}, got["real"])
}

func TestSet(t *testing.T) {
	script := func(path, interpreter string) write.File {
		return write.File{Path: path, Mode: program, Data: []byte("#!" + interpreter + "\n")}
	}
	a := inspected(t, "x86_64", script("/a/here", "/bin/sh"), script("/a/gone", "/usr/bin/gone"),
		write.File{Path: "/a/boot/arm/x.efi", Data: efi(0xaa64)}, write.File{Path: "/a/other.efi", Data: efi(0xaa64)},
		write.File{Path: "/a/lib.so", Data: library("/opt", 0)})
	b := inspected(t, "x86_64", write.File{Path: "/b/lib.so", Data: append(library("/opt", 0), "changed"...)})
	b.Package, b.Name = "other-1-1.x86_64", "other"
	c := inspected(t, "x86_64", write.File{Path: "/c/lib.so", Data: library("/opt", 0)})
	// What was kept as JSON says the same.
	kept, err := json.Marshal(a)
	require.NoError(t, err)
	again := &Report{}
	require.NoError(t, json.Unmarshal(kept, again))
	set := Set{
		Reports: []*Report{again, b, c},
		Conflicts: []overlap.Conflict{
			{Package: "sample-1-1.x86_64", Name: "sample", Other: "other-1-1.x86_64", Path: "/f", Difference: "with other content"},
		},
		Has: func(path string) bool { return path == "/bin/sh" },
		Exceptions: []Exception{
			{Package: "sample", Rule: Machine, Paths: []string{"/a/boot/**"}, Reason: "it boots others"},
			{Package: "another", Rule: Machine, Paths: []string{"/a/*"}, Reason: "not for this package"},
			{Rule: FileConflict, Paths: []string{"/g", "/?"}, Reason: "known"},
		},
	}
	var got []string
	for _, f := range set.Findings() {
		if f.Rule != ExecStack && f.Rule != TextRel {
			got = append(got, fmt.Sprintf("%s %s %s %q", f.Name, f.Rule, f.Path, f.Allowed))
		}
	}
	require.Equal(t, []string{
		`other build-id /b/lib.so ""`,
		`sample machine /a/boot/arm/x.efi "it boots others"`,
		`sample interpreter /a/gone ""`,
		`sample machine /a/other.efi ""`,
		`sample file-conflict /f "known"`,
	}, got)
}

func TestHostile(t *testing.T) {
	t.Run("many findings", func(t *testing.T) {
		var files []write.File
		for i := range 3 * maxFindings {
			files = append(files, write.File{Path: fmt.Sprintf("/opt/%04d", i), Mode: modeRegular | 0o6777, Data: []byte("x")})
		}
		require.Len(t, inspected(t, "noarch", files...).Findings, maxFindings)
	})
	t.Run("cut payload", func(t *testing.T) {
		_, b := made(t, "noarch", write.File{Path: "/opt/x", Data: bytes.Repeat([]byte("content "), 10000)})
		b = b[:len(b)-50]
		p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		_, err = Inspect(t.Context(), p, bytes.NewReader(b))
		require.ErrorContains(t, err, "looking into sample-1-1.noarch")
	})
	t.Run("interrupted", func(t *testing.T) {
		p, b := made(t, "noarch", write.File{Path: "/opt/x", Data: []byte("x")})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := Inspect(ctx, p, bytes.NewReader(b))
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("terminals", func(t *testing.T) {
		r := inspected(t, "noarch", write.File{Path: "/opt/x", Mode: program, Data: []byte("#!\x1b[2Jsh\n")})
		require.Len(t, r.Findings, 1)
		require.NotContains(t, r.Findings[0].String(), "\x1b")
	})
}

// TestRealProgram looks into a program of the compiler's.
func TestRealProgram(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "program"), filepath.Join(dir, "main.go"))
	cmd.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	b, err := os.ReadFile(filepath.Join(dir, "program"))
	require.NoError(t, err)
	require.Empty(t, inspected(t, "aarch64", write.File{Path: "/usr/bin/program", Mode: program, Data: b}).Findings)
	r := inspected(t, "x86_64", write.File{Path: "/usr/bin/program", Mode: program, Data: b})
	require.Len(t, r.Findings, 1)
	require.Equal(t, "sample-1-1.x86_64: /usr/bin/program: machine: it is an ELF for aarch64 in a package for x86_64; "+
		"build it for x86_64, or declare the file in the recipe's allow when it is there for other machines", r.Findings[0].String())
}

func FuzzTraces(f *testing.F) {
	f.Add([]byte("a /build/BUILDROOT/x b"), 3)
	f.Add([]byte("build/BUILD/build/BUILDROOT/"), 1)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		step = max(1, step%64)
		var tr traces
		for rest := b; len(rest) > 0; {
			n := min(step, len(rest))
			_, _ = tr.Write(rest[:n])
			rest = rest[n:]
		}
		require.Equal(t, bytes.Contains(b, []byte("build/BUILDROOT/")) || bytes.Contains(b, []byte("packages/BUILDROOT/")), tr.root != "")
		require.Equal(t, bytes.Contains(b, []byte("build/BUILD/")) || bytes.Contains(b, []byte("src/packages/BUILD/")), tr.sources != "")
	})
}

func FuzzWindow(f *testing.F) {
	f.Add(10, 3, 4)
	f.Fuzz(func(t *testing.T, size, off, n int) {
		size, off, n = min(max(size, 0), 1<<16), min(max(off, 0), 1<<16), min(max(n, 0), 1<<16)
		var w window
		w.reset(int64(size))
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(i * 7)
		}
		_, _ = w.Write(content)
		got, want := make([]byte, n), make([]byte, n)
		x, _ := w.ReadAt(got, int64(off))
		y, _ := bytes.NewReader(content).ReadAt(want, int64(off))
		require.Equal(t, y, x)
		require.Equal(t, want, got)
	})
}
