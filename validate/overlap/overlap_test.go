package overlap

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// entry is a file of a crafted package.
type entry struct {
	path, link, user, digest string
	mode                     uint16
	size, flags, colour      uint32
	device                   uint16
}

func regular(path, content string) entry {
	return entry{path: path, mode: 0o100644, size: uint32(len(content)), digest: fmt.Sprintf("%064x", content)}
}

func folder(path string, mode uint16) entry {
	return entry{path: path, mode: 0o040000 | mode, size: 4096}
}

func link(path, to string) entry {
	return entry{path: path, mode: 0o120777, link: to, size: uint32(len(to))}
}

func (e entry) with(change func(*entry)) entry {
	change(&e)
	return e
}

// craft makes a package of files and further header entries.
func craft(name string, files []entry, more ...rpmtest.Entry) rpmtest.Craft {
	var bases, dirs, digests, links, users, groups, langs []string
	var sizes, times, flags, indexes, colours, inodes, devices []uint32
	var modes, numbers []uint16
	for i, f := range files {
		dir, base := filepath.Split(f.path)
		user := f.user
		if user == "" {
			user = "root"
		}
		bases, dirs, indexes = append(bases, base), append(dirs, dir), append(indexes, uint32(i))
		digests, links, users, groups, langs = append(digests, f.digest), append(links, f.link), append(users, user), append(groups, "root"), append(langs, "")
		sizes, times, flags, colours = append(sizes, f.size), append(times, 1700000000), append(flags, f.flags), append(colours, f.colour)
		modes, numbers, inodes, devices = append(modes, f.mode), append(numbers, f.device), append(inodes, uint32(i+1)), append(devices, 1)
	}
	all := more
	if len(files) > 0 {
		all = append(all, rpmtest.Int32s(1028, sizes...), rpmtest.Int16s(1030, modes...), rpmtest.Int16s(1033, numbers...),
			rpmtest.Int32s(1034, times...), rpmtest.Texts(1035, digests...), rpmtest.Texts(1036, links...), rpmtest.Int32s(1037, flags...),
			rpmtest.Texts(1039, users...), rpmtest.Texts(1040, groups...), rpmtest.Int32s(1095, devices...), rpmtest.Int32s(1096, inodes...),
			rpmtest.Texts(1097, langs...), rpmtest.Int32s(1116, indexes...), rpmtest.Texts(1117, bases...), rpmtest.Texts(1118, dirs...),
			rpmtest.Int32s(1140, colours...), rpmtest.Int32s(5011, 8))
	}
	return rpmtest.Simple(name, "1", "1", "noarch", all...)
}

func requires(names ...string) []rpmtest.Entry {
	return []rpmtest.Entry{rpmtest.Texts(1049, names...), rpmtest.Int32s(1048, make([]uint32, len(names))...), rpmtest.Texts(1050, make([]string, len(names))...)}
}

func conflicts(names ...string) []rpmtest.Entry {
	return []rpmtest.Entry{rpmtest.Texts(1054, names...), rpmtest.Int32s(1053, make([]uint32, len(names))...), rpmtest.Texts(1055, make([]string, len(names))...)}
}

func provides(names ...string) []rpmtest.Entry {
	return []rpmtest.Entry{rpmtest.Texts(1047, names...), rpmtest.Int32s(1112, make([]uint32, len(names))...), rpmtest.Texts(1113, make([]string, len(names))...)}
}

func read(t testing.TB, crafted ...rpmtest.Craft) []*rpm.Package {
	t.Helper()
	var all []*rpm.Package
	for _, c := range crafted {
		b := c.Bytes()
		p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		all = append(all, p)
	}
	return all
}

