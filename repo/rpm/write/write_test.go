package write_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
)

// small is a package that may be written.
func small() write.Package {
	return write.Package{
		Name: "small", Version: "1", Release: "1", Arch: "noarch", Summary: "Small", License: "MIT",
		SourceRPM: "small-1-1.src.rpm", BuildTime: day, BuildHost: "build.example",
	}
}

// TestReadsBack reads packages as repo/rpm does.
func TestReadsBack(t *testing.T) {
	for name, s := range samples(t) {
		for _, p := range []write.Package{s.binary, s.source} {
			t.Run(name, func(t *testing.T) { readsBack(t, p, bytesOf(t, p)) })
		}
	}
}

// readsBack requires that a package's file says what the package does.
func readsBack(t testing.TB, p write.Package, b []byte) {
	t.Helper()
	q, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	require.NoError(t, q.VerifyDigests(t.Context(), bytes.NewReader(b)))
	require.False(t, q.Signed)
	require.Equal(t, p.Source, q.Source())
	require.Equal(t, []string{p.Name, p.Version, p.Release, p.Arch}, []string{q.Name, q.Version, q.Release, q.BuildArch})
	require.Equal(t, []string{p.Summary, p.Description, p.URL, p.License}, []string{q.Summary, q.Description, q.URL, q.License})
	require.Equal(t, []string{p.Vendor, p.Packager, p.BuildHost, p.SourceRPM}, []string{q.Vendor, q.Packager, q.BuildHost, q.SourceRPM})
	require.Equal(t, cmp.Or(p.Group, "Unspecified"), q.Group)
	require.Equal(t, p.Epoch, q.Epoch)
	require.Equal(t, p.BuildTime.Unix(), q.BuildTime.Unix())
	require.Equal(t, slices.Collect(slices.Values(p.Changelog)), slices.Collect(q.Changelog()))

	own := rpm.Dependency{Name: p.Name, Flags: rpm.Equal, Version: q.EVR().String()}
	require.Contains(t, slices.Collect(q.Provides()), own)
	for _, relation := range []struct {
		want []rpm.Dependency
		got  iter.Seq[rpm.Dependency]
	}{
		{p.Provides, q.Provides()},
		{p.Requires, q.Requires()},
		{p.Conflicts, q.Conflicts()},
		{p.Obsoletes, q.Obsoletes()},
		{p.Recommends, q.Recommends()},
		{p.Suggests, q.Suggests()},
		{p.Supplements, q.Supplements()},
		{p.Enhances, q.Enhances()},
	} {
		var got []rpm.Dependency
		for d := range relation.got {
			itself := d.Version == own.Version && (d.Name == p.Name || strings.HasPrefix(d.Name, p.Name+"("))
			if !strings.HasPrefix(d.Name, "rpmlib(") && (!itself || slices.Contains(relation.want, d)) {
				got = append(got, d)
			}
		}
		want := slices.Clone(relation.want)
		slices.SortFunc(want, func(a, b rpm.Dependency) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Flags, b.Flags))
		})
		require.Equal(t, slices.Compact(want), got)
	}

	require.Equal(t, len(p.Files), q.FileCount())
	byPath := map[string]rpm.File{}
	for f := range q.Files() {
		byPath[f.Path()] = f
	}
	for _, f := range p.Files {
		got := byPath[f.Path]
		mode := f.Mode
		if mode == 0 {
			mode = 0o100644
		}
		require.Equal(t, mode, got.Mode)
		require.Equal(t, f.Flags, got.Flags)
		require.Equal(t, f.LinkTo, got.LinkTo)
		require.Equal(t, uint64(len(f.Data)+len(f.LinkTo)), got.Size)
		require.Equal(t, []string{cmp.Or(f.User, "root"), cmp.Or(f.Group, "root")}, []string{got.User, got.Group})
		if mode&0o170000 == 0o100000 && !got.IsGhost() {
			sum := sha256.Sum256(f.Data)
			require.Equal(t, hex.EncodeToString(sum[:]), got.Digest)
		} else {
			require.Empty(t, got.Digest)
		}
	}
}

var update = flag.Bool("update", false, "write the golden file anew")

