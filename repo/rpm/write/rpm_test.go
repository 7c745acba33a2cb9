package write_test

import (
	"bytes"
	"encoding/xml"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// day is when all packages of these tests were built: what rpm makes of the
// changelog's date, whose entries are of noon.
var day = time.Date(2024, 10, 21, 0, 0, 0, 0, time.UTC)

const changelog = `
%changelog
* Mon Oct 21 2024 Somebody <s@example.org> - 1-1
- Second
  in two lines
* Sun Oct 20 2024 Somebody Else - 1-0
- First
`

func changes() []rpm.Change {
	return []rpm.Change{
		{Time: day.Unix() + 12*3600, Author: "Somebody <s@example.org> - 1-1", Text: "- Second\n  in two lines"},
		{Time: day.Unix() - 12*3600, Author: "Somebody Else - 1-0", Text: "- First"},
	}
}

// sample is one package twice: as a spec and as we write it.
type sample struct {
	spec           string
	binary, source write.Package
}

func deps(t testing.TB, texts ...string) []rpm.Dependency {
	t.Helper()
	var list []rpm.Dependency
	for _, text := range texts {
		d, err := write.ParseDependency(text)
		require.NoError(t, err)
		list = append(list, d)
	}
	return list
}

func with(d rpm.Dependency, flags rpm.Sense) rpm.Dependency {
	d.Flags |= flags
	return d
}

// samples are packages that between them have all that can be written.
func samples(t testing.TB) map[string]sample {
	plain := write.Package{
		Name: "meta-plain", Version: "3.0", Release: "1.300.ohpc", Arch: "noarch",
		Summary: "Nothing but requirements", License: "Apache-2.0", Description: "Two\nlines.",
		SourceRPM: "meta-plain-3.0-1.300.ohpc.src.rpm",
		Requires:  deps(t, "zlib", "/usr/bin/env", "scotch-gnu12-ohpc", "Capital", "metis"),
		BuildTime: day, BuildHost: "build.example", Changelog: changes(),
	}
	full := write.Package{
		Name: "full", Epoch: 3, Version: "1.0~rc2", Release: "4^git7", Arch: "x86_64",
		Summary: "Küche & <Spüle> – 厨房", License: "MIT AND GPL-2.0-or-later", Description: "Mehrzeilig & <xml>\n\n  Ünïcode\twith a tab: 厨房 🍽",
		Group: "System/Køkken", URL: "https://example.org/?a=1&b=<2>", Vendor: "Example & Søns", Packager: "Ærø <p@example.org>",
		SourceRPM: "full-1.0~rc2-4^git7.src.rpm",
		Provides:  deps(t, "sink = 3:1.0", "virtual", "bundled(zlib) = 1.2.11-3", "ranged <= 5", "full = 3:1.0~rc2-4^git7"),
		Requires: append(deps(t, "dup >= 2", "dup >= 1", "dup > 1", "dup = 1", "dup < 1", "dup <= 1", "dup", "dup >= 1", "exact = 7:1.2-3",
			"libc.so.6(GLIBC_2.34)(64bit)", "libc.so.6()(64bit)", "((foo >= 1.0 with foo < 2) or bar)", "(baz if qux else quux)"),
			with(deps(t, "late")[0], rpm.ScriptPost), with(deps(t, "late")[0], rpm.ScriptPre), with(deps(t, "late >= 2")[0], rpm.ScriptPostUn)),
		Conflicts:   deps(t, "washer < 2:3", "broken > 9", "(a and b)"),
		Obsoletes:   deps(t, "old-sink < 1.0", "older-sink <= 0.9-7", "oldest"),
		Recommends:  deps(t, "towel", "soap >= 2"),
		Suggests:    deps(t, "sponge = 1:1"),
		Supplements: deps(t, "(house and water)"),
		Enhances:    deps(t, "home >= 3"),
		BuildTime:   day, BuildHost: "build.example", Changelog: changes(),
	}
	files := write.Package{
		Name: "files", Version: "1", Release: "1", Arch: "aarch64",
		Summary: "Files of all kinds", License: "MIT", Description: "With files.",
		SourceRPM: "files-1-1.src.rpm", BuildTime: day, BuildHost: "build.example", Changelog: changes(),
		Files: []write.File{ // not in order
			{Path: "/usr/share/files/data", Data: []byte("data\n")},
			{Path: "/opt/files/x", Mode: 0o100755, Data: []byte("x\n")},
			{Path: "/etc/files.conf", Flags: rpm.FileConfig | rpm.FileNoReplace, Data: []byte("conf\n")},
			{Path: "/opt/files", Mode: 0o040755},
			{Path: "/opt/files-beside/empty"},
			{Path: "/usr/lib/link", Mode: 0o120777, LinkTo: "../share/files/data"},
			{Path: "/usr/share/files/Grüße & <mehr>.txt", Data: []byte("mehr\n")},
			{Path: "/usr/share/licenses/files/LICENSE", Flags: rpm.FileLicense, Data: []byte("free\n")},
			{Path: "/var/log/files.log", Mode: 0o100640, Flags: rpm.FileGhost, Group: "adm"},
		},
	}
	all := map[string]sample{
		"plain": {binary: plain, spec: `Name: meta-plain
Version: 3.0
Release: 1%{?dist}
Summary: Nothing but requirements
License: Apache-2.0
BuildArch: noarch
Requires: zlib /usr/bin/env
Requires: scotch-gnu12-ohpc, Capital
Requires: metis
%description
Two
lines.

%files
` + changelog},
		"full": {binary: full, spec: `Name: full
Epoch: 3
Version: 1.0~rc2
Release: 4^git7
Summary: Küche & <Spüle> – 厨房
License: MIT AND GPL-2.0-or-later
Group: System/Køkken
URL: https://example.org/?a=1&b=<2>
Vendor: Example & Søns
Packager: Ærø <p@example.org>
BuildRequires: make >= 4, (gcc or clang >= 9)
BuildConflicts: cmake < 3
Provides: sink = 3:1.0, virtual, bundled(zlib) = 1.2.11-3
Provides: ranged <= 5, full = 3:1.0~rc2-4^git7
Requires: dup >= 2, dup >= 1, dup > 1, dup = 1, dup < 1, dup <= 1, dup
Requires: dup >= 1, exact = 7:1.2-3
Requires: libc.so.6(GLIBC_2.34)(64bit), libc.so.6()(64bit)
Requires: ((foo >= 1.0   with foo < 2) or bar)
Requires: (baz if qux else quux)
Requires(post): late
Requires(pre): late
Requires(postun): late >= 2
Conflicts: washer < 2:3, broken > 9, (a and b)
Obsoletes: old-sink < 1.0, older-sink <= 0.9-7, oldest
Recommends: towel, soap >= 2
Suggests: sponge = 1:1
Supplements: (house and water)
Enhances: home >= 3
%description
Mehrzeilig & <xml>

  Ünïcode	with a tab: 厨房 🍽

%files
` + changelog},
		"files": {binary: files, spec: `Name: files
Version: 1
Release: 1
Summary: Files of all kinds
License: MIT
AutoReqProv: no
%description
With files.

%install
cd %{buildroot}
mkdir -p usr/share/files usr/share/licenses/files opt/files opt/files-beside usr/lib etc
echo data > usr/share/files/data
echo mehr > "usr/share/files/Grüße & <mehr>.txt"
echo free > usr/share/licenses/files/LICENSE
echo x > opt/files/x
chmod 755 opt/files/x
: > opt/files-beside/empty
echo conf > etc/files.conf
ln -s ../share/files/data usr/lib/link

%files
%config(noreplace) /etc/files.conf
/usr/lib/link
/opt/files
/opt/files-beside/empty
/usr/share/files/*
%license /usr/share/licenses/files/LICENSE
%ghost %attr(0640,root,adm) /var/log/files.log
` + changelog},
	}
	for name, s := range all {
		s.source = s.binary
		s.source.Source, s.source.SourceRPM = true, ""
		s.source.Provides, s.source.Requires, s.source.Conflicts, s.source.Obsoletes = nil, nil, nil, nil
		s.source.Recommends, s.source.Suggests, s.source.Supplements, s.source.Enhances = nil, nil, nil, nil
		if s.binary.Arch == "noarch" {
			s.source.BuildArchs = []string{"noarch"}
		}
		if name == "full" {
			s.source.Requires, s.source.Conflicts = deps(t, "make >= 4", "(gcc or clang >= 9)"), deps(t, "cmake < 3")
		}
		s.source.Files = []write.File{{Path: "test.spec", Flags: rpm.FileSpec, Data: []byte(s.spec)}}
		all[name] = s
	}
	return all
}

func bytesOf(t testing.TB, p write.Package) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, write.Write(&b, p))
	return b.Bytes()
}

