package create_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/create"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// folder is a folder of small packages.
type folder struct {
	testing.TB
	dir string
}

func newFolder(t testing.TB, packages int) folder {
	f := folder{t, t.TempDir()}
	for i := range packages {
		f.add(fmt.Sprintf("p%04d", i), "1")
	}
	return f
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f folder) write(name string, b []byte) {
	f.Helper()
	require.NoError(f, os.MkdirAll(filepath.Dir(f.path(name)), 0o755))
	require.NoError(f, os.WriteFile(f.path(name), b, 0o644))
	// Of an hour ago, as most are.
	at := time.Now().Add(-time.Hour)
	require.NoError(f, os.Chtimes(f.path(name), at, at))
}

func bytesOf(name, version string) []byte {
	return rpmtest.Simple(name, version, "1", "noarch",
		rpmtest.Int32s(1006, 1700000000), rpmtest.Text(1005, strings.Repeat(name+" tells a lot. ", 40)),
		rpmtest.Texts(1117, name), rpmtest.Texts(1118, "/usr/bin/"), rpmtest.Int32s(1116, 0), rpmtest.Int16s(1030, 0o100755)).Bytes()
}

func (f folder) add(name, version string) string {
	file := "noarch/" + name + "-" + version + "-1.noarch.rpm"
	f.write(file, bytesOf(name, version))
	return file
}

// create makes metadata outside of the folder, with an index there too.
func (f folder) create(output string, change func(*create.Options)) (*create.Result, error) {
	opt := create.Options{Dir: f.dir, Output: output, Index: filepath.Join(output, "index")}
	if change != nil {
		change(&opt)
	}
	return create.Run(f.Context(), opt)
}

func (f folder) mustCreate(output string, change func(*create.Options)) *create.Result {
	f.Helper()
	r, err := f.create(output, change)
	require.NoError(f, err)
	return r
}

func update(o *create.Options) { o.Update = true }

// tree is the content of a folder of metadata by names.
func tree(t testing.TB, output string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(filepath.Join(output, rpmmd.Dir), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var b []byte
			b, err = os.ReadFile(p)
			files[d.Name()] = string(b)
		}
		return err
	}))
	return files
}

// locations are those of primary, after all data files were verified.
func locations(t testing.TB, output string) []string {
	t.Helper()
	md, err := rpmmd.ReadRepomd(output)
	require.NoError(t, err)
	var found []string
	for _, d := range md.Data {
		r, err := rpmmd.OpenData(output, d)
		require.NoError(t, err)
		switch d.Type {
		case "primary":
			n, err := rpmmd.ReadPrimary(r, func(rec rpmmd.Record) error {
				found = append(found, rec.Location)
				return nil
			})
			require.NoError(t, err)
			require.Len(t, found, n)
		case "filelists", "other":
			ids := 0
			_, err := rpmmd.ReadIDs(r, d.Type, func(string) error { ids++; return nil })
			require.NoError(t, err)
			require.Equal(t, len(found), ids)
		}
		require.NoError(t, r.Close())
	}
	return found
}

// TestUpdate changes a folder at random and compares each update with metadata
// that are made anew, by another number of workers.
func TestUpdate(t *testing.T) {
	for _, compression := range []rpmmd.Compression{rpmmd.Gzip, rpmmd.Zstd} {
		t.Run(string(compression), func(t *testing.T) {
			f := newFolder(t, 500)
			random := rand.New(rand.NewPCG(1, 2))
			output := t.TempDir()
			with := func(o *create.Options) { o.Update, o.Metadata.Compression, o.Metadata.Workers = true, compression, 4 }
			require.Len(t, f.mustCreate(output, with).Read, 500)
			reads := 0
			for round := range 12 {
				for range random.IntN(3) {
					name := fmt.Sprintf("p%04d", random.IntN(600))
					files, err := filepath.Glob(f.path("noarch/" + name + "-*"))
					require.NoError(t, err)
					if len(files) > 0 && random.IntN(3) > 0 {
						require.NoError(t, os.Remove(files[0]))
					}
					if len(files) == 0 || random.IntN(2) > 0 {
						f.add(name, fmt.Sprint(round+2))
					}
				}
				result := f.mustCreate(output, with)
				reads += len(result.Read)
				anew := t.TempDir()
				f.mustCreate(anew, func(o *create.Options) { o.Metadata.Compression, o.Metadata.Workers = compression, 1 })
				require.Equal(t, tree(t, anew), tree(t, output), "round %d", round)
				again := f.mustCreate(output, with)
				require.False(t, again.Changed)
				require.Empty(t, again.Read)
			}
			require.Less(t, reads, 12*400, "blocks without changes are not read")
			require.NotEmpty(t, locations(t, output))
		})
	}
}

