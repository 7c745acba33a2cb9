package group_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/group"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/rpmmdtest"
)

var update = flag.Bool("update", false, "write the golden files")

func example() group.Comps {
	return group.Comps{
		Groups: []group.Group{
			{
				ID: "ohpc-gnu14-io-libs", Name: "I/O libraries (gnu14)", Description: "Reading & writing <data>\nin two lines",
				Mandatory: []string{"netcdf-gnu14-ohpc", "hdf5-gnu14-ohpc"}, Optional: []string{"phdf5-gnu14-ohpc"},
			},
			{
				ID: "ohpc-base", Name: "Grundlage – 基", Default: true, Order: 10,
				Mandatory: []string{"ohpc-filesystem"}, Preset: []string{"lmod-ohpc"}, Optional: []string{"prun-ohpc", "cmake-ohpc"},
				Conditional: []group.Conditional{{Name: "slurm-libpmi-ohpc", Requires: "slurm-ohpc"}},
			},
			{ID: "ohpc-internal", Hidden: true},
		},
		Categories:   []group.Category{{ID: "ohpc", Name: "OpenHPC", Groups: []string{"ohpc-gnu14-io-libs", "ohpc-base"}}},
		Environments: []group.Environment{{ID: "ohpc-node", Name: "Compute node", Order: 5, Groups: []string{"ohpc-base"}, Options: []string{"ohpc-gnu14-io-libs"}}},
	}
}

func write(t testing.TB, c group.Comps) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, group.Write(&b, c))
	return b.Bytes()
}

