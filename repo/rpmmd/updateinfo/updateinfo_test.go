package updateinfo_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/rpmmdtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/updateinfo"
)

var (
	update = flag.Bool("update", false, "write the golden files")
	issuer = updateinfo.Issuer{Prefix: "OHPC", From: "OpenHPC", Product: "OpenHPC 3 for EL_9"}
)

// change is a changelog entry of a day.
func change(day int64, text string) rpm.Change {
	return rpm.Change{Time: day*86400 + 43200, Author: "Jane <jane@example.org>", Text: text}
}

// pkg is a package as it comes out of name-version-release of its source.
func pkg(name, evr, arch, source string, changes ...rpm.Change) updateinfo.Package {
	e := rpm.ParseEVR(evr)
	return updateinfo.Package{
		Name: name, EVR: e, Arch: arch, SourceRPM: source + "-" + e.Version + "-" + e.Release + ".src.rpm",
		FileName: name + "-" + e.Version + "-" + e.Release + "." + arch + ".rpm", Summary: "Summary of " + name,
		Checksum: rpmmd.Checksum{Type: "sha256", Value: strings.Repeat("ab", 32)}, BuildTime: time.Unix(1700000000, 0), Changes: changes,
	}
}

var (
	first  = change(19000, "- first")
	second = change(19001, "- second")
)

