package create

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/blocks"
)

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	w, err := openWorkplace(dir)
	require.NoError(t, err)
	_, err = Run(t.Context(), Options{Dir: dir})
	require.ErrorIs(t, err, ErrBusy)
	require.DirExists(t, w.dir, "the other one's work is left alone")
	w.close()
	_, err = Run(t.Context(), Options{Dir: dir})
	require.NoError(t, err)
}

func TestPlaceIsNoFolder(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(dir, rpmmd.Dir)))
	_, err := Run(t.Context(), Options{Dir: dir})
	require.ErrorContains(t, err, "is not a folder")
}

// TestFillIn replaces metadata where folders cannot be exchanged.
func TestFillIn(t *testing.T) {
	made, place := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(made, "repomd.xml"): "new", filepath.Join(made, "b"): "new", filepath.Join(made, "c"): "new",
		filepath.Join(place, "repomd.xml"): "old", filepath.Join(place, "a"): "old", filepath.Join(place, "b"): "old",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	require.NoError(t, fillIn(made, place))
	entries, err := os.ReadDir(place)
	require.NoError(t, err)
	require.Len(t, entries, 3)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(place, e.Name()))
		require.NoError(t, err)
		require.Equal(t, "new", string(b), e.Name())
	}
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "a/b", true},
		{"a*c", "a/b/c", true},
		{"a*c", "a/b/cd", false},
		{"?b", "ab", true},
		{"?b", "b", false},
		{"*-debuginfo-*", "x/y-debuginfo-1.rpm", true},
		{"a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	} {
		require.Equal(t, test.want, match(test.pattern, test.name), "%q %q", test.pattern, test.name)
	}
}

func someIndex() []byte {
	part := blocks.Span{Offset: 1, Size: 2, OpenSize: 3, Sum: sha256.Sum256([]byte("x"))}
	return appendIndex(indexHeader{checksum: "sha256"}, &written{
		packages: []known{
			{location: "a", stat: stat{1, 2, 3}, id: "id", built: time.Unix(5, 0).UTC(), signed: true},
			{location: "b", id: "other", built: time.Unix(6, 0).UTC()},
		},
		blocks: []rpmmd.Block{
			rpmmd.Block{First: "a", Last: "a", Packages: 1, Complete: true, Built: time.Unix(5, 0).UTC()}.WithParts([]blocks.Span{part, part, part}),
			{First: "b", Last: "b", Packages: 1, Built: time.Unix(6, 0).UTC()},
		},
	})
}

func TestIndex(t *testing.T) {
	b := someIndex()
	x, header, err := parseIndex(b)
	require.NoError(t, err)
	require.Equal(t, "sha256", header.checksum)
	var bl []rpmmd.Block
	for _, k := range x.packages {
		bl = append(bl, x.blocks[k.location].Block)
	}
	require.Equal(t, b, appendIndex(header, &written{packages: x.packages, blocks: bl}))
	require.Equal(t, "other", x.find("b").id)
	require.Nil(t, x.find("c"))
	b[len(b)/2]++
	_, _, err = parseIndex(b)
	require.ErrorIs(t, err, errIndex)
}

// FuzzIndex reads indexes whose digest is right whatever they hold.
func FuzzIndex(f *testing.F) {
	b := someIndex()
	f.Add(b[len(indexFormat) : len(b)-sha256.Size])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		b := append([]byte(indexFormat), body...)
		sum := sha256.Sum256(b)
		x, header, err := parseIndex(append(b, sum[:]...))
		if err != nil {
			return
		}
		var all []rpmmd.Block
		for _, k := range x.packages {
			if b := x.blockAt(k.location); b != nil {
				all = append(all, b.Block)
			}
		}
		_, _, err = parseIndex(appendIndex(header, &written{packages: x.packages, blocks: all}))
		require.NoError(t, err)
	})
}