// TestNothingChanged runs twice without an index.
func TestNothingChanged(t *testing.T) {
	f := newFolder(t, 3)
	require.True(t, f.mustCreate(f.dir, nil).Changed)
	before, err := os.Stat(f.path(rpmmd.Dir))
	require.NoError(t, err)
	old := tree(t, f.dir)
	for name := range old {
		at := time.Unix(1, 0)
		require.NoError(t, os.Chtimes(filepath.Join(f.dir, "noarch/p0001-1-1.noarch.rpm"), at, at), name)
	}
	require.False(t, f.mustCreate(f.dir, nil).Changed, "times of files do not count")
	after, err := os.Stat(f.path(rpmmd.Dir))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	require.Equal(t, old, tree(t, f.dir))

	// A damaged file is replaced though the names are the same.
	for name := range old {
		if strings.Contains(name, "primary") {
			require.NoError(t, os.WriteFile(f.path(rpmmd.Dir+"/"+name), []byte("damaged"), 0o644))
		}
	}
	require.True(t, f.mustCreate(f.dir, nil).Changed)
	require.Equal(t, old, tree(t, f.dir))
	names, err := filepath.Glob(f.path(".repodata*"))
	require.NoError(t, err)
	require.Empty(t, names)
}

// TestOldFilesAreVerified damages what an update would copy.
func TestOldFilesAreVerified(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"damaged": func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			b[len(b)/2]++
			require.NoError(t, os.WriteFile(path, b, 0o644))
		},
		"short":   func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 100)) },
		"missing": func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, 300)
			output := t.TempDir()
			f.mustCreate(output, update)
			want := tree(t, output)
			for file := range want {
				if strings.Contains(file, "filelists") {
					damage(t, filepath.Join(output, rpmmd.Dir, file))
				}
			}
			require.True(t, f.mustCreate(output, update).Changed)
			require.Equal(t, want, tree(t, output))
		})
	}
}

// TestWhatIsTrusted tells what --update and --skip-stat take for unchanged.
func TestWhatIsTrusted(t *testing.T) {
	f := newFolder(t, 3)
	file := "noarch/p0001-1-1.noarch.rpm"
	output := t.TempDir()
	f.mustCreate(output, update)

	f.write(file, bytesOf("p0001", "1")) // the same bytes at another time
	require.Contains(t, f.mustCreate(output, update).Read, file)

	other := rpmtest.Simple("p0001", "1", "1", "noarch", rpmtest.Text(1005, "longer than before"), rpmtest.Int32s(1006, 1700000000)).Bytes()
	f.write(file, other)
	skip := func(o *create.Options) { o.Update, o.SkipStat = true, true }
	require.False(t, f.mustCreate(output, skip).Changed, "its name is the same")
	require.True(t, f.mustCreate(output, update).Changed, "what was skipped has not become known")
	anew := t.TempDir()
	f.mustCreate(anew, nil)
	require.Equal(t, tree(t, anew), tree(t, output))

	// Another digest, another limit: nothing that was written can be used.
	for name, change := range map[string]func(*create.Options){
		"checksum":  func(o *create.Options) { o.Checksum = "sha512" },
		"changelog": func(o *create.Options) { o.Metadata.Changes = 3 },
		"base":      func(o *create.Options) { o.Place.Base = "https://example.org/x" },
	} {
		anew := t.TempDir()
		f.mustCreate(anew, change)
		f.mustCreate(output, func(o *create.Options) { update(o); change(o) })
		require.Equal(t, tree(t, anew), tree(t, output), name)
	}

	// Just written: its time could stay the same when it is written again.
	require.NoError(t, os.WriteFile(f.path(file), bytesOf("p0001", "1"), 0o644))
	f.mustCreate(output, update)
	require.Contains(t, f.mustCreate(output, update).Read, file)
}