// TestAsRPM asks rpm itself about each pair.
func TestAsRPM(t *testing.T) {
	rpmtest.Tool(t, "rpm")
	same := regular("/opt/x/same", "one")
	pairs := map[string]struct {
		a, b   []entry
		differ bool
	}{
		"other paths":          {[]entry{regular("/a", "1")}, []entry{regular("/b", "2")}, false},
		"same file":            {[]entry{same}, []entry{same}, false},
		"other content":        {[]entry{regular("/a", "1")}, []entry{regular("/a", "2")}, true},
		"other size":           {[]entry{regular("/a", "1")}, []entry{regular("/a", "22")}, true},
		"other mode":           {[]entry{same}, []entry{same.with(func(e *entry) { e.mode = 0o100755 })}, true},
		"other owner":          {[]entry{same}, []entry{same.with(func(e *entry) { e.user = "bin" })}, true},
		"a ghost":              {[]entry{regular("/a", "1")}, []entry{regular("/a", "2").with(func(e *entry) { e.flags = 1 << 6 })}, false},
		"two ghosts":           {[]entry{same.with(func(e *entry) { e.flags = 1 << 6 })}, []entry{regular("/opt/x/same", "2").with(func(e *entry) { e.flags = 1 << 6 })}, false},
		"configuration":        {[]entry{regular("/a", "1").with(func(e *entry) { e.flags = 1 })}, []entry{regular("/a", "2").with(func(e *entry) { e.flags = 1 | 1<<4 })}, true},
		"documents":            {[]entry{regular("/a", "1").with(func(e *entry) { e.flags = 2 })}, []entry{regular("/a", "2").with(func(e *entry) { e.flags = 2 })}, true},
		"same folder":          {[]entry{folder("/opt/x", 0o755)}, []entry{folder("/opt/x", 0o755)}, false},
		"folder's size":        {[]entry{folder("/opt/x", 0o755)}, []entry{folder("/opt/x", 0o755).with(func(e *entry) { e.size = 10 })}, false},
		"folder's mode":        {[]entry{folder("/opt/x", 0o755)}, []entry{folder("/opt/x", 0o750)}, true},
		"folder's owner":       {[]entry{folder("/opt/x", 0o755)}, []entry{folder("/opt/x", 0o755).with(func(e *entry) { e.user = "bin" })}, true},
		"folder and file":      {[]entry{folder("/opt/x", 0o755)}, []entry{regular("/opt/x", "1")}, true},
		"same link":            {[]entry{link("/a", "b")}, []entry{link("/a", "b")}, false},
		"other link":           {[]entry{link("/a", "b")}, []entry{link("/a", "c")}, true},
		"link and file":        {[]entry{link("/a", "b")}, []entry{regular("/a", "b")}, true},
		"same device":          {[]entry{{path: "/d", mode: 0o020600, device: 5}}, []entry{{path: "/d", mode: 0o020600, device: 5}}, false},
		"other device":         {[]entry{{path: "/d", mode: 0o020600, device: 5}}, []entry{{path: "/d", mode: 0o020600, device: 6}}, true},
		"one colour":           {[]entry{regular("/a", "1").with(func(e *entry) { e.colour = 2 })}, []entry{regular("/a", "2").with(func(e *entry) { e.colour = 2 })}, true},
		"two colours":          {[]entry{regular("/a", "1").with(func(e *entry) { e.colour = 1 })}, []entry{regular("/a", "2").with(func(e *entry) { e.colour = 2 })}, false},
		"colour and none":      {[]entry{regular("/a", "1").with(func(e *entry) { e.colour = 2 })}, []entry{regular("/a", "2")}, true},
		"over a link":          {[]entry{link("/lib", "usr/lib"), regular("/lib/a", "1")}, []entry{regular("/usr/lib/a", "2")}, true},
		"over a link, same":    {[]entry{link("/lib", "usr/lib"), regular("/lib/a", "1")}, []entry{regular("/usr/lib/a", "1")}, false},
		"over a whole link":    {[]entry{link("/x/lib", "/usr/lib")}, []entry{regular("/x/lib/a", "1"), regular("/usr/lib/b", "2")}, false},
		"one of many":          {[]entry{same, regular("/a", "1"), folder("/opt/x", 0o755)}, []entry{folder("/opt/x", 0o755), same, regular("/a", "2")}, true},
		"packages of no files": {nil, nil, false},
	}
	root := t.TempDir()
	// A transaction colour needs a machine with two: the one of x86_64.
	ask := func(t *testing.T, paths ...string) bool {
		args := []string{"--root", root, "--dbpath", "/db", "--define", "_transaction_color 3", "--define", "_prefer_color 2", "--install", "--test", "--nosignature"}
		out, err := rpmtest.Try(t, "rpm", append(args, paths...)...)
		if err != nil {
			require.Contains(t, out, "conflicts between attempted installs", "rpm minds something else")
		}
		return err != nil
	}
	for name, tc := range pairs {
		t.Run(name, func(t *testing.T) {
			a, b := craft("a", tc.a), craft("b", tc.b)
			require.Equal(t, tc.differ, ask(t, a.Write(t, "a.rpm"), b.Write(t, "b.rpm")), "the table tells what rpm says")
			found, err := Find(t.Context(), read(t, a, b), Options{Colour: 3})
			require.NoError(t, err)
			require.Equal(t, tc.differ, len(found) > 0, "%v", found)
			for _, f := range found {
				require.Equal(t, "a-1-1.noarch", f.Package)
				require.Equal(t, "b-1-1.noarch", f.Other)
				require.NotEmpty(t, f.Difference)
			}
		})
	}
}

