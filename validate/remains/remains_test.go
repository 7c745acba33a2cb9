package remains_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/validate/remains"
)

var options = remains.Options{Expected: remains.OfSystem, Owned: func(string) bool { return false }}

// tree makes entries in a folder. A word before the path says what: f file (with
// content behind =), x executable, d folder, l link, w whiteout, o opaque folder.
func tree(t *testing.T, entries ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, e := range entries {
		kind, rest, _ := strings.Cut(e, " ")
		name, value, _ := strings.Cut(rest, "=")
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		switch kind {
		case "f":
			require.NoError(t, os.WriteFile(at, []byte(value), 0o644))
		case "x":
			require.NoError(t, os.WriteFile(at, []byte(value), 0o755))
		case "l":
			require.NoError(t, os.Symlink(value, at))
		case "w":
			testenv.Root(t)
			require.NoError(t, unix.Mknod(at, unix.S_IFCHR, 0))
		case "o":
			require.NoError(t, os.MkdirAll(at, 0o755))
			if err := unix.Setxattr(at, "user.overlay.opaque", []byte("y"), 0); err != nil {
				testenv.Missing(t, "the file system has no attributes: "+err.Error())
			}
		default:
			require.NoError(t, os.MkdirAll(at, 0o755))
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	middle := []string{"f etc/middle=m", "w etc/removed", "o srv/made-anew", "f srv/made-anew/kept=k"}
	lower := []string{
		"f etc/file=one", "f etc/removed=r", "d usr/bin", "d usr/share", "l bin=usr/bin", "f usr/bin/tool=t", "l etc/link=file",
		"f opt/package/data=d", "f srv/made-anew/old=o",
	}
	for name, tc := range map[string]struct {
		upper []string
		want  []string
	}{
		"nothing":                      {nil, nil},
		"folders that were opened":     {[]string{"d etc", "d usr/bin"}, nil},
		"the same file again":          {[]string{"f etc/file=one", "l etc/link=file"}, nil},
		"a new file":                   {[]string{"f etc/new=n"}, []string{"/etc/new: was not there before"}},
		"a new folder is one change":   {[]string{"f var/lib/messy/a=1", "f var/lib/messy/b=2"}, []string{"/var/lib/messy: was not there before"}},
		"another content":              {[]string{"f etc/file=two"}, []string{"/etc/file: has another content"}},
		"the same size":                {[]string{"f etc/file=ONE"}, []string{"/etc/file: has another content"}},
		"other permissions":            {[]string{"x etc/file=one"}, []string{"/etc/file: has other permissions or another owner"}},
		"another kind":                 {[]string{"d etc/file"}, []string{"/etc/file: is of another kind"}},
		"a link in a folder's place":   {[]string{"l usr=etc"}, []string{"/usr: is of another kind"}},
		"another target":               {[]string{"l etc/link=other"}, []string{"/etc/link: leads elsewhere"}},
		"gone":                         {[]string{"w etc/file"}, []string{"/etc/file: was there before"}},
		"gone from the middle":         {[]string{"w etc/middle"}, []string{"/etc/middle: was there before"}},
		"removed what was not there":   {[]string{"w etc/nothing"}, nil},
		"what a layer removed is new":  {[]string{"f etc/removed=r"}, []string{"/etc/removed: was not there before"}},
		"what a layer hides is new":    {[]string{"f srv/made-anew/old=o"}, []string{"/srv/made-anew/old: was not there before"}},
		"a folder that was made anew":  {[]string{"o etc", "f etc/file=one"}, []string{"/etc/link: was there before", "/etc/middle: was there before"}},
		"a new folder that is made so": {[]string{"o opt/new", "f opt/new/x=y"}, []string{"/opt/new: was not there before"}},
		"expected":                     {[]string{"f var/cache/dnf/x=1", "f etc/.pwd.lock="}, nil},
		"a folder of the hierarchy":    {[]string{"d usr/share/licenses"}, nil},
		"what is in it":                {[]string{"f usr/share/licenses/x=y"}, []string{"/usr/share/licenses/x: was not there before"}},
		"what is in such a folder":     {[]string{"f srv/new=1"}, []string{"/srv/new: was not there before"}},
	} {
		t.Run(name, func(t *testing.T) {
			below := []string{tree(t, middle...), tree(t, lower...)}
			changes, err := remains.Find(t.Context(), tree(t, tc.upper...), below, options)
			require.NoError(t, err)
			var got []string
			for _, c := range changes {
				got = append(got, c.String())
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestWhatIsExpectedHasFoldersAboveIt(t *testing.T) {
	upper := tree(t, "f srv/state/cache/x=1", "f srv/state/left=2", "f srv/other/y=3", "d srv/empty")
	changes, err := remains.Find(t.Context(), upper, []string{tree(t, "d srv")}, remains.Options{
		Expected: func(path string) bool { return path == "/srv/state/cache" }, Owned: func(path string) bool { return path == "/srv/other" },
	})
	require.NoError(t, err)
	require.Equal(t, []remains.Change{{"/srv/empty", remains.Left}, {"/srv/other/y", remains.Left}, {"/srv/state/left", remains.Left}}, changes)
}

func TestHostileChanges(t *testing.T) {
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("f etc/f%03d=x", i))
	}
	changes, err := remains.Find(t.Context(), tree(t, many...), []string{tree(t, "d etc")}, options)
	require.NoError(t, err)
	require.Len(t, changes, 200, "there is an end")

	// A pipe is not opened, and a link is not followed.
	pipe := tree(t, "l etc/out=/", "l etc/loop=loop")
	require.NoError(t, unix.Mkfifo(filepath.Join(pipe, "etc/pipe"), 0o644))
	below := tree(t, "f etc/pipe=was a file")
	changes, err = remains.Find(t.Context(), pipe, []string{below}, options)
	require.NoError(t, err)
	require.Equal(t, []remains.Change{{"/etc/loop", remains.Left}, {"/etc/out", remains.Left}, {"/etc/pipe", remains.Kind}}, changes)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = remains.Find(ctx, pipe, nil, options)
	require.ErrorIs(t, err, context.Canceled)
}

func TestOfSystem(t *testing.T) {
	for path, want := range map[string]bool{
		"/var/lib/rpm": true, "/var/lib/rpm/rpmdb.sqlite": true, "/var/lib/rpmx": false, "/var/log/dnf.rpm.log": true,
		"/etc/passwd": true, "/etc/passwd.rpmnew": false, "/var/cache/other": false, "/opt/ohpc": false,
	} {
		require.Equal(t, want, remains.OfSystem(path), path)
	}
}