// TestBadFiles are folders for which there are no metadata.
func TestBadFiles(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside-1-1.noarch.rpm")
	require.NoError(t, os.WriteFile(outside, bytesOf("outside", "1"), 0o644))
	good := bytesOf("bad", "1")
	flipped := append([]byte(nil), good...)
	flipped[len(flipped)-1]++
	header := append([]byte(nil), good...)
	header[len(header)/2]++
	signed := func(o *create.Options) { o.RequireSignatures = true }
	for _, test := range []struct {
		name   string
		spoil  func(f folder)
		change func(*create.Options)
		want   []string
	}{
		{"no package", func(f folder) { f.write("a/bad.rpm", []byte("hello")) }, nil, []string{"a/bad.rpm: "}},
		{"empty", func(f folder) { f.write("a/bad.rpm", nil) }, nil, []string{"a/bad.rpm: "}},
		{"short", func(f folder) { f.write("a/bad.rpm", good[:len(good)-1]) }, nil, []string{"a/bad.rpm: ", "size"}},
		{"payload", func(f folder) { f.write("a/bad.rpm", flipped) }, nil, []string{"a/bad.rpm: the payload digest is"}},
		{"header", func(f folder) { f.write("a/bad.rpm", header) }, nil, []string{"a/bad.rpm: "}},
		{"several", func(f folder) { f.write("a/bad.rpm", flipped); f.write("b/worse.rpm", nil) }, nil, []string{"a/bad.rpm: ", "b/worse.rpm: "}},
		{"unsigned", func(folder) {}, signed, []string{"noarch/p0000-1-1.noarch.rpm: it is not signed", "noarch/p0001-1-1.noarch.rpm: "}},
		{"unsigned, known before", func(folder) {}, func(o *create.Options) { signed(o); update(o) }, []string{"noarch/p0000-1-1.noarch.rpm: it is not signed"}},
		{"two contents", func(f folder) {
			f.write("x/p0000-1-1.noarch.rpm", rpmtest.Simple("p0000", "1", "1", "noarch").Bytes())
		}, nil, []string{"x/p0000-1-1.noarch.rpm: it is another package of the same name, version and architecture as noarch/p0000-1-1.noarch.rpm"}},
		{"two contents, one known", func(f folder) {
			f.write("x/p0000-1-1.noarch.rpm", rpmtest.Simple("p0000", "1", "1", "noarch").Bytes())
		}, update, []string{"x/p0000-1-1.noarch.rpm: "}},
		{"case", func(f folder) { f.write("noarch/P0000-1-1.noarch.rpm", bytesOf("P0000", "1")) }, nil, []string{"noarch/P0000-1-1.noarch.rpm: its name differs only by case"}},
		{"line feed", func(f folder) { f.write("a/b\nc.rpm", good) }, nil, []string{`"a/b\nc.rpm": `}},
		{"not UTF-8", func(f folder) { f.write("a/b\xff.rpm", good) }, nil, []string{`"a/b\xff.rpm": `}},
		{"link out", func(f folder) { require.NoError(f, os.Symlink(outside, f.path("out.rpm"))) }, nil, []string{"out.rpm: it is a symbolic link out of the folder"}},
		{"link to a folder outside", func(f folder) { require.NoError(f, os.Symlink(filepath.Dir(outside), f.path("out"))) }, nil, []string{"out: it is a symbolic link out of the folder"}},
		{"link to nothing", func(f folder) { require.NoError(f, os.Symlink("nothing", f.path("out.rpm"))) }, nil, []string{"out.rpm: it is a symbolic link that leads nowhere"}},
		{"list out", func(folder) {}, func(o *create.Options) { o.Select.Only = []string{"../x.rpm", "/etc/x.rpm", outside} }, []string{"../x.rpm: it does not lie in the folder", "/etc/x.rpm: "}},
		{"list of what is missing", func(folder) {}, func(o *create.Options) { o.Select.Only = []string{"noarch/none.rpm"} }, []string{"noarch/none.rpm: ", "no such file"}},
		{"list of a folder", func(folder) {}, func(o *create.Options) { o.Select.Only = []string{"noarch"} }, []string{"noarch: it is not a regular file"}},
		{"one location", func(f folder) { f.write("x/p0000-1-1.noarch.rpm", bytesOf("p0000", "1")) }, func(o *create.Options) { o.Place.CutDirs = 1 }, []string{"it has the same location, p0000-1-1.noarch.rpm"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFolder(t, 2)
			output := t.TempDir()
			f.mustCreate(output, nil)
			before := tree(t, output)
			test.spoil(f)
			_, err := f.create(output, test.change)
			var bad *create.BadFilesError
			require.ErrorAs(t, err, &bad)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.Equal(t, before, tree(t, output), "the old metadata stay")
			left, err := filepath.Glob(filepath.Join(output, ".*"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// TestLinks are links that can be followed.
func TestLinks(t *testing.T) {
	f := newFolder(t, 1)
	require.NoError(t, os.Symlink("p0000-1-1.noarch.rpm", f.path("noarch/latest.rpm")))
	require.NoError(t, os.Symlink("noarch", f.path("again")))
	require.NoError(t, os.Symlink("/etc/passwd", f.path("README")))
	output := t.TempDir()
	require.Equal(t, []string{"noarch/p0000-1-1.noarch.rpm"}, f.mustCreate(output, nil).Twice)
	require.Equal(t, []string{"noarch/latest.rpm", "noarch/p0000-1-1.noarch.rpm"}, locations(t, output))
	f.mustCreate(output, func(o *create.Options) { o.Select.SkipSymlinks = true })
	require.Equal(t, []string{"noarch/p0000-1-1.noarch.rpm"}, locations(t, output))
}

// TestDocuments keeps what the old metadata had besides packages, and replaces it.
func TestDocuments(t *testing.T) {
	f := newFolder(t, 2)
	group := func(text string) rpmmd.Document {
		return rpmmd.Document{Kind: "group", Name: "comps.xml", Content: []byte("<comps>" + text + "</comps>\n")}
	}
	modules := rpmmd.Document{Kind: "modules", Name: "modules.yaml", Content: []byte("---\n")}
	f.mustCreate(f.dir, func(o *create.Options) { o.Metadata.Documents = []rpmmd.Document{group("old"), modules} })
	kinds := func() (list []string) {
		md, err := rpmmd.ReadRepomd(f.dir)
		require.NoError(t, err)
		for _, d := range md.Data {
			list = append(list, d.Type)
		}
		return list
	}
	all := []string{"primary", "filelists", "other", "group", "group_gz", "modules"}
	require.Equal(t, all, kinds())
	keep := func(o *create.Options) { o.Update, o.KeepDocuments = true, true }
	require.False(t, f.mustCreate(f.dir, keep).Changed)
	f.add("new", "1")
	f.mustCreate(f.dir, keep)
	require.Equal(t, all, kinds())
	f.mustCreate(f.dir, func(o *create.Options) { keep(o); o.Metadata.Documents = []rpmmd.Document{group("new")} })
	require.ElementsMatch(t, all, kinds())
	require.Len(t, tree(t, f.dir), 7, "the old groups are gone")
	locations(t, f.dir)
	f.mustCreate(f.dir, update)
	require.Equal(t, all[:3], kinds())
	require.Len(t, tree(t, f.dir), 4)

	f.mustCreate(f.dir, func(o *create.Options) { o.Metadata.Documents = []rpmmd.Document{modules} })
	for name := range tree(t, f.dir) {
		if strings.Contains(name, "modules") {
			require.NoError(t, os.WriteFile(f.path(rpmmd.Dir+"/"+name), []byte("another"), 0o644))
		}
	}
	_, err := f.create(f.dir, keep)
	require.ErrorContains(t, err, "keeping the modules of the old metadata")
}

// TestRetain changes the metadata a few times.
func TestRetain(t *testing.T) {
	for name, test := range map[string]struct {
		retain create.Retain
		files  int // after three changes
	}{
		"nothing":    {create.Retain{}, 4},
		"everything": {create.Retain{All: true}, 4 + 9},
		"one":        {create.Retain{Newest: 1}, 4 + 3},
		"two":        {create.Retain{Newest: 2}, 4 + 6},
		"young":      {create.Retain{Younger: time.Hour}, 4 + 9},
		"not old":    {create.Retain{Younger: time.Nanosecond}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, 1)
			with := func(o *create.Options) { o.Retain = test.retain }
			f.mustCreate(f.dir, with)
			require.NoError(t, os.WriteFile(f.path("repodata/notes.txt"), []byte("kept"), 0o644))
			require.NoError(t, os.WriteFile(f.path("repodata/repomd.xml.asc"), []byte("stale"), 0o644))
			for i := range 3 {
				f.add("more", fmt.Sprint(i))
				f.mustCreate(f.dir, with)
			}
			files := tree(t, f.dir)
			require.Equal(t, "kept", files["notes.txt"])
			require.NotContains(t, files, "repomd.xml.asc", "it signs what is no more")
			require.Len(t, files, test.files+1)
			require.Len(t, locations(t, f.dir), 4)
		})
	}
}

// TestSign writes signatures with the metadata, and leaves them while they are right.
func TestSign(t *testing.T) {
	f := newFolder(t, 1)
	n := 0
	with := func(o *create.Options) {
		o.Sign = func(repomd []byte) (map[string][]byte, error) {
			n++
			return map[string][]byte{"repomd.xml.asc": fmt.Appendf(nil, "%d of %d bytes", n, len(repomd))}, nil
		}
	}
	f.mustCreate(f.dir, with)
	first := tree(t, f.dir)["repomd.xml.asc"]
	require.NotEmpty(t, first)
	require.False(t, f.mustCreate(f.dir, with).Changed)
	f.add("more", "1")
	require.True(t, f.mustCreate(f.dir, with).Changed)
	require.NotEqual(t, first, tree(t, f.dir)["repomd.xml.asc"])
}

// TestTimes gives metadata and files the time that is asked for.
func TestTimes(t *testing.T) {
	f := newFolder(t, 1)
	f.mustCreate(f.dir, func(o *create.Options) {
		o.Metadata.Revision, o.Metadata.Time, o.Timestamps = "42", time.Unix(42, 0), true
	})
	for name := range tree(t, f.dir) {
		fi, err := os.Stat(f.path(rpmmd.Dir + "/" + name))
		require.NoError(t, err)
		require.Equal(t, int64(42), fi.ModTime().Unix())
	}
}
