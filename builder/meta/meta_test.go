package meta

import (
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

var update = flag.Bool("update", false, "write the golden file anew")

const dist = ".300.ohpc"

// example is a meta-package of one architecture that has all that it can have.
func example() Spec {
	const spec = `Name: ohpc-example
Version: 3.0~rc1
Release: 1%{?dist}
Summary: An example – 100%% of it
License: Apache-2.0
Group: ohpc/meta-package
URL: https://example.org
%global debug_package %{nil}
Requires: scotch-gnu12-ohpc >= 7.0
Requires: (metis-gnu12-ohpc if scotch-gnu12-ohpc)
Requires: bash

%description
All of
it.

%files

%changelog
* Mon Oct 21 2024 ohpc-build - 3.0~rc1-1
- Made up
`
	return Spec{
		Name: "ohpc-example", Version: "3.0~rc1", Release: "1" + dist, Arch: "x86_64", Summary: "An example – 100% of it", Description: " All of \nit.\n",
		License: "Apache-2.0", Group: "ohpc/meta-package", URL: "https://example.org",
		Requires: []string{"scotch-gnu12-ohpc >= 7.0", "(metis-gnu12-ohpc if scotch-gnu12-ohpc)", "bash"},
		Date:     time.Date(2024, 10, 21, 17, 30, 0, 0, time.UTC), Author: "ohpc-build - 3.0~rc1-1", Change: "- Made up",
		SpecName: "ohpc-example.spec", SpecText: []byte(spec),
	}
}

// catalogued are the meta-packages of the embedded catalogue.
func catalogued(t testing.TB) []Spec {
	t.Helper()
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	target, err := c.Target("Debian_12")
	require.NoError(t, err)
	var specs []Spec
	for _, r := range c.Recipes {
		if r.Kind != recipes.MetaPackage {
			continue
		}
		variants, _ := c.Expand(r, target, "x86_64")
		for _, v := range variants {
			description := r.Description
			if description == "" {
				description = r.Summary
			}
			specs = append(specs, Spec{
				Name: r.Name, Version: c.Version, Release: "1" + dist, Arch: "noarch", Summary: r.Summary, Description: description,
				License: "Apache-2.0", Group: "ohpc/meta-package", URL: c.URL, Requires: v.Requires(), Date: c.Date.Time,
				Author:   "ohpc-build - " + c.Version + "-1",
				Change:   fmt.Sprintf("- Requirements as in catalogue %s of %s", c.Version, c.Date.Format(time.DateOnly)),
				SpecName: r.Name + ".spec", SpecText: []byte(c.Meta(v).Spec),
			})
		}
	}
	require.NotEmpty(t, specs)
	return specs
}

// build makes a meta-package's files in a folder and returns their paths, the
// binary package first.
func build(t testing.TB, s Spec) (binary, source string) {
	t.Helper()
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	result, err := Build(t.Context(), st, s)
	require.NoError(t, err)
	require.Len(t, result.Packages, 2)
	kept, err := st.ReadAll(result.Log, 1<<10)
	require.NoError(t, err)
	require.Equal(t, log, string(kept))
	dir := t.TempDir()
	for _, p := range result.Packages {
		path := filepath.Join(dir, p.File)
		require.NoError(t, st.CopyTo(p.Digest, path))
		if strings.HasSuffix(path, ".src.rpm") {
			source = path
		} else {
			binary = path
		}
	}
	return binary, source
}

// rpmbuild is what package builder calls, for a spec that lies in top/SPECS.
func rpmbuild(t testing.TB, top, how, spec, arch string) {
	t.Helper()
	rpmtest.Run(t, "rpmbuild", how, "--target", arch, "--define", "_topdir "+top, "--define", "_tmppath "+top, "--define", "_dbpath "+filepath.Join(top, "db"),
		"--define", "_buildhost "+buildHost, "--define", "source_date_epoch_from_changelog 1", "--define", "use_source_date_epoch_as_buildtime 1",
		"--define", "clamp_mtime_to_source_date_epoch 1", "--define", "dist "+dist, filepath.Join(top, "SPECS", spec))
}

// differences are the tags that are not as rpmbuild writes them; the tests of
// repo/rpm/write say why.
var differences = []string{
	"Sigsize", "Sigmd5", "Sha1header", "Sha256header", "Sourcepkgid", // they cover the others
	"Payloaddigest", "Payloadflags", "Optflags", "Platform", "Spec",
}

// same requires that rpm tells the same of two packages, but for some tags.
func same(t testing.TB, want, got string, except ...string) {
	t.Helper()
	require.Equal(t, filepath.Base(want), filepath.Base(got))
	theirs, ours := tags(t, want), tags(t, got)
	require.Greater(t, len(theirs), 25)
	for _, tag := range append(except, differences...) {
		delete(theirs, tag)
		delete(ours, tag)
	}
	require.Equal(t, theirs, ours)
}

func tags(t testing.TB, path string) map[string]string {
	t.Helper()
	var doc struct {
		Tags []struct {
			Name   string `xml:"name,attr"`
			Values string `xml:",innerxml"`
		} `xml:"rpmTag"`
	}
	out := rpmtest.Run(t, "rpm", "-qp", "--nosignature", "--xml", path)
	require.NoError(t, xml.Unmarshal([]byte(out), &doc), out)
	all := map[string]string{}
	for _, tag := range doc.Tags {
		all[tag.Name] = tag.Values
	}
	return all
}

// TestLikeRPMBuild compares packages with what rpmbuild makes of their specs,
// and with what it makes of the spec in our source package.
func TestLikeRPMBuild(t *testing.T) {
	for _, s := range append(catalogued(t), example()) {
		t.Run(s.Name, func(t *testing.T) {
			binary, source := build(t, s)

			top := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(top, "SPECS"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(top, "SPECS", s.SpecName), s.SpecText, 0o644))
			rpmbuild(t, top, "-ba", s.SpecName, s.Arch)
			same(t, filepath.Join(top, "RPMS", s.Arch, filepath.Base(binary)), binary)
			same(t, filepath.Join(top, "SRPMS", filepath.Base(source)), source)

			again := t.TempDir()
			rpmtest.Run(t, "rpm", "--define", "_topdir "+again, "--define", "_dbpath "+filepath.Join(again, "db"), "-i", source)
			rpmbuild(t, again, "-bb", s.SpecName, s.Arch)
			// Only with the source package does rpmbuild bake a cookie.
			same(t, filepath.Join(again, "RPMS", s.Arch, filepath.Base(binary)), binary, "Cookie")
		})
	}
}