// save writes a package to a file of its own name.
func save(t testing.TB, dir string, p write.Package) string {
	t.Helper()
	b := bytesOf(t, p)
	q, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	path := filepath.Join(dir, q.FileName())
	require.NoError(t, os.WriteFile(path, b, 0o644))
	return path
}

// differences are the tags that are not as rpmbuild writes them, and why.
var differences = map[string]string{
	"Sigsize":      "covers the tags below",
	"Sigmd5":       "covers the tags below",
	"Sha1header":   "covers the tags below",
	"Sha256header": "covers the tags below",
	"Sourcepkgid":  "the MD5 of a source package, where one is given",

	"Payloadflags":  "the level of compression",
	"Payloaddigest": "compressed by another library; uncompressed the archive is the same, as Payloaddigestalt tells",

	"Optflags": "nothing was compiled, and they are those of the machine's configuration",
	"Platform": "it names the distribution on which rpmbuild ran",
	"Spec":     "the spec with its macros expanded, which takes rpm; the spec itself is in the payload",

	"Fileclass": "by libmagic", "Classdict": "by libmagic", "Filecolors": "by libmagic",
	"Filedependsx": "which file a requirement was found in", "Filedependsn": "the same", "Dependsdict": "the same",
}

// folderSizes: what a folder takes depends on the file system of the build.
const folderSizes = "Filesizes"

