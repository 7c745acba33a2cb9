package layer_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder/image/layer"
	"github.com/ohpc-build/ohpc-build/builder/rootless"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

// unpack makes a layer of files, whose names end in a slash when they are folders.
func unpack(t *testing.T, dir string, attributes map[string]string, names ...string) {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, name := range names {
		hdr := &tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg, PAXRecords: map[string]string{}}
		if strings.HasSuffix(name, "/") {
			hdr.Typeflag = tar.TypeDir
		}
		for attribute, value := range attributes {
			hdr.PAXRecords["SCHILY.xattr."+attribute] = value
		}
		require.NoError(t, tw.WriteHeader(hdr))
	}
	require.NoError(t, tw.Close())
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, layer.Unpack(t.Context(), dir, &b))
}

// TestUnpackInAUserNamespace runs itself once more as root of a user namespace,
// whose overlays read other attributes than the host's.
func TestUnpackInAUserNamespace(t *testing.T) {
	if !rootless.Inside() {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestUnpackInAUserNamespace$")
		cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
		one := func(id int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: id, Size: 1}} }
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: one(os.Getuid()), GidMappings: one(os.Getgid()),
		}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
			testenv.Missing(t, "this host makes no user namespaces: "+err.Error())
		}
		require.NoError(t, err, "%s", out)
		return
	}
	dir := t.TempDir()
	lower, upper, root := filepath.Join(dir, "lower"), filepath.Join(dir, "upper"), filepath.Join(dir, "root")
	unpack(t, lower, nil, "bin/", "bin/tool", "bin/other", "old/", "old/file")
	unpack(t, upper, nil, "bin/", "bin/.wh.tool", "old/", "old/.wh..wh..opq", "old/new")
	require.NoError(t, os.Mkdir(root, 0o755))
	require.NoError(t, unix.Mount("overlay", root, "overlay", unix.MS_RDONLY, "lowerdir="+upper+":"+lower+",userxattr"))
	defer func() { require.NoError(t, unix.Unmount(root, 0)) }()
	require.NoFileExists(t, filepath.Join(root, "bin/tool"), "deleted by name")
	require.FileExists(t, filepath.Join(root, "bin/other"))
	require.NoFileExists(t, filepath.Join(root, "old/file"), "hidden with all that the folder held")
	require.FileExists(t, filepath.Join(root, "old/new"))
}

func TestWhichAttributesAreKept(t *testing.T) {
	testenv.Root(t)
	dir := filepath.Join(t.TempDir(), "layer")
	unpack(t, dir, map[string]string{
		"user.note": "kept", "user.overlay.redirect": "/etc", "user.overlay.opaque": "y", "trusted.overlay.redirect": "/etc", "security.selinux": "label",
	}, "file")
	list := make([]byte, 4096)
	n, err := unix.Llistxattr(filepath.Join(dir, "file"), list)
	require.NoError(t, err)
	names := strings.Split(strings.TrimRight(string(list[:n]), "\x00"), "\x00")
	require.Contains(t, names, "user.note")
	for _, name := range names {
		require.NotContains(t, name, "overlay")
	}
}
