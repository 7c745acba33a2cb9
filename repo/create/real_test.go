package create_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/create"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// TestClients lets dnf and zypper list packages of metadata that have several
// blocks, and groups.
func TestClients(t *testing.T) {
	f := newFolder(t, 700)
	comps := `<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>all</id><name>Everything</name><description/><default>true</default><uservisible>true</uservisible>
<packagelist><packagereq type="mandatory">p0042</packagereq></packagelist></group></comps>
`
	for _, compression := range []rpmmd.Compression{rpmmd.Gzip, rpmmd.Zstd} {
		f.mustCreate(f.dir, func(o *create.Options) {
			o.Metadata.Compression = compression
			o.Metadata.Documents = []rpmmd.Document{{Kind: rpmmd.KindGroup, Name: "comps.xml", Content: []byte(comps)}}
		})
		repo := filepath.Join(t.TempDir(), "test.repo")
		require.NoError(t, os.WriteFile(repo, []byte("[test]\nname=test\nenabled=1\ngpgcheck=0\nbaseurl=file://"+f.dir+"\n"), 0o644))
		for _, c := range publishtest.Clients {
			t.Run(c.Name+" "+string(compression), func(t *testing.T) {
				list, file, groups := []string{"search", "--repo", "test"}, []string{"search", "--provides", "/usr/bin/p0699"}, []string{"search", "-t", "package", "p0042"}
				if c.Name == "dnf" {
					list, file, groups = []string{"repoquery"}, []string{"repoquery", "--file", "/usr/bin/p0699"}, []string{"group", "list", "-v"}
				}
				root := c.Root(t, repo)
				out, err := c.Run(t, root, c.Refresh...)
				require.NoError(t, err, out)
				out, err = c.Run(t, root, list...)
				require.NoError(t, err, out)
				lines := 0
				for line := range strings.Lines(out) {
					if strings.Contains(line, "p0") {
						lines++
					}
				}
				require.Equal(t, 700, lines, out)
				out, err = c.Run(t, root, file...)
				require.NoError(t, err, out)
				require.Contains(t, out, "p0699")
				out, err = c.Run(t, root, groups...)
				require.NoError(t, err, out)
				if c.Name == "dnf" {
					require.Contains(t, out, "Everything (all)")
				}
			})
		}
	}
}

// TestSelection takes the same packages as createrepo_c does with the same options,
// to the same locations.
func TestSelection(t *testing.T) {
	tool := rpmtest.Tool(t, "createrepo_c")
	f := newFolder(t, 3)
	f.write("sub/deep/q-1-1.noarch.rpm", bytesOf("q", "1"))
	f.write("top-1-1.noarch.rpm", bytesOf("top", "1"))
	f.write("sub/README", []byte("nothing"))
	require.NoError(t, os.Symlink("top-1-1.noarch.rpm", f.path("link.rpm")))
	list := filepath.Join(t.TempDir(), "list")
	require.NoError(t, os.WriteFile(list, []byte("noarch/p0001-1-1.noarch.rpm\n\ntop-1-1.noarch.rpm\n"), 0o644))
	only := []string{"noarch/p0001-1-1.noarch.rpm", "top-1-1.noarch.rpm"}
	for _, test := range []struct {
		args   []string
		change func(*create.Options)
		n      int
	}{
		{nil, nil, 6},
		{[]string{"-S"}, func(o *create.Options) { o.Select.SkipSymlinks = true }, 5},
		{[]string{"-x", "*p000?-*"}, func(o *create.Options) { o.Select.Exclude = []string{"*p000?-*"} }, 3},
		{[]string{"-x", "sub*", "-x", "*/p0002*"}, func(o *create.Options) { o.Select.Exclude = []string{"sub*", "*/p0002*"} }, 4},
		{[]string{"-x", "p0002*"}, func(o *create.Options) { o.Select.Exclude = []string{"p0002*"} }, 5},
		{[]string{"-i", list}, func(o *create.Options) { o.Select.Only = only }, 2},
		{[]string{"-n", only[0]}, func(o *create.Options) { o.Select.Only = only[:1] }, 1},
		{[]string{"--location-prefix", "a/b"}, func(o *create.Options) { o.Place.Prefix = "a/b" }, 6},
		{[]string{"--cut-dirs", "1"}, func(o *create.Options) { o.Place.CutDirs = 1 }, 6},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			theirs, ours := t.TempDir(), t.TempDir()
			rpmtest.Run(t, tool, append(append([]string{"--quiet", "--no-database", "--outputdir", theirs}, test.args...), f.dir)...)
			f.TB = t
			f.mustCreate(ours, test.change)
			require.Len(t, locations(t, ours), test.n)
			require.ElementsMatch(t, locations(t, theirs), locations(t, ours))
		})
	}
}

// TestRecycle takes the list of old metadata, createrepo_c's too.
func TestRecycle(t *testing.T) {
	f := newFolder(t, 3)
	recycle := func(o *create.Options) { o.Update, o.Select.Recycle = true, true }
	rpmtest.Run(t, "createrepo_c", "--quiet", "--no-database", f.dir)
	theirs := locations(t, f.dir)
	added := f.add("new", "1")
	f.mustCreate(f.dir, recycle)
	require.ElementsMatch(t, theirs, locations(t, f.dir), "new packages are not looked for")
	result := f.mustCreate(f.dir, func(o *create.Options) { recycle(o); o.SkipStat, o.Select.Only = true, []string{added} })
	require.Contains(t, result.Read, added)
	require.Len(t, locations(t, f.dir), 4)
	require.NoError(t, os.Remove(f.path(added)))
	f.mustCreate(f.dir, recycle)
	require.Len(t, locations(t, f.dir), 3, "what is gone is gone")
}

const envChild = "OHPC_BUILD_TEST_CREATE_CHILD"

// TestChild is a process of TestKilled.
func TestChild(t *testing.T) {
	dir := os.Getenv(envChild)
	if dir == "" {
		t.Skip("it is for TestKilled")
	}
	for i := 0; ; i++ {
		_, err := create.Run(t.Context(), create.Options{Dir: dir, Update: true, Index: filepath.Join(dir, "index"), Metadata: rpmmd.Options{Revision: time.Now().String()}})
		require.NoError(t, err)
	}
}

// TestKilled kills processes that write metadata all the time: whenever that
// happens, there are whole metadata, and nothing is in the next one's way.
func TestKilled(t *testing.T) {
	f := newFolder(t, 200)
	f.mustCreate(f.dir, nil)
	for i := range 15 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestChild$")
		cmd.Env = append(os.Environ(), envChild+"="+f.dir)
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(40+i*7) * time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		require.Len(t, locations(t, f.dir), 200)
	}
	f.mustCreate(f.dir, nil)
	left, err := filepath.Glob(f.path(".*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
