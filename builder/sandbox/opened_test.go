package sandbox_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

func TestWhichFilesWereOpened(t *testing.T) {
	b := newBox(t)
	mounted := filepath.Join(b.dir, "mounted")
	require.NoError(t, os.Mkdir(mounted, 0o755))
	for _, path := range []string{
		filepath.Join(b.root, "etc/read"), filepath.Join(b.root, "etc/not-read"), filepath.Join(b.root, "etc/lower"), filepath.Join(mounted, "file"),
	} {
		require.NoError(t, os.WriteFile(path, []byte("word\n"), 0o644))
	}
	require.NoError(t, os.Symlink("read", filepath.Join(b.root, "etc/link")))
	require.NoError(t, os.Symlink("busybox", filepath.Join(b.root, "bin/head")))
	opened := &sandbox.Opened{}
	const script = `cat /etc/link /mnt/file; cat /etc/link; cd /etc && for i in 1 2 3; do cat lower; done; ls / /etc; test -e /etc/not-read; echo > /etc/new; hostname`
	out, err := b.sh(t, script, func(s *sandbox.Spec) {
		s.Opened = opened
		s.Mounts = []sandbox.Mount{{Source: mounted, Destination: "/mnt"}}
	})
	require.NoError(t, err, out)
	paths, err := opened.Paths()
	require.NoError(t, err)
	require.Equal(t, []string{"/bin/busybox", "/etc/lower", "/etc/new", "/etc/read"}, paths)
}

func TestWatchingACommandThatNeverBegins(t *testing.T) {
	b := newBox(t)
	for _, change := range []func(*sandbox.Spec){
		func(s *sandbox.Spec) { s.Args = []string{"/bin/nothing"} },
		func(s *sandbox.Spec) { s.Layers = []string{filepath.Join(b.dir, "absent")} },
	} {
		opened := &sandbox.Opened{}
		_, err := b.sh(t, "true", func(s *sandbox.Spec) {
			s.Opened = opened
			change(s)
		})
		var start *sandbox.StartError
		require.ErrorAs(t, err, &start)
		paths, err := opened.Paths()
		require.NoError(t, err)
		require.Empty(t, paths)
	}
}