// TestSameEverywhere compares with digests that do not depend on when, where and
// on what architecture the test runs.
func TestSameEverywhere(t *testing.T) {
	var digests strings.Builder
	all := samples(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, p := range []write.Package{all[name].binary, all[name].source} {
			first := sha256.Sum256(bytesOf(t, p))
			fmt.Fprintf(&digests, "%x  %s source=%t\n", first, name, p.Source)
			p.BuildTime = p.BuildTime.In(time.FixedZone("elsewhere", 3600))
			slices.Reverse(p.Requires)
			slices.Reverse(p.Files)
			require.Equal(t, first, sha256.Sum256(bytesOf(t, p)))
		}
	}
	const golden = "testdata/digests"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(digests.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), digests.String())
}

// TestNothingIsChanged writes a package without touching what it was given.
func TestNothingIsChanged(t *testing.T) {
	p := samples(t)["files"].binary
	before := slices.Clone(p.Files)
	bytesOf(t, p)
	require.Equal(t, before, p.Files)
}

func TestRefused(t *testing.T) {
	dep := func(d rpm.Dependency) func(*write.Package) {
		return func(p *write.Package) { p.Requires = []rpm.Dependency{d} }
	}
	file := func(f write.File) func(*write.Package) {
		return func(p *write.Package) { p.Files = append(p.Files, f) }
	}
	source := func(names ...string) func(*write.Package) {
		return func(p *write.Package) {
			p.Source, p.SourceRPM = true, ""
			for _, name := range names {
				p.Files = append(p.Files, write.File{Path: name, Flags: rpm.FileSpec})
			}
		}
	}
	for _, test := range []struct {
		want   string
		change func(*write.Package)
	}{
		{"its name: \"\" does not begin", func(p *write.Package) { p.Name = "" }},
		{"its name: \"-x\"", func(p *write.Package) { p.Name = "-x" }},
		{"its name", func(p *write.Package) { p.Name = "../x" }},
		{"its name", func(p *write.Package) { p.Name = "x/y" }},
		{"its name", func(p *write.Package) { p.Name = "x\x00y" }},
		{"its name", func(p *write.Package) { p.Name = "x\ny" }},
		{"its name", func(p *write.Package) { p.Name = "%{name}" }},
		{"two dots in a row", func(p *write.Package) { p.Name = "x..y" }},
		{"name of its file would have", func(p *write.Package) { p.Name = strings.Repeat("x", 250) }},
		{"its version: it is empty", func(p *write.Package) { p.Version = "" }},
		{"its version", func(p *write.Package) { p.Version = "1-2" }},
		{"its version", func(p *write.Package) { p.Version = "1:2" }},
		{"its release", func(p *write.Package) { p.Release = "1%{?dist}" }},
		{"architecture \"amd64\" is not known", func(p *write.Package) { p.Arch = "amd64" }},
		{"architecture \"src\" is not known", func(p *write.Package) { p.Arch = "src" }},
		{"no summary", func(p *write.Package) { p.Summary = "" }},
		{"its summary: it has the control character U+000A at byte 1", func(p *write.Package) { p.Summary = "a\nb" }},
		{"its summary: it is not UTF-8", func(p *write.Package) { p.Summary = "a\xff" }},
		{"its summary: it has 5000 bytes", func(p *write.Package) { p.Summary = strings.Repeat("s", 5000) }},
		{"its description: it has the control character U+0000", func(p *write.Package) { p.Description = "a\n\x00" }},
		{"its description: it has 1048577 bytes", func(p *write.Package) { p.Description = strings.Repeat("s", 1<<20+1) }},
		{"no license", func(p *write.Package) { p.License = "" }},
		{"its URL has spaces", func(p *write.Package) { p.URL = "https://a b" }},
		{"no build host", func(p *write.Package) { p.BuildHost = "" }},
		{"its build host has spaces", func(p *write.Package) { p.BuildHost = "a b" }},
		{"its build time", func(p *write.Package) { p.BuildTime = time.Time{} }},
		{"its build time", func(p *write.Package) { p.BuildTime = time.Unix(math.MaxUint32+1, 0) }},
		{"\"\" is not the file name of a source package", func(p *write.Package) { p.SourceRPM = "" }},
		{"is not the file name", func(p *write.Package) { p.SourceRPM = "small-1-1.noarch.rpm" }},
		{"is not the file name", func(p *write.Package) { p.SourceRPM = "../small.src.rpm" }},
		{"the id of its source package has 3 bytes", func(p *write.Package) { p.SourceID = []byte("abc") }},
		{"only a source package has architectures", func(p *write.Package) { p.BuildArchs = []string{"noarch"} }},
		{"a source package is not built from one", func(p *write.Package) { p.Source = true }},
		{"build architecture \"any\"", func(p *write.Package) { source("a.spec")(p); p.BuildArchs = []string{"any"} }},
		{"0 files that are marked as its spec", source()},
		{"2 files that are marked as its spec", source("a.spec", "b.spec")},
		{"only names", source("a/b.spec")},
		{"only names", source("..")},
		{"only regular files", func(p *write.Package) {
			source("a.spec")(p)
			file(write.File{Path: "dir", Mode: 0o40755})(p)
		}},

		{"without a name", dep(rpm.Dependency{})},
		{"begins with a letter", dep(rpm.Dependency{Name: "-x"})},
		{"has no spaces", dep(rpm.Dependency{Name: "a b"})},
		{"has no spaces", dep(rpm.Dependency{Name: "a\u00a0b"})},
		{"control character", dep(rpm.Dependency{Name: "a\x00b"})},
		{"not UTF-8", dep(rpm.Dependency{Name: "\xff"})},
		{"allowed are 4096", dep(rpm.Dependency{Name: strings.Repeat("a", 5000)})},
		{"is found out, not given", dep(rpm.Dependency{Name: "rpmlib(FileDigests)", Flags: rpm.RPMLib})},
		{"a comparison needs a version", dep(rpm.Dependency{Name: "a", Flags: rpm.Equal})},
		{"a version a comparison", dep(rpm.Dependency{Name: "a", Version: "1"})},
		{"not compared with <>", dep(rpm.Dependency{Name: "a", Flags: rpm.Less | rpm.Greater, Version: "1"})},
		{"flags 0x1000000 have no meaning", dep(rpm.Dependency{Name: "a", Flags: rpm.RPMLib})},
		{"a file has no version", dep(rpm.Dependency{Name: "/a", Flags: rpm.Equal, Version: "1"})},
		{"is not a version", dep(rpm.Dependency{Name: "a", Flags: rpm.Equal, Version: "1-2-3"})},
		{"the epoch must be a number", dep(rpm.Dependency{Name: "a", Flags: rpm.Equal, Version: "x:1"})},
		{"the epoch must be a number", dep(rpm.Dependency{Name: "a", Flags: rpm.Equal, Version: ":1"})},
		{"the epoch must be a number", dep(rpm.Dependency{Name: "a", Flags: rpm.Equal, Version: "99999999999:1"})},
		{"is not a version", dep(rpm.Dependency{Name: "a", Flags: rpm.Equal, Version: "1-"})},
		{"an expression has no version", dep(rpm.Dependency{Name: "(a or b)", Flags: rpm.Equal, Version: "1"})},
		{"rpm writes it as (a or b)", dep(rpm.Dependency{Name: "(a  or b)"})},
		{"not an expression that rpm understands", dep(rpm.Dependency{Name: "(a or"})},
		{"use or instead of unless", dep(rpm.Dependency{Name: "(a unless b)"})},
		{"use and instead of if", func(p *write.Package) { p.Conflicts = []rpm.Dependency{{Name: "(a if b)"}} }},
		{"what it provides: (a or b): no expression", func(p *write.Package) { p.Provides = []rpm.Dependency{{Name: "(a or b)"}} }},
		{"what it obsoletes: (a or b): no expression", func(p *write.Package) { p.Obsoletes = []rpm.Dependency{{Name: "(a or b)"}} }},
		{"what it conflicts with: a: flags", func(p *write.Package) { p.Conflicts = []rpm.Dependency{{Name: "a", Flags: rpm.ScriptPre}} }},
		{"it suggests 65537 things", func(p *write.Package) { p.Suggests = make([]rpm.Dependency, 1<<16+1) }},

		{"does not begin with the newest", func(p *write.Package) {
			p.Changelog = []rpm.Change{{Time: 1, Author: "a", Text: "b"}, {Time: 2, Author: "a", Text: "b"}}
		}},
		{"entry 1 of its changelog has no author", func(p *write.Package) { p.Changelog = []rpm.Change{{Time: 1, Text: "b"}} }},
		{"entry 1 of its changelog: ", func(p *write.Package) { p.Changelog = []rpm.Change{{Time: -1, Author: "a", Text: "b"}} }},
		{"entry 1 of its changelog: it has the control", func(p *write.Package) { p.Changelog = []rpm.Change{{Author: "a\nb", Text: "b"}} }},

		{"file \"a\": not an absolute path", file(write.File{Path: "a"})},
		{"not an absolute path", file(write.File{Path: "/"})},
		{"not an absolute path", file(write.File{Path: "/a/../b"})},
		{"not an absolute path", file(write.File{Path: "/a/"})},
		{"control character", file(write.File{Path: "/a\n"})},
		{"control character", file(write.File{Path: "/a", User: "root\x00"})},
		{"comes twice", func(p *write.Package) { p.Files = []write.File{{Path: "/a"}, {Path: "/b"}, {Path: "/a"}} }},
		{"neither a regular file", file(write.File{Path: "/a", Mode: 0o020644})},
		{"neither a regular file", file(write.File{Path: "/a", Mode: 0o644})},
		{"points somewhere", file(write.File{Path: "/a", Mode: 0o120777})},
		{"points somewhere", file(write.File{Path: "/a", LinkTo: "b"})},
		{"have content", file(write.File{Path: "/a", Mode: 0o040755, Data: []byte("a")})},
		{"have content", file(write.File{Path: "/a", Flags: rpm.FileGhost, Data: []byte("a")})},
		{"only a source package has a spec", file(write.File{Path: "/a", Flags: rpm.FileSpec})},
		{"flags 0x80000000 have no meaning", file(write.File{Path: "/a", Flags: 1 << 31})},
		{"is not between 1970 and 2106", file(write.File{Path: "/a", ModTime: time.Unix(-1, 0)})},
		{"its files have more than", func(p *write.Package) {
			large := make([]byte, 1<<29)
			p.Files = []write.File{{Path: "/a", Data: large}, {Path: "/b", Data: large}, {Path: "/c", Data: large}}
		}},
		{"its header has", func(p *write.Package) {
			for i := range 20 {
				p.Changelog = append(p.Changelog, rpm.Change{Time: int64(100 - i), Author: "a", Text: strings.Repeat("x", 1<<20)})
			}
		}},
	} {
		t.Run(test.want, func(t *testing.T) {
			p := small()
			test.change(&p)
			var b bytes.Buffer
			require.ErrorContains(t, write.Write(&b, p), test.want)
			require.Empty(t, b.Bytes())
		})
	}
	require.NoError(t, write.Write(&bytes.Buffer{}, small()))
	require.ErrorIs(t, write.Write(full{}, small()), errFull)
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// TestParseDependency reads dependencies as rpm reads them in a spec, and refuses
// what rpm refuses.
func TestParseDependency(t *testing.T) {
	spec := filepath.Join(t.TempDir(), "test.spec")
	ask := func(text string) (string, error) {
		text = "Name: a\nVersion: 1\nRelease: 1\nSummary: a\nLicense: a\nRequires: " + text + "\n%description\n%files\n"
		require.NoError(t, os.WriteFile(spec, []byte(text), 0o644))
		return rpmtest.Try(t, "rpmspec", "-q", "--define", "_wrong_version_format_terminate_build 1",
			"--qf", "[%{REQUIRENAME}|%{REQUIREFLAGS}|%{REQUIREVERSION}\n]", spec)
	}
	for _, text := range []string{
		"a", " a\t", "a,", "a = 1", "a == 1", "a=1", "a < 1", "a <= 1", "a =< 1", "a > 1", "a >= 1", "a => 1", "a >= 1:2.3~rc1^git-4.5",
		"/usr/bin/env", "libc.so.6(GLIBC_2.34)(64bit)", "_a", "1a", "Ä", "a,>=,1", "perl(A::B) >= 0.1", "python3dist(a[b])",
		"(a)", "(a or b)", "( a  or b )", "(a>=1 or b)", "(a >= 1 or b)", "(a => 1 or b)", "(a or b or c)", "(a and b and c)", "(a with b with c)",
		"(a if b)", "(a if b else c)", "(a without b)", "((a or b) and (c or d))", "((a if b) and c)", "((a >= 1 with a < 2) or c)",
		"(libx.so()(64bit) or b)", "(a if (b or c))", "(a if (b and c) else (d or e))", "((a and (b or c)) if d)", "(a if (b unless c))",
		"((a or (b if c)) and d)", "(a and (b unless c))", "((a unless b) or c)", "(a or,b)", "((a and b) with c)", "((a or b) with c)",
		"((a with b) without c)", "(a if b if c)", "(a unless b)", "((a if b) or c)", "((((a))))", "(a if (b if c))", "((a if b) if c)",
		"(a or (b and (c if d)))", "((a and b) without c)", "(a unless b else c)", "(((a unless b) or c) and d)",
	} {
		d, err := write.ParseDependency(text)
		if err == nil { // where an expression may not stand depends on the relation
			p := small()
			p.Requires = []rpm.Dependency{d}
			err = write.Write(&bytes.Buffer{}, p)
		}
		said, rpmErr := ask(text)
		if rpmErr != nil {
			require.Error(t, err, "%s: rpm says %s", text, said)
			continue
		}
		require.NoError(t, err, "%s: rpm says %s", text, said)
		require.Equal(t, said, fmt.Sprintf("%s|%d|%s\n", d.Name, d.Flags, d.Version), text)
	}
	for _, text := range []string{
		"", "a b", "a 1 2", "a >=", "a b c", "a = 1 b", "-a", "/a = 1", "a = x:1", "a = 1-2-3", "a = %{x}", "a = 1..2", "(", "()", "(a", "(a or)", "(or b)",
		"(a b)", "(a or b and c)", "(a without b without c)", "(a xor b)", "(a or b) c", "(a or -b)", "(a = or b)", "a (b)", "((a or b)", "(a or /b = 1)",
		"(a else b)", "(a if b else c else d)", "(a or b)) ", strings.Repeat("(", 100) + "a" + strings.Repeat(")", 100), "(" + strings.Repeat("a or ", 1000) + "a)",
	} {
		_, err := write.ParseDependency(text)
		require.Error(t, err, text)
	}
}

func FuzzWrite(f *testing.F) {
	f.Add("a", "1", "1", uint32(0), "x86_64", "s", "d", "MIT", "g", "https://a", "v", "p", "b", int64(1), "a (b)", "(a or b)", uint32(0), "", "/a/b", []byte("x"), "", uint16(0), uint32(0), "t", false)
	f.Add("b-c", "1~rc", "1^2", uint32(7), "noarch", "ü", "d\n\te", "L", "", "", "", "", "h", int64(1<<32-1), "c", "z", uint32(12), "3:4-5", "b.spec", []byte("Name: b\n"), "", uint16(0o100600), uint32(32), "- x", true)
	f.Add("d", "2", "3", uint32(1<<31), "aarch64", "s", "", "L", "", "", "", "", "h", int64(0), "lib(x)", "(a if b)", uint32(0), "", "/l", []byte(nil), "../t", uint16(0o120777), uint32(64), "", false)
	f.Fuzz(func(t *testing.T, name, version, release string, epoch uint32, arch, summary, description, license, group, url, vendor, packager, host string,
		at int64, provide, require string, flags uint32, evr, path string, data []byte, link string, mode uint16, fileFlags uint32, change string, source bool,
	) {
		p := write.Package{
			Name: name, Version: version, Release: release, Epoch: epoch, Arch: arch, Source: source, Summary: summary, Description: description,
			License: license, Group: group, URL: url, Vendor: vendor, Packager: packager, BuildHost: host, BuildTime: time.Unix(at, 0),
			Provides:  []rpm.Dependency{{Name: provide, Flags: rpm.Equal, Version: "1"}},
			Requires:  []rpm.Dependency{{Name: require, Flags: rpm.Sense(flags), Version: evr}, {Name: provide}},
			Conflicts: []rpm.Dependency{{Name: require, Flags: rpm.Sense(flags), Version: evr}},
			Suggests:  []rpm.Dependency{{Name: provide}},
			Files:     []write.File{{Path: path, Data: data, LinkTo: link, Mode: mode, Flags: rpm.FileFlags(fileFlags), User: vendor}},
		}
		if change != "" {
			p.Changelog = []rpm.Change{{Time: at, Author: summary, Text: change}, {Time: 0, Author: "a", Text: change}}
		}
		if !source {
			p.SourceRPM = name + "-" + version + "-" + release + ".src.rpm"
		}
		var b bytes.Buffer
		if err := write.Write(&b, p); err != nil {
			if b.Len() > 0 {
				t.Fatal("something was written all the same")
			}
			return
		}
		readsBack(t, p, b.Bytes())
		if d, err := write.ParseDependency(p.Requires[0].String()); p.Requires[0].Flags&^15 == 0 && !strings.Contains(require, ",") {
			if err != nil || d != p.Requires[0] {
				t.Fatalf("%v comes back as %v (%v)", p.Requires[0], d, err)
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	p := samples(b)["plain"].binary
	b.ReportAllocs()
	for b.Loop() {
		if err := write.Write(&bytes.Buffer{}, p); err != nil {
			b.Fatal(err)
		}
	}
}