// TestTogether asks rpm whether two packages with conflicting files, and what they
// require, can be installed together at all.
func TestTogether(t *testing.T) {
	rpmtest.Tool(t, "rpm")
	a, b := []entry{regular("/f", "1")}, []entry{regular("/f", "2")}
	entries := func(lists ...[]rpmtest.Entry) (all []rpmtest.Entry) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for name, tc := range map[string]struct {
		packages []rpmtest.Craft
		can      bool
	}{
		"nothing says no": {[]rpmtest.Craft{craft("a", a), craft("b", b)}, true},
		"conflict":        {[]rpmtest.Craft{craft("a", a, conflicts("b")...), craft("b", b)}, false},
		"the other's":     {[]rpmtest.Craft{craft("a", a), craft("b", b, conflicts("a")...)}, false},
		"of a family": {[]rpmtest.Craft{
			craft("a", a, entries(provides("a", "ohpc-mpi"), conflicts("ohpc-mpi"))...),
			craft("b", b, entries(provides("b", "ohpc-mpi"), conflicts("ohpc-mpi"))...),
		}, false},
		"of another": {[]rpmtest.Craft{craft("a", a, conflicts("c")...), craft("b", b)}, true},
		"obsolete":   {[]rpmtest.Craft{craft("a", a, rpmtest.Texts(1090, "b"), rpmtest.Int32s(1114, 2), rpmtest.Texts(1115, "2")), craft("b", b)}, false},
		"obsolete in an older version": {[]rpmtest.Craft{
			craft("a", a, rpmtest.Texts(1090, "b"), rpmtest.Int32s(1114, 2), rpmtest.Texts(1115, "1")), craft("b", b),
		}, true},
		"what they require conflicts": {[]rpmtest.Craft{
			craft("a", a, requires("x")...), craft("b", b, requires("y")...),
			craft("x", nil, conflicts("y")...), craft("y", nil),
		}, false},
		"far away": {[]rpmtest.Craft{
			craft("a", a, requires("x")...), craft("b", b, requires("y")...), craft("x", nil, requires("z")...),
			craft("y", nil, requires("w")...), craft("z", nil, conflicts("w")...), craft("w", nil),
		}, false},
		"one requires what the other conflicts with": {[]rpmtest.Craft{
			craft("a", a, requires("x")...), craft("b", b, conflicts("x")...), craft("x", nil),
		}, false},
		"a choice": {[]rpmtest.Craft{
			craft("a", a, requires("mpi")...), craft("b", b, conflicts("x")...), craft("x", nil, provides("x", "mpi")...), craft("y", nil, provides("y", "mpi")...),
		}, true},
		"a choice of which none is left": {[]rpmtest.Craft{
			craft("a", a, requires("mpi")...), craft("b", b, conflicts("x", "y")...), craft("x", nil, provides("x", "mpi")...), craft("y", nil, provides("y", "mpi")...),
		}, false},
		"a choice that another has made": {[]rpmtest.Craft{
			craft("a", a, requires("mpi", "x")...), craft("b", b, requires("y")...), craft("x", nil, entries(provides("x", "mpi"), conflicts("y"))...), craft("y", nil, provides("y", "mpi")...),
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			packages := read(t, tc.packages...)
			found, err := Find(t.Context(), packages, Options{})
			require.NoError(t, err)
			require.Equal(t, tc.can, len(found) == 1, "%v", found)
			require.Equal(t, tc.can, satisfiable(t, tc.packages), "rpm finds a set of packages with both")
		})
	}
}