// TestOrdinary signs packages, verifies them as a client does, and installs from
// a repository of them.
func TestOrdinary(t *testing.T) {
	testenv.Root(t) // rpm --root changes the root
	key, err := sign.Generate(sign.Params{Name: "Test", Email: "test@example.org", Created: time.Unix(1700000000, 0), Bits: 2048})
	require.NoError(t, err)
	dir := t.TempDir()
	public := filepath.Join(dir, "key.asc")
	require.NoError(t, os.WriteFile(public, key.PublicKey(), 0o644))
	root := filepath.Join(dir, "root")
	db := []string{"--define", "_dbpath " + filepath.Join(dir, "db")}
	rpmtest.Run(t, "rpmkeys", append(db, "--import", public)...)

	repository := filepath.Join(dir, "repository")
	require.NoError(t, os.Mkdir(repository, 0o755))
	base := example()
	base.Requires = nil
	top := base
	top.Name, top.Arch, top.Requires = "ohpc-top", "noarch", []string{"ohpc-example = 3.0~rc1", "ohpc-example(x86-64)"}
	for _, s := range []Spec{base, top} {
		binary, source := build(t, s)
		for _, path := range []string{binary, source} {
			signed := filepath.Join(repository, filepath.Base(path))
			require.NoError(t, key.SignPackageFile(t.Context(), path, signed, s.Date))
			said := rpmtest.Run(t, "rpmkeys", append(db, "--define", "_pkgverify_level all", "-K", signed)...)
			require.Contains(t, said, ": digests signatures OK")
			p, err := key.Keyring().VerifyPackageFile(t.Context(), signed)
			require.NoError(t, err)
			require.Equal(t, "2024-10-21 00:00:00", p.BuildTime.Format(time.DateTime))
		}
	}
	rpmtest.Run(t, "createrepo_c", "-q", repository)
	found := rpmtest.Run(t, "dnf", "-q", "--installroot", root, "--disablerepo=*", "--repofrompath=ours,"+repository, "--setopt=cachedir="+filepath.Join(dir, "cache"),
		"--setopt=reposdir=/dev/null", "--forcearch=x86_64", "repoquery", "--requires", "--resolve", "--recursive", "ohpc-top")
	require.Contains(t, found, "ohpc-example-0:3.0~rc1-1.300.ohpc.x86_64")

	binaries := []string{"ohpc-example-3.0~rc1-1.300.ohpc.x86_64.rpm", "ohpc-top-3.0~rc1-1.300.ohpc.noarch.rpm"}
	rpmIn := func(args ...string) string {
		return rpmtest.Run(t, "rpm", append([]string{"--root", root}, args...)...)
	}
	rpmIn("--import", public)
	rpmIn("-i", "--ignorearch", filepath.Join(repository, binaries[0]), filepath.Join(repository, binaries[1]))
	require.Equal(t, "ohpc-top\n", rpmIn("-q", "--whatrequires", "ohpc-example", "--qf", "%{NAME}\n"))
	_, err = rpmtest.Try(t, "rpm", "--root", root, "-e", "ohpc-example")
	require.Error(t, err, "another package requires it")
}