func TestWrite(t *testing.T) {
	got := write(t, example())
	const golden = "testdata/comps.golden.xml"
	if *update {
		require.NoError(t, os.WriteFile(golden, got, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))

	other := example()
	slices.Reverse(other.Groups)
	slices.Reverse(other.Groups[1].Optional)
	slices.Reverse(other.Categories[0].Groups)
	require.Equal(t, string(got), string(write(t, other)), "the order does not matter")

	read, err := group.Read(bytes.NewReader(got))
	require.NoError(t, err)
	require.Equal(t, string(got), string(write(t, read)))
	require.Equal(t, []group.Conditional{{Name: "slurm-libpmi-ohpc", Requires: "slurm-ohpc"}}, read.Groups[0].Conditional)
	require.Equal(t, "Reading & writing <data>\nin two lines", read.Groups[1].Description)
	require.True(t, read.Groups[2].Hidden)
	require.NotContains(t, string(write(t, group.Comps{})), "<group")
}

func TestWriteRefuses(t *testing.T) {
	one := func(change func(*group.Comps)) group.Comps {
		c := example()
		change(&c)
		return c
	}
	for want, c := range map[string]group.Comps{
		`"a b" is no ID of a group`:             one(func(c *group.Comps) { c.Groups[0].ID = "a b" }),
		`"" is no ID of a category`:             one(func(c *group.Comps) { c.Categories[0].ID = "" }),
		`two groups "ohpc-base"`:                one(func(c *group.Comps) { c.Groups[2].ID = "ohpc-base" }),
		`two categories "ohpc"`:                 one(func(c *group.Comps) { c.Categories = append(c.Categories, c.Categories[0]) }),
		`environment "ohpc-base" has the ID of`: one(func(c *group.Comps) { c.Environments[0].ID = "ohpc-base" }),
		`has group "gone", which does not`:      one(func(c *group.Comps) { c.Environments[0].Options = []string{"gone"} }),
		`"a,b" is no name of a package`:         one(func(c *group.Comps) { c.Groups[0].Optional = []string{"a,b"} }),
		`that is no name of a package`:          one(func(c *group.Comps) { c.Groups[1].Conditional[0].Requires = "" }),
		`has package "lmod-ohpc" in two ways`:   one(func(c *group.Comps) { c.Groups[1].Optional = []string{"lmod-ohpc"} }),
		`a character that metadata cannot hold`: one(func(c *group.Comps) { c.Groups[0].Name = "a\x01" }),
	} {
		var b bytes.Buffer
		require.ErrorContains(t, group.Write(&b, c), want)
		require.Zero(t, b.Len())
	}
}

// TestRead reads what others write: translations, spaces, unknown elements.
func TestRead(t *testing.T) {
	const doc = `<?xml version="1.0"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps>
  <group variant="x"><_name/>
    <id> core </id><name xml:lang="de">Kern</name><name>Core</name><description/><default>true</default><uservisible>maybe</uservisible>
    <langonly>de</langonly><display_order> 7 </display_order>
    <packagelist><packagereq> bash </packagereq><packagereq type="strange">x</packagereq><packagereq basearchonly="true" type="default">glibc</packagereq></packagelist>
  </group>
  <langpacks><match install="a-%s" name="a"/></langpacks>
</comps>`
	c, err := group.Read(strings.NewReader(doc))
	require.NoError(t, err)
	require.Equal(t, []group.Group{{ID: "core", Name: "Core", Order: 7, Default: true, Mandatory: []string{"bash"}, Preset: []string{"glibc"}}}, c.Groups)
	for want, doc := range map[string]string{
		"unexpected EOF":                "",
		"XML syntax error":              "<comps><group></comps>",
		"expected element type <comps>": "<html/>",
		"invalid character entity":      `<!DOCTYPE comps [<!ENTITY a "b">]><comps><group><id>&a;</id></group></comps>`,
	} {
		_, err := group.Read(strings.NewReader(doc))
		require.ErrorContains(t, err, want)
	}
	_, err = group.Read(io.MultiReader(strings.NewReader("<comps>"), endless{}))
	require.ErrorContains(t, err, "more than 67108864 bytes")
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// TestClients installs groups with dnf, and lets zypper, which has none, use the
// repository as if they were not there.
func TestClients(t *testing.T) {
	comps := example()
	comps.Groups[1].Mandatory = append(comps.Groups[1].Mandatory, "only-on-other-architectures")
	var packages []rpmtest.Craft
	for _, name := range []string{"ohpc-filesystem", "lmod-ohpc", "prun-ohpc", "cmake-ohpc", "hdf5-gnu14-ohpc", "netcdf-gnu14-ohpc", "phdf5-gnu14-ohpc"} {
		packages = append(packages, installable(t, name))
	}
	for _, compression := range []rpmmd.Compression{rpmmd.Gzip, rpmmd.Zstd} {
		dir := rpmmdtest.Repository(t, rpmmd.Options{
			Compression: compression,
			Documents:   []rpmmd.Document{{Kind: rpmmd.KindGroup, Name: "comps.xml", Content: write(t, comps)}},
		}, packages...)
		root := rpmmdtest.NewRoot(t, dir)
		out, err := root.Dnf("group", "list", "--ids")
		require.NoError(t, err, out)
		for _, want := range []string{"I/O libraries (gnu14) (ohpc-gnu14-io-libs)", "Grundlage – 基 (ohpc-base)", "Compute node (ohpc-node)"} {
			require.Contains(t, out, want)
		}
		require.NotContains(t, out, "ohpc-internal")
		out, err = root.Dnf("group", "install", "ohpc-base")
		require.NoError(t, err, out)
		require.ElementsMatch(t, []string{"ohpc-filesystem", "lmod-ohpc"}, strings.Fields(root.Query("%{NAME}\n")))
		out, err = root.Dnf("group", "install", "--with-optional", "ohpc-gnu14-io-libs")
		require.NoError(t, err, out)
		require.ElementsMatch(t, []string{"ohpc-filesystem", "lmod-ohpc", "hdf5-gnu14-ohpc", "netcdf-gnu14-ohpc", "phdf5-gnu14-ohpc"}, strings.Fields(root.Query("%{NAME}\n")))
		if compression == rpmmd.Zstd {
			continue
		}
		out, err = rpmmdtest.NewRoot(t, dir).Dnf("group", "info", "ohpc-node")
		require.NoError(t, err, out)
		require.Regexp(t, `(?s)Environment Group: Compute node.*Mandatory Groups:\s+Grundlage – 基.*Optional Groups:\s+I/O libraries \(gnu14\)`, out)
		root = rpmmdtest.NewRoot(t, dir)
		out, err = root.Zypper("install", "ohpc-filesystem")
		require.NoError(t, err, out)
		require.Equal(t, "ohpc-filesystem\n", root.Query("%{NAME}\n"))
	}
}

// installable is a package that dnf and zypper can download and install.
func installable(t testing.TB, name string) rpmtest.Craft {
	t.Helper()
	return rpmtest.Format6(t, name, "/usr/share/"+name, name+"\n")
}

func FuzzRead(f *testing.F) {
	f.Add(write(f, example()))
	f.Add([]byte(`<comps><group><id>a</id><packagelist><packagereq>b</packagereq></packagelist></group></comps>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := group.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		if group.Write(&first, c) != nil {
			return // names that we would not write
		}
		again, err := group.Read(bytes.NewReader(first.Bytes()))
		require.NoError(t, err)
		require.NoError(t, group.Write(&second, again))
		require.Equal(t, first.String(), second.String())
	})
}