// satisfiable says whether rpm would install some set of the packages that has the
// first two, if it were not for their files.
func satisfiable(t *testing.T, packages []rpmtest.Craft) bool {
	root := t.TempDir()
	var paths []string
	for i, c := range packages {
		paths = append(paths, c.Write(t, fmt.Sprintf("%d.rpm", i)))
	}
	for others := range 1 << (len(paths) - 2) {
		set := paths[:2:2]
		for i, p := range paths[2:] {
			if others&(1<<i) != 0 {
				set = append(set, p)
			}
		}
		args := []string{"--root", root, "--dbpath", "/db", "--upgrade", "--test", "--nosignature", "--replacefiles", "-v"}
		out, err := rpmtest.Try(t, "rpm", append(args, set...)...)
		// rpm leaves out of a transaction what another of its packages obsoletes.
		if err == nil && !strings.Contains(out, "obsolete") && !obsoletes(t, set) {
			return true
		}
	}
	return false
}

// obsoletes says whether one of the packages obsoletes another, by rpm's own word: a
// system that has the one would lose it when the other comes.
func obsoletes(t *testing.T, paths []string) bool {
	for _, a := range paths[:2] {
		out := rpmtest.Run(t, "rpm", "-qp", "--nosignature", "--obsoletes", a)
		for line := range strings.Lines(out) {
			if strings.TrimSpace(line) == "b < 2" { // b is in version 1-1
				return true
			}
		}
	}
	return false
}

func TestSystemSatisfies(t *testing.T) {
	a := craft("a", []entry{regular("/f", "1")}, requires("tool")...)
	b := craft("b", []entry{regular("/f", "2")}, conflicts("x")...)
	x := craft("x", nil, provides("x", "tool")...)
	packages := read(t, a, b, x)
	found, err := Find(t.Context(), packages, Options{Provided: func(d rpm.Dependency) bool { return d.Name == "tool" }})
	require.NoError(t, err)
	require.Len(t, found, 1, "the image has the tool, so that x need not be installed")
	found, err = Find(t.Context(), packages, Options{})
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestLinksInCircles(t *testing.T) {
	a := craft("a", []entry{link("/x", "y"), link("/y", "x"), regular("/x/f", "1")})
	b := craft("b", []entry{regular("/y/f", "2")})
	_, err := Find(t.Context(), read(t, a, b), Options{})
	require.NoError(t, err)
}

func TestMany(t *testing.T) {
	var crafted []rpmtest.Craft
	for i := range 300 {
		crafted = append(crafted, craft(fmt.Sprintf("p%d", i), []entry{folder("/opt/ohpc", 0o755), regular(fmt.Sprintf("/opt/ohpc/%d", i), "x"), regular("/opt/ohpc/all", fmt.Sprint(i%2))}))
	}
	packages := read(t, crafted...)
	found, err := Find(t.Context(), packages, Options{})
	require.NoError(t, err)
	require.Len(t, found, 150*150)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Find(ctx, packages, Options{})
	require.ErrorIs(t, err, context.Canceled)
}

// TestRealPackages finds nothing in what rpmbuild makes of one spec.
func TestRealPackages(t *testing.T) {
	var packages []*rpm.Package
	for _, path := range rpmtest.Build(t, "kitchen", "x86_64") {
		f, err := os.Open(path)
		require.NoError(t, err)
		fi, err := f.Stat()
		require.NoError(t, err)
		p, err := rpm.Read(f, fi.Size())
		require.NoError(t, err)
		require.NoError(t, f.Close())
		if !p.Source() {
			packages = append(packages, p)
		}
	}
	found, err := Find(t.Context(), packages, Options{})
	require.NoError(t, err)
	require.Empty(t, found)
}

// BenchmarkFind is a repository of 2,000 packages of 60 files.
func BenchmarkFind(b *testing.B) {
	var crafted []rpmtest.Craft
	for i := range 2000 {
		files := []entry{folder("/opt", 0o755), folder("/opt/ohpc", 0o755), folder("/opt/ohpc/pub", 0o755), link("/opt/ohpc/current", "pub")}
		for k := range 56 {
			files = append(files, regular(fmt.Sprintf("/opt/ohpc/pub/libs/package%d/%d/file", i, k), "x"))
		}
		crafted = append(crafted, craft(fmt.Sprintf("p%d", i), files))
	}
	packages := read(b, crafted...)
	for b.Loop() {
		found, err := Find(b.Context(), packages, Options{})
		require.NoError(b, err)
		require.Empty(b, found)
	}
}
