package publish_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// remembering is a fixture with a memory and packages enough for some blocks.
type remembering struct {
	*publishtest.Fixture
	packages []publish.Package
}

func remember(t *testing.T, packages int) *remembering {
	t.Helper()
	r := &remembering{Fixture: publishtest.SetUpInMemory(t)}
	r.Spec.Memory = filepath.Join(filepath.Dir(r.Spec.Root), "state", "memory")
	for i := range packages {
		r.packages = append(r.packages, r.Add(r.one(i, "1"), fmt.Sprint("job ", i)))
	}
	// Two of one name, of which one is taken.
	simple := rpmtest.Simple("both", "1", "1", "noarch")
	r.packages = append(r.packages, r.Add(simple.With(rpmtest.Texts(1132, "x86_64-linux")), "x"), r.Add(simple.With(rpmtest.Texts(1132, "aarch64-linux")), "a"))
	r.packages = append(r.packages, r.Some()...)
	return r
}

func (*remembering) one(i int, version string) rpmtest.Craft {
	return rpmtest.Simple(fmt.Sprintf("package%03d", i), version, "1", "x86_64")
}

// process makes a snapshot as another process would, that knows no more than what is on
// disk. It runs after the time that a file system's clock may stand still.
func (r *remembering) process(t *testing.T) (snapshot.Snapshot, error) {
	t.Helper()
	time.Sleep(20 * time.Millisecond)
	st, err := store.Open(r.Store.Dir())
	require.NoError(t, err)
	return publish.Make(t.Context(), st, r.Spec, r.packages)
}

// requireTrue compares a snapshot with what is made without a memory.
func (r *remembering) requireTrue(t *testing.T, s snapshot.Snapshot) {
	t.Helper()
	spec := r.Spec
	spec.Memory, spec.Root = "", filepath.Join(t.TempDir(), "repos")
	want, err := publish.Make(t.Context(), r.Store, spec, r.packages)
	require.NoError(t, err)
	require.Equal(t, want.ID, s.ID)
	require.Equal(t, publishtest.Files(t, want.Dir), publishtest.Files(t, s.Dir))
	for _, name := range publishtest.Files(t, want.Dir) {
		a, err := os.ReadFile(filepath.Join(want.Dir, name))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(s.Dir, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(a, b), name)
	}
}

// TestMemory makes one snapshot after the other with a memory: each is what it would
// be without.
func TestMemory(t *testing.T) {
	for _, compression := range []rpmmd.Compression{rpmmd.Gzip, rpmmd.Zstd} {
		t.Run(string(compression), func(t *testing.T) {
			r := remember(t, 160)
			r.Spec.Compression = compression
			first, err := r.process(t)
			require.NoError(t, err)
			r.requireTrue(t, first)
			r.Spec.Previous = &first
			for _, step := range []struct {
				name   string
				change func()
			}{
				{"nothing", func() {}},
				{"one newer", func() { r.packages[7] = r.Add(r.one(7, "2"), "") }},
				{"one gone", func() { r.packages = slices.Delete(r.packages, 100, 101) }},
				{"one more", func() { r.packages = append(r.packages, r.Add(r.one(999, "1"), "")) }},
				{"one more, the first", func() { r.packages = append(r.packages, r.Add(rpmtest.Simple("a", "1", "1", "aarch64"), "")) }},
				{"other order", func() { slices.Reverse(r.packages) }},
				{"no advisories", func() { r.Spec.Previous = nil }},
				{"other compression", func() {
					r.Spec.Compression = map[rpmmd.Compression]rpmmd.Compression{rpmmd.Gzip: rpmmd.Zstd, rpmmd.Zstd: rpmmd.Gzip}[compression]
				}},
				{"few", func() { r.packages = r.packages[:20] }},
				{"none", func() { r.packages = nil }},
			} {
				step.change()
				s, err := r.process(t)
				require.NoError(t, err, step.name)
				r.requireTrue(t, s)
				if r.Spec.Previous != nil {
					r.Spec.Previous = &s
				}
			}
		})
	}
}

// TestMemoryDamaged: what is remembered costs time when it is damaged, and nothing else.
func TestMemoryDamaged(t *testing.T) {
	r := remember(t, 120)
	one, err := r.process(t)
	require.NoError(t, err)
	good, err := os.ReadFile(r.Spec.Memory)
	require.NoError(t, err)
	flipped := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	dataFile := func(kind string) string {
		md, err := rpmmd.ReadRepomd(one.Dir)
		require.NoError(t, err)
		d, ok := md.Find(kind)
		require.True(t, ok)
		return filepath.Join(one.Dir, d.Location)
	}
	memory := func(b []byte) func() { return func() { require.NoError(t, os.WriteFile(r.Spec.Memory, b, 0o644)) } }
	for i, damage := range []struct {
		name string
		do   func()
	}{
		{"empty", memory(nil)},
		{"cut off", memory(good[:len(good)/2])},
		{"longer", memory(append(bytes.Clone(good), 0))},
		{"beginning", memory(flipped(3))},
		{"middle", memory(flipped(len(good) / 2))},
		{"end", memory(flipped(len(good) - 1))},
		{"no file", func() {
			require.NoError(t, os.Remove(r.Spec.Memory))
			require.NoError(t, os.Mkdir(r.Spec.Memory, 0o755))
		}},
		{"filelists", func() { publishtest.Flip(t, dataFile("filelists")) }},
		{"other is gone", func() { require.NoError(t, os.Remove(dataFile("other"))) }},
		{"metadata are gone", func() { require.NoError(t, os.RemoveAll(filepath.Join(one.Dir, rpmmd.Dir))) }},
	} {
		require.NoError(t, os.RemoveAll(r.Spec.Memory))
		require.NoError(t, os.WriteFile(r.Spec.Memory, good, 0o644))
		damage.do()
		r.packages[3] = r.Add(r.one(3, fmt.Sprint(i+2)), "")
		s, err := r.process(t)
		require.NoError(t, err, damage.name)
		r.requireTrue(t, s)
	}
}