// tags are a package's tags with their values, as rpm tells them.
func tags(t testing.TB, path string) map[string]string {
	t.Helper()
	out := rpmtest.Run(t, "rpm", "-qp", "--nosignature", "--xml", path)
	var doc struct {
		Tags []struct {
			Name   string `xml:"name,attr"`
			Values string `xml:",innerxml"`
		} `xml:"rpmTag"`
	}
	require.NoError(t, xml.Unmarshal([]byte(out), &doc), out)
	all := map[string]string{}
	for _, tag := range doc.Tags {
		all[tag.Name] = tag.Values
	}
	return all
}

// TestLikeRPMBuild compares packages with what rpmbuild makes of their specs.
func TestLikeRPMBuild(t *testing.T) {
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ours := []string{save(t, dir, s.binary), save(t, dir, s.source)}
			theirs := rpmtest.BuildText(t, s.spec, s.binary.Arch, "--define", "dist .300.ohpc")
			require.Len(t, theirs, 2)
			for i, path := range theirs {
				require.Equal(t, filepath.Base(path), filepath.Base(ours[i]))
				want, got := tags(t, path), tags(t, ours[i])
				require.Greater(t, len(want), 25)
				for _, tag := range slices.Sorted(maps.Keys(got)) {
					require.Contains(t, want, tag, "a tag that rpmbuild does not write")
				}
				for tag := range want {
					if _, known := differences[tag]; known || tag == folderSizes && name == "files" && i == 0 {
						continue
					}
					require.Equal(t, want[tag], got[tag], "%s of %s", tag, filepath.Base(path))
				}
				lead, theirLead := head(t, ours[i]), head(t, path)
				require.Equal(t, theirLead, lead)
			}
		})
	}
}

func head(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b[:96]
}

// TestArchitectures compares what depends on the architecture.
func TestArchitectures(t *testing.T) {
	s := samples(t)["plain"]
	spec := strings.Replace(s.spec, "BuildArch: noarch\n", "", 1)
	for _, arch := range []string{"x86_64", "aarch64", "ppc64le", "s390x", "riscv64", "i586", "i686", "armv7hl", "loongarch64"} {
		p := s.binary
		p.Arch = arch
		theirs := rpmtest.BuildText(t, spec, arch, "--define", "dist .300.ohpc")[0]
		ours := save(t, t.TempDir(), p)
		want, got := tags(t, theirs), tags(t, ours)
		for _, tag := range []string{"Arch", "Providename", "Provideversion", "Provideflags", "Requirename"} {
			require.Equal(t, want[tag], got[tag], "%s of %s", tag, arch)
		}
		require.Equal(t, head(t, theirs), head(t, ours))
	}
}