// TestSameEverywhere compares with digests that do not depend on when, where and
// on what architecture the test runs.
func TestSameEverywhere(t *testing.T) {
	s := example()
	first, err := s.files()
	require.NoError(t, err)
	var digests strings.Builder
	for _, f := range first {
		fmt.Fprintf(&digests, "%s  %s\n", store.Of(f.data).Hex(), f.name)
	}
	const golden = "testdata/digests"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(digests.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), digests.String())

	s.Date = s.Date.Add(time.Hour).In(time.FixedZone("elsewhere", -8*3600))
	s.Requires = append([]string{"bash"}, s.Requires...)
	second, err := s.files()
	require.NoError(t, err)
	require.Equal(t, first, second, "the hour, the order and what is said twice make no difference")
}

func TestRefused(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	for want, change := range map[string]func(*Spec){
		"meta-package : ":                   func(s *Spec) { s.Name = "" },
		"\"scotch gnu12\" is not one":       func(s *Spec) { s.Requires = []string{"scotch gnu12"} },
		"is not an expression":              func(s *Spec) { s.Requires = []string{"(a or"} },
		"it has no date":                    func(s *Spec) { s.Date = time.Time{} },
		"in a source package there are":     func(s *Spec) { s.SpecName = "../../etc/x.spec" },
		"its version":                       func(s *Spec) { s.Version = "3.0/../.." },
		"its release":                       func(s *Spec) { s.Release = "1%{?dist}" },
		"its architecture":                  func(s *Spec) { s.Arch = "amd64" },
		"changelog has no author":           func(s *Spec) { s.Author = "" },
		"its summary: it has the control c": func(s *Spec) { s.Summary = "a\nRequires: evil" },
	} {
		s := example()
		change(&s)
		_, err := Build(t.Context(), st, s)
		require.ErrorContains(t, err, want)
	}
}

// TestReadsBack reads what is required as the list has it.
func TestReadsBack(t *testing.T) {
	for _, s := range catalogued(t) {
		binary, source := build(t, s)
		p, err := rpm.ReadFile(binary)
		require.NoError(t, err)
		var requires []string
		for d := range p.Requires() {
			if d.Flags&rpm.RPMLib == 0 {
				requires = append(requires, d.String())
			}
		}
		require.ElementsMatch(t, s.Requires, requires)
		require.Equal(t, filepath.Base(source), p.SourceRPM)
		require.Equal(t, 0, p.FileCount())
		q, err := rpm.ReadFile(source)
		require.NoError(t, err)
		require.True(t, q.Source())
		require.Equal(t, q.SignatureHeader().Binary(rpm.SigMD5), p.Header().Binary(1146))
	}
}

// BenchmarkThousand makes the packages of 1,000 meta-packages, as many as there
// are in a large catalogue for all families, without keeping them.
func BenchmarkThousand(b *testing.B) {
	specs := catalogued(b)
	b.ReportAllocs()
	for b.Loop() {
		for i := range 1000 {
			if _, err := specs[i%len(specs)].files(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "µs/meta-package")
}

// BenchmarkBuild makes and keeps one meta-package that the store has not.
func BenchmarkBuild(b *testing.B) {
	st, err := store.Open(b.TempDir())
	require.NoError(b, err)
	s := catalogued(b)[0]
	for i := 0; b.Loop(); i++ {
		s.Change = fmt.Sprint("- ", i)
		if _, err := Build(b.Context(), st, s); err != nil {
			b.Fatal(err)
		}
	}
}