// TestMemoryIsNoExcuse: what is remembered of a package does not hold for other bytes
// or another key.
func TestMemoryIsNoExcuse(t *testing.T) {
	r := remember(t, 20)
	_, err := r.process(t)
	require.NoError(t, err)
	_, err = r.process(t)
	require.NoError(t, err)
	before, err := os.ReadFile(r.Spec.Memory)
	require.NoError(t, err)

	t.Run("bytes", func(t *testing.T) {
		path, err := r.Store.Path(r.packages[5].Digest)
		require.NoError(t, err)
		fi, err := os.Stat(path)
		require.NoError(t, err)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		// In place, of the same size, with its time put back: only the kernel knows.
		write := func(b []byte) {
			require.NoError(t, os.Chmod(path, 0o644))
			require.NoError(t, os.WriteFile(path, b, 0o644))
			require.NoError(t, os.Chmod(path, fi.Mode()))
			require.NoError(t, os.Chtimes(path, fi.ModTime(), fi.ModTime()))
		}
		other := bytes.Clone(b)
		other[len(b)-1] ^= 1
		write(other)
		_, err = r.process(t)
		var corrupt *store.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "job 5")
		after, err := os.ReadFile(r.Spec.Memory)
		require.NoError(t, err)
		require.Equal(t, before, after)
		write(b)
		s, err := r.process(t)
		require.NoError(t, err)
		r.requireTrue(t, s)
	})
	t.Run("key", func(t *testing.T) {
		other, err := publishtest.OtherKey()
		require.NoError(t, err)
		g := *r
		fixture := *r.Fixture
		g.Fixture = &fixture
		g.Spec.Key = other
		_, err = g.process(t)
		require.ErrorContains(t, err, "signed by a key that is not trusted")
	})
	t.Run("file name", func(t *testing.T) {
		g := *r
		g.packages = slices.Clone(r.packages)
		g.packages[5].File = "other.rpm"
		_, err = g.process(t)
		require.ErrorContains(t, err, `it was built as "other.rpm"`)
	})
	t.Run("architecture", func(t *testing.T) {
		g := *r
		fixture := *r.Fixture
		g.Fixture = &fixture
		g.Spec.Arches = []string{"aarch64"}
		_, err = g.process(t)
		require.ErrorContains(t, err, "is for x86_64, target EL_9 has aarch64")
	})
	t.Run("unsigned", func(t *testing.T) {
		g := *r
		g.packages = append(slices.Clone(r.packages), r.Raw(r.one(500, "1").Bytes(), "job 500"))
		for range 2 { // that it was refused once is not remembered as something else
			_, err = g.process(t)
			require.ErrorContains(t, err, "it is not signed")
			require.ErrorContains(t, err, "job 500")
		}
	})
}

// TestMemorySavesReading counts what is read when one of many packages has changed.
func TestMemorySavesReading(t *testing.T) {
	const packages, bulk = 40, 200 << 10
	r := remember(t, 0)
	large := func(i int, version string) publish.Package {
		c := r.one(i, version)
		c.Payload = bytes.Repeat([]byte("0123456789abcdef"), bulk/16)
		return r.Add(c, "")
	}
	for i := range packages {
		r.packages = append(r.packages, large(i, "1"))
	}
	reads := func() int64 {
		b, err := os.ReadFile("/proc/self/io")
		require.NoError(t, err)
		m := regexp.MustCompile(`rchar: (\d+)`).FindSubmatch(b)
		require.NotNil(t, m)
		n, err := strconv.ParseInt(string(m[1]), 10, 64)
		require.NoError(t, err)
		return n
	}
	take := func() int64 {
		before := reads()
		s, err := r.process(t)
		require.NoError(t, err)
		r.Spec.Previous = &s
		return reads() - before
	}
	require.Greater(t, take(), int64(packages*bulk), "all are read at first")
	r.packages[len(r.packages)-1] = large(packages-1, "2")
	require.Less(t, take(), int64(8*bulk), "one, and some headers")
	require.Less(t, take(), int64(bulk), "nothing")

	// When its file has another name more or less, only its digest is computed again.
	path, err := r.Store.Path(r.packages[len(r.packages)-2].Digest)
	require.NoError(t, err)
	require.NoError(t, os.Link(path, path+"-link"))
	require.NoError(t, os.Remove(path+"-link"))
	read := take()
	require.Greater(t, read, int64(bulk))
	require.Less(t, read, int64(2*bulk))
	require.Less(t, take(), int64(bulk), "and that is known again")
}