// TestRPMAccepts lets rpm verify, install and remove what was written, signed
// and not, and createrepo_c read it.
func TestRPMAccepts(t *testing.T) {
	key, err := sign.Generate(sign.Params{Name: "Test", Email: "test@example.org", Created: day, Bits: 2048})
	require.NoError(t, err)
	dir := t.TempDir()
	public := filepath.Join(dir, "key.asc")
	require.NoError(t, os.WriteFile(public, key.PublicKey(), 0o644))
	db := []string{"--define", "_dbpath " + filepath.Join(dir, "db")}
	rpmtest.Run(t, "rpmkeys", append(db, "--import", public)...)

	repository := filepath.Join(dir, "repository")
	require.NoError(t, os.Mkdir(repository, 0o755))
	for _, s := range samples(t) {
		for _, p := range []write.Package{s.binary, s.source} {
			path := save(t, repository, p)
			said := rpmtest.Run(t, "rpm", append(db, "-K", "--nosignature", "-v", path)...)
			for _, digest := range []string{"Header SHA256 digest: OK", "Header SHA1 digest: OK", "Payload SHA256 digest: OK", "MD5 digest: OK"} {
				require.Contains(t, said, digest)
			}
			require.NoError(t, key.SignPackageFile(t.Context(), path, path, day))
			said = rpmtest.Run(t, "rpmkeys", append(db, "--define", "_pkgverify_level all", "-K", path)...)
			require.Contains(t, said, ": digests signatures OK")
		}
	}
	rpmtest.Run(t, "createrepo_c", "-q", repository)
	primary, err := filepath.Glob(filepath.Join(repository, "repodata", "*primary.xml.gz"))
	require.NoError(t, err)
	require.Len(t, primary, 1)
	listed := rpmtest.Run(t, "zcat", primary[0])
	require.Contains(t, listed, `packages="6"`)
	require.Contains(t, listed, `<rpm:entry name="full(x86-64)" flags="EQ" epoch="3" ver="1.0~rc2" rel="4^git7"/>`)
}

// TestInstall installs packages into a root of their own.
func TestInstall(t *testing.T) {
	testenv.Root(t)
	root := t.TempDir()
	rpmIn := func(args ...string) string {
		return rpmtest.Run(t, "rpm", append([]string{"--root", root, "--nosignature"}, args...)...)
	}
	dir := t.TempDir()
	all := samples(t)
	files, plain := save(t, dir, all["files"].binary), save(t, dir, all["plain"].binary)
	rpmIn("-i", "--ignorearch", files)
	rpmIn("-i", "--nodeps", plain)
	require.Equal(t, "files-1-1.aarch64\nmeta-plain-3.0-1.300.ohpc.noarch\n", rpmIn("-qa", "--qf", "%{NEVRA}\n", "files", "meta-plain"))

	for path, want := range map[string]string{
		"usr/lib/link": "data\n", "opt/files/x": "x\n", "opt/files-beside/empty": "", "usr/share/files/Grüße & <mehr>.txt": "mehr\n",
	} {
		b, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
	fi, err := os.Stat(filepath.Join(root, "opt/files/x"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), fi.Mode())
	require.True(t, fi.ModTime().Equal(day))
	require.NoFileExists(t, filepath.Join(root, "var/log/files.log"))

	require.Empty(t, rpmIn("-V", "files"))
	require.NoError(t, os.WriteFile(filepath.Join(root, "opt/files/x"), []byte("y\n"), 0o755))
	changed, err := rpmtest.Try(t, "rpm", "--root", root, "-V", "files")
	require.Error(t, err)
	require.Contains(t, changed, "5", "its digest is another")
	rpmIn("-e", "files", "meta-plain")
	require.NoFileExists(t, filepath.Join(root, "opt/files/x"))
}
