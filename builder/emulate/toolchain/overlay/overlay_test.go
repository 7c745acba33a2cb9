package overlay

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// layer makes a folder of files: name → content. "-> x" is a symbolic link,
// "whiteout" and "opaque" are overlayfs's marks, and a name that ends in / is a
// folder.
func layer(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		target, isLink := strings.CutPrefix(content, "-> ")
		switch {
		case isLink:
			require.NoError(t, os.Symlink(target, at))
		case content == "whiteout":
			if err := syscall.Mknod(at, syscall.S_IFCHR, 0); err != nil {
				t.Skipf("this file system or user cannot make a whiteout: %v", err)
			}
		case content == "opaque":
			require.NoError(t, os.MkdirAll(at, 0o755))
			if err := unix.Setxattr(at, "user.overlay.opaque", []byte("y"), 0); err != nil {
				t.Skipf("this file system has no user attributes: %v", err)
			}
		case strings.HasSuffix(name, "/"):
			require.NoError(t, os.MkdirAll(at, 0o755))
		default:
			require.NoError(t, os.WriteFile(at, []byte(content), 0o755))
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	top := layer(t, map[string]string{
		"usr/bin/tool":     "top",
		"usr/bin/removed":  "whiteout",
		"opt/":             "opaque",
		"opt/new":          "top",
		"usr/share/simple": "a file over a folder",
	})
	bottom := layer(t, map[string]string{
		"bin":                    "-> usr/bin",
		"usr/bin/tool":           "bottom",
		"usr/bin/other":          "bottom",
		"usr/bin/removed":        "bottom",
		"usr/bin/sh":             "-> dash",
		"usr/bin/dash":           "bottom",
		"usr/bin/cc":             "-> /etc/alternatives/cc",
		"etc/alternatives/cc":    "-> /bin/other",
		"usr/bin/escape":         "-> ../../../../../../usr/bin/other",
		"usr/bin/loop":           "-> loop",
		"usr/bin/dangling":       "-> /lib64/nothing",
		"opt/old":                "bottom",
		"usr/share/simple/below": "bottom",
	})
	root := Layers{top, bottom}
	for _, c := range []struct {
		name, path, from, where string
		err                     error
	}{
		{name: "/usr/bin/tool", path: "/usr/bin/tool", from: top, where: "usr/bin/tool"},
		{name: "/usr/bin/other", path: "/usr/bin/other", from: bottom, where: "usr/bin/other"},
		{name: "/bin/sh", path: "/usr/bin/dash", from: bottom, where: "usr/bin/dash"},
		{name: "/bin/cc", path: "/usr/bin/other", from: bottom, where: "usr/bin/other"},
		{name: "/bin/escape", path: "/usr/bin/other", from: bottom, where: "usr/bin/other"},
		{name: "/../bin/./tool", path: "/usr/bin/tool", from: top, where: "usr/bin/tool"},
		{name: "/usr/bin/removed", path: "/usr/bin/removed", err: fs.ErrNotExist},
		{name: "/opt/old", path: "/opt/old", err: fs.ErrNotExist},
		{name: "/opt/new", path: "/opt/new", from: top, where: "opt/new"},
		{name: "/bin/dangling", path: "/lib64/nothing", err: fs.ErrNotExist},
		{name: "/bin/none/below", path: "/usr/bin/none/below", err: fs.ErrNotExist},
		{name: "/usr/bin/loop", err: syscall.ELOOP},
		{name: "/usr/share/simple", path: "/usr/share/simple", from: top, where: "usr/share/simple"},
		{name: "/usr/share/simple/below", err: syscall.ENOTDIR},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := root.Find(c.name)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
			} else {
				require.NoError(t, err)
				require.Equal(t, filepath.Join(c.from, c.where), e.Source)
			}
			require.Equal(t, c.path, e.Path)
		})
	}

	names, err := root.List("/bin")
	require.NoError(t, err)
	require.Equal(t, []string{"cc", "dangling", "dash", "escape", "loop", "other", "sh", "tool"}, names)
	names, err = root.List("/opt")
	require.NoError(t, err)
	require.Equal(t, []string{"new"}, names)
	names, err = root.List("/nowhere")
	require.NoError(t, err)
	require.Empty(t, names)
}

// FuzzFind: whatever a layer's links say, nothing outside of it is found.
func FuzzFind(f *testing.F) {
	f.Add("/a", "../../etc/passwd")
	f.Add("/a/b", "/..//../proc/self/root")
	f.Add("/x/../a", "a")
	f.Fuzz(func(t *testing.T, name, target string) {
		if target == "" || len(target) > 4000 || strings.Contains(target, "\x00") {
			t.Skip()
		}
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "x"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "x", "file"), nil, 0o644))
		if err := os.Symlink(target, filepath.Join(dir, "a")); err != nil {
			t.Skip()
		}
		e, err := Layers{dir}.Find(name)
		if err != nil {
			return
		}
		for _, at := range append(e.dirs, e.Source) {
			rel, err := filepath.Rel(dir, at)
			require.True(t, at == "" || err == nil && filepath.IsLocal(rel), at)
			if at != "" {
				fi, err := os.Lstat(at)
				require.NoError(t, err)
				require.Zero(t, fi.Mode()&fs.ModeSymlink)
			}
		}
	})
}