// TestBetween has one kind of change in each case.
func TestBetween(t *testing.T) {
	old := []updateinfo.Package{pkg("hwloc", "2.9-1", "x86_64", "hwloc", first), pkg("hwloc", "2.8-9", "x86_64", "hwloc")}
	type want struct {
		kind            updateinfo.Kind
		severity, title string
		cves            []string
	}
	for name, test := range map[string]struct {
		fresh []updateinfo.Package
		want  *want // nil: nothing to say
	}{
		"nothing":           {old, nil},
		"gone":              {nil, nil},
		"older":             {[]updateinfo.Package{pkg("hwloc", "2.8-9", "x86_64", "hwloc", first)}, nil},
		"other bytes":       {[]updateinfo.Package{func() updateinfo.Package { p := old[0]; p.Checksum.Value = "x"; return p }()}, nil},
		"source package":    {[]updateinfo.Package{pkg("hwloc", "3-1", "src", "hwloc", second, first)}, nil},
		"new version":       {[]updateinfo.Package{pkg("hwloc", "2.10-1", "x86_64", "hwloc", second, first)}, &want{updateinfo.Enhancement, "", "Update of hwloc to 2.10", nil}},
		"new release":       {[]updateinfo.Package{pkg("hwloc", "2.9-2", "x86_64", "hwloc", second, first)}, &want{updateinfo.Bugfix, "", "Bug fix update for hwloc", nil}},
		"new epoch":         {[]updateinfo.Package{pkg("hwloc", "1:2.8-1", "x86_64", "hwloc", first)}, &want{updateinfo.Enhancement, "", "Update of hwloc to 2.8", nil}},
		"only fixes":        {[]updateinfo.Package{pkg("hwloc", "2.10-1", "x86_64", "hwloc", change(19002, "- Fixes a crash\n- fixed #12"), first)}, &want{updateinfo.Bugfix, "", "Bug fix update for hwloc", nil}},
		"fixes and more":    {[]updateinfo.Package{pkg("hwloc", "2.10-1", "x86_64", "hwloc", change(19002, "- Fixes a crash\n- prefix option"), first)}, &want{updateinfo.Enhancement, "", "Update of hwloc to 2.10", nil}},
		"new subpackage":    {append(slices.Clone(old), pkg("hwloc-devel", "2.9-1", "x86_64", "hwloc", first)), &want{updateinfo.Bugfix, "", "Bug fix update for hwloc", nil}},
		"new architecture":  {append(slices.Clone(old), pkg("hwloc", "2.9-1", "aarch64", "hwloc", first)), &want{updateinfo.Bugfix, "", "Bug fix update for hwloc", nil}},
		"new":               {append(slices.Clone(old), pkg("papi", "7-1", "x86_64", "papi", change(19002, "- CVE-2024-0001"))), &want{updateinfo.NewPackage, "", "New package: papi 7", nil}},
		"security":          {[]updateinfo.Package{pkg("hwloc", "2.9-2", "x86_64", "hwloc", change(19002, "- fixes cve-2024-12345, CVE-2023-0001 (low), CVE-2024-12345"), first)}, &want{updateinfo.Security, "Low", "Security update for hwloc", []string{"CVE-2023-0001", "CVE-2024-12345"}}},
		"severity":          {[]updateinfo.Package{pkg("hwloc", "3-1", "x86_64", "hwloc", change(19003, "- Severity: important"), change(19002, "- CVE-2024-1111 [Moderate]"), first)}, &want{updateinfo.Security, "Important", "Security update for hwloc", []string{"CVE-2024-1111"}}},
		"severity not said": {[]updateinfo.Package{pkg("hwloc", "3-1", "x86_64", "hwloc", change(19002, "- CVE-2024-1111 is critical to nobody, CVE-2024-12"), first)}, &want{updateinfo.Security, "", "Security update for hwloc", []string{"CVE-2024-1111"}}},
		"old CVE":           {[]updateinfo.Package{pkg("hwloc", "3-1", "x86_64", "hwloc", second, first, change(18000, "- CVE-2020-1111"))}, &want{updateinfo.Enhancement, "", "Update of hwloc to 3", nil}},
	} {
		t.Run(name, func(t *testing.T) {
			got := updateinfo.Between(old, test.fresh, issuer)
			if test.want == nil {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			var cves []string
			for _, r := range got[0].References {
				require.Equal(t, "cve", r.Kind)
				cves = append(cves, r.ID)
			}
			require.Equal(t, *test.want, want{got[0].Kind, got[0].Severity, got[0].Title, cves})
			require.NotContains(t, got[0].Description, "- first")
			require.NotEmpty(t, got[0].Description)
		})
	}
	sameDay := change(19000, "- also on that day")
	got := updateinfo.Between(old, []updateinfo.Package{pkg("hwloc", "2.9-2", "x86_64", "hwloc", sameDay, first)}, issuer)
	require.Equal(t, "* Sat Jan 08 2022 Jane <jane@example.org>\n- also on that day", got[0].Description)
}

func many() (old, fresh []updateinfo.Package) {
	old = []updateinfo.Package{
		pkg("slurm-ohpc", "23.02-1", "x86_64", "slurm-ohpc", first), pkg("slurm-ohpc", "23.02-1", "aarch64", "slurm-ohpc", first),
		pkg("libslurm", "23.02-1", "x86_64", "slurm-ohpc", first), pkg("lmod-ohpc", "8.7-1", "noarch", "lmod-ohpc", first),
	}
	fresh = []updateinfo.Package{
		pkg("slurm-ohpc", "23.11~rc1-1", "x86_64", "slurm-ohpc", change(19010, "- Fix CVE-2024-48936 (Important)\n- <new> features & \"more\""), first),
		pkg("slurm-ohpc", "23.11~rc1-1", "aarch64", "slurm-ohpc", change(19010, "- Fix CVE-2024-48936 (Important)\n- <new> features & \"more\""), first),
		pkg("libslurm", "1:23.11~rc1-1", "x86_64", "slurm-ohpc", change(19010, "- Fix CVE-2024-48936 (Important)\n- <new> features & \"more\""), first),
		pkg("lmod-ohpc", "8.7-2", "noarch", "lmod-ohpc", second, first),
		pkg("new-ohpc", "1-1", "noarch", "new-ohpc", second),
	}
	return old, fresh
}

func TestWrite(t *testing.T) {
	old, fresh := many()
	advisories := updateinfo.Between(old, fresh, issuer)
	var b bytes.Buffer
	require.NoError(t, updateinfo.Write(&b, advisories))
	const golden = "testdata/updateinfo.golden.xml"
	if *update {
		require.NoError(t, os.WriteFile(golden, b.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())

	slices.Reverse(old)
	slices.Reverse(fresh)
	require.Equal(t, advisories, updateinfo.Between(old, fresh, issuer), "the order does not matter")

	read, err := updateinfo.Read(bytes.NewReader(want))
	require.NoError(t, err)
	require.Equal(t, advisories, read)

	require.ErrorContains(t, updateinfo.Write(io.Discard, append(advisories, advisories[0])), "is not one advisory's alone")
	var none bytes.Buffer
	require.NoError(t, updateinfo.Write(&none, nil))
	read, err = updateinfo.Read(&none)
	require.NoError(t, err)
	require.Empty(t, read)
}

func TestIDs(t *testing.T) {
	old, fresh := many()
	one := updateinfo.Between(old, fresh, issuer)
	fresh = append(fresh, pkg("lmod-extras", "8.7-2", "noarch", "lmod-ohpc", second, first))
	two := updateinfo.Between(old, fresh, issuer)
	require.NotEqual(t, one[0].ID, two[0].ID, "it brings something else")
	require.Equal(t, one[1:], two[1:])
	require.Equal(t, "x-y_z-1-1-", updateinfo.Between(nil, []updateinfo.Package{{Name: "y:z", EVR: rpm.ParseEVR("1-1"), Arch: "noarch"}}, updateinfo.Issuer{Prefix: "x"})[0].ID[:10])
}

func TestMerge(t *testing.T) {
	at := func(id string, sec int64, title string) updateinfo.Advisory {
		return updateinfo.Advisory{ID: id, Issued: time.Unix(sec, 0).UTC(), Title: title}
	}
	got := updateinfo.Merge([]updateinfo.Advisory{at("b", 2, "old"), at("a", 2, "")}, []updateinfo.Advisory{at("c", 1, ""), at("b", 2, "new")})
	require.Equal(t, []updateinfo.Advisory{at("c", 1, ""), at("a", 2, ""), at("b", 2, "new")}, got)
}

func TestLongChanges(t *testing.T) {
	var changes []rpm.Change
	for i := range int64(2000) {
		changes = append(changes, change(19100-i%50, "- ünderstood \x00\x01\xff"+strings.Repeat("x", int(i%40))))
	}
	for i := range 1500 {
		changes = append(changes, change(19001, fmt.Sprintf("CVE-2024-%d", 10000+i)))
	}
	old, fresh := pkg("a", "1-1", "noarch", "a", first), pkg("a", "2-1", "noarch", "a", changes...)
	advisory := updateinfo.Between([]updateinfo.Package{old}, []updateinfo.Package{fresh}, issuer)[0]
	require.Len(t, advisory.References, 1000)
	got := advisory.Description
	require.Less(t, len(got), 17<<10)
	require.True(t, strings.HasSuffix(got, "\n…"))
	require.NotContains(t, got, "\x01")
}

// TestRead reads what others write.
func TestRead(t *testing.T) {
	const doc = `<?xml version="1.0"?>
<updates><other><a/></other><update from="x@example.org" status="stable" type="security" version="3">
 <id> FEDORA-1 </id><title>t</title><severity>Low</severity><issued date="1700000000"/><updated date="2024-02-03"/><rights>r</rights><summary>s</summary>
 <references><reference href="h" id="1" type="bugzilla" title="b"/></references>
 <pkglist><collection short="F"><name>F</name><module name="m"/><package name="a" version="1" release="2" arch="noarch"><filename>a.rpm</filename>
 <sum type="sha256"> ab </sum><reboot_suggested/></package></collection><collection><package name="b" epoch="1" version="1" release="2" arch="x86_64"/></collection></pkglist>
</update></updates>`
	got, err := updateinfo.Read(strings.NewReader(doc))
	require.NoError(t, err)
	require.Equal(t, []updateinfo.Advisory{{
		ID: "FEDORA-1", Kind: updateinfo.Security, Severity: "Low", Title: "t", From: "x@example.org", Status: "stable", Version: "3", Rights: "r",
		Issued: time.Unix(1700000000, 0).UTC(), Updated: time.Date(2024, 2, 3, 0, 0, 0, 0, time.UTC),
		References: []updateinfo.Reference{{Kind: "bugzilla", ID: "1", Title: "b", URL: "h"}},
		Packages: []updateinfo.Update{
			{Name: "a", Epoch: "0", Version: "1", Release: "2", Arch: "noarch", FileName: "a.rpm", Checksum: rpmmd.Checksum{Type: "sha256", Value: "ab"}},
			{Name: "b", Epoch: "1", Version: "1", Release: "2", Arch: "x86_64"},
		},
	}}, got)
	for want, doc := range map[string]string{
		"begins with <html>": "<html/>",
		"syntax error":       "<updates><update></updates>",
		"unexpected EOF":     "<updates><update>",
	} {
		_, err := updateinfo.Read(strings.NewReader(doc))
		require.ErrorContains(t, err, want)
	}
	_, err = updateinfo.Read(io.MultiReader(strings.NewReader("<updates><update><id>"), io.LimitReader(letters{}, 20<<20)))
	require.ErrorContains(t, err, "one has more than")
}

type letters struct{}

func (letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

// TestClients has dnf and zypper tell what the updates of an installed package
// are for, and install no more than the security update.
func TestClients(t *testing.T) {
	craft := func(name, version string, changes ...rpm.Change) rpmtest.Craft {
		var times []uint32
		var authors, texts []string
		for _, c := range changes {
			times, authors, texts = append(times, uint32(c.Time)), append(authors, c.Author), append(texts, c.Text)
		}
		c := rpmtest.Format6(t, name, "/usr/share/"+name, version, rpmtest.Text(1001, version), rpmtest.Texts(1113, version+"-1"),
			rpmtest.Text(1044, name+"-"+version+"-1.src.rpm"))
		return c.With(rpmtest.Int32s(1080, times...), rpmtest.Texts(1081, authors...), rpmtest.Texts(1082, texts...))
	}
	old := []rpmtest.Craft{craft("holes", "1", first), craft("toys", "1", first)}
	fresh := []rpmtest.Craft{
		craft("holes", "2", change(19005, "- Closes CVE-2024-99999 (Critical)"), first), craft("toys", "2", second, first), craft("brandnew", "1", first),
	}
	packages := func(crafts []rpmtest.Craft) (list []updateinfo.Package) {
		for _, c := range crafts {
			b := c.Bytes()
			p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
			require.NoError(t, err)
			list = append(list, updateinfo.FromPackage(p, rpmmd.Checksum{}))
		}
		return list
	}
	advisories := updateinfo.Between(packages(old), packages(fresh), issuer)
	require.Len(t, advisories, 3)
	var doc bytes.Buffer
	require.NoError(t, updateinfo.Write(&doc, advisories))
	dir := rpmmdtest.Repository(t, rpmmd.Options{
		Documents: []rpmmd.Document{{Kind: rpmmd.KindUpdateinfo, Name: "updateinfo.xml", Content: doc.Bytes()}},
	}, append(slices.Clone(old), fresh...)...)
	security := advisories[slices.IndexFunc(advisories, func(a updateinfo.Advisory) bool { return a.Kind == updateinfo.Security })]

	t.Run("dnf", func(t *testing.T) {
		root := rpmmdtest.NewRoot(t, dir)
		root.Install(old...)
		out, err := root.Dnf("updateinfo", "list", "--all")
		require.NoError(t, err, out)
		require.Contains(t, out, security.ID+" Critical/Sec. holes-2-1.noarch")
		require.Regexp(t, `OHPC-toys-2-1-[0-9a-f]{8} +enhancement +toys-2-1.noarch`, out)
		out, err = root.Dnf("updateinfo", "info", "--security")
		require.NoError(t, err, out)
		for _, want := range []string{"Security update for holes", "Update ID: " + security.ID, "Type: security", "Updated: 2023-11-14 22:13:20", "CVEs: CVE-2024-99999", "- Closes CVE-2024-99999 (Critical)", "Severity: Critical"} {
			require.Contains(t, out, want)
		}
		require.NotContains(t, out, "toys")
		out, err = root.Dnf("upgrade", "--security")
		require.NoError(t, err, out)
		require.Contains(t, out, "holes")
		require.ElementsMatch(t, []string{"holes-2", "toys-1"}, versions(t, root))
	})
	t.Run("zypper", func(t *testing.T) {
		root := rpmmdtest.NewRoot(t, dir)
		root.Install(old...)
		out, err := root.Zypper("list-patches", "--all")
		require.NoError(t, err, out)
		require.Regexp(t, security.ID+` +\| security +\| critical +\| --- +\| needed`, out)
		require.Regexp(t, `OHPC-toys-2-1-[0-9a-f]{8} +\| (recommended|optional|feature|enhancement) `, out)
		require.Regexp(t, `OHPC-brandnew-1-1-[0-9a-f]{8} `, out)
		out, err = root.Zypper("list-patches", "--cve=CVE-2024-99999")
		require.NoError(t, err, out)
		require.Contains(t, out, security.ID)
		out, err = root.Zypper("patch", "--category", "security")
		require.NoError(t, err, out)
		require.ElementsMatch(t, []string{"holes-2", "toys-1"}, versions(t, root))
	})
}

func versions(t testing.TB, root rpmmdtest.Root) []string {
	t.Helper()
	return strings.Fields(root.Query("%{NAME}-%{VERSION}\n"))
}

func FuzzRead(f *testing.F) {
	old, fresh := many()
	var b bytes.Buffer
	require.NoError(f, updateinfo.Write(&b, updateinfo.Between(old, fresh, issuer)))
	f.Add(b.Bytes())
	f.Add([]byte(`<updates><update><id>a</id><issued date="5"/></update></updates>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := updateinfo.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		all = updateinfo.Merge(nil, all)
		var out bytes.Buffer
		if updateinfo.Write(&out, all) != nil {
			return // an ID that is empty
		}
		again, err := updateinfo.Read(&out)
		require.NoError(t, err)
		require.Len(t, again, len(all))
	})
}
