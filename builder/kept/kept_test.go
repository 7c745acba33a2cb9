package kept

import (
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

var update = flag.Bool("update", false, "write the golden files")

// built makes the folder that a build left.
func built(t *testing.T, dir string) (from string, r Root) {
	t.Helper()
	from = filepath.Join(dir, "build-1")
	layer := filepath.Join(dir, "layer")
	for _, d := range []string{layer, filepath.Join(from, Changes), filepath.Join(from, Build, "tmp")} {
		require.NoError(t, os.MkdirAll(d, 0o755))
	}
	return from, Root{
		Job: "hwloc@gnu12/Debian_12/x86_64", Inputs: store.Of([]byte("inputs")), Failed: true,
		Run: Run{
			Layers: []string{layer}, Env: []string{"A=b"}, Topdir: "/build", UID: 1000, GID: 1000, HostName: "build",
			Limits: sandbox.Limits{Memory: 1 << 30, CPUs: 2},
		},
	}
}

func TestTakeAndFind(t *testing.T) {
	dir := t.TempDir()
	folder := New(filepath.Join(dir, "kept"))
	from, r := built(t, dir)
	_, err := folder.Find(r.Job)
	require.ErrorIs(t, err, fs.ErrNotExist)
	taken, err := folder.Take(from, r)
	require.NoError(t, err)
	require.NoDirExists(t, from)
	found, err := folder.Find(r.Job)
	require.NoError(t, err)
	require.Equal(t, taken, found)
	require.NoError(t, found.Check())
	fi, err := os.Stat(filepath.Join(dir, "kept"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), fi.Mode().Perm(), "nobody else may run what a stranger left")

	// A second one takes its place.
	from, r = built(t, dir)
	r.Failed = false
	_, err = folder.Take(from, r)
	require.NoError(t, err)
	found, err = folder.Find(r.Job)
	require.NoError(t, err)
	require.False(t, found.Failed)

	require.NoError(t, os.Remove(filepath.Join(dir, "layer")))
	require.ErrorContains(t, found.Check(), "layer, which is gone: build it again")
	require.NoError(t, found.Remove())
	_, err = folder.Find(r.Job)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestRecordsOfOthers(t *testing.T) {
	dir := t.TempDir()
	folder := New(dir)
	path := filepath.Join(dir, "a_b_c")
	require.NoError(t, os.Mkdir(path, 0o755))
	for text, want := range map[string]string{
		`{`: "reading ", `{"version": 99, "job": "a/b/c"}`: "another version", `{"version": 1, "job": "a_b/c"}`: "another version",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(path, record), []byte(text), 0o644))
		_, err := folder.Find("a/b/c")
		require.ErrorContains(t, err, want, text)
	}
}

func TestReadme(t *testing.T) {
	_, r := built(t, t.TempDir())
	r.dir = "/state/kept/hwloc@gnu12_Debian_12_x86_64"
	golden := filepath.Join("testdata", "README.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, r.readme(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(r.readme()))
}

// recorder is a sandbox that looks at what it is given.
type recorder func(s sandbox.Spec) error

func (r recorder) Run(_ context.Context, s sandbox.Spec) error { return r(s) }

func TestShell(t *testing.T) {
	dir := t.TempDir()
	from, r := built(t, dir)
	outside := filepath.Join(dir, "outside")
	require.NoError(t, os.WriteFile(outside, []byte("host's"), 0o644))
	top := filepath.Join(from, Build)
	require.NoError(t, os.Symlink(outside, filepath.Join(top, resume)), "what an enemy would leave")
	require.NoError(t, os.Symlink(outside, filepath.Join(top, "tmp/rpm-tmp.zzzzzz")))
	require.NoError(t, os.WriteFile(filepath.Join(top, "tmp/rpm-tmp.aaaaaa"), []byte("FOO=bar\ncd 'a-1'\nmake\n"), 0o644))
	taken, err := New(filepath.Join(dir, "kept")).Take(from, r)
	require.NoError(t, err)
	native := sandbox.Mount{Source: "/native", Destination: "/usr/bin/make", ReadOnly: true}
	t.Setenv("TERM", "vt100")
	var said strings.Builder
	err = taken.Shell(t.Context(), recorder(func(s sandbox.Spec) error {
		require.True(t, s.Terminal)
		require.False(t, s.Network)
		require.Equal(t, sandbox.None, s.Privileges)
		require.Equal(t, r.Run.Limits, s.Limits)
		require.Equal(t, uint32(1000), s.UID)
		require.Equal(t, r.Run.Layers, s.Layers)
		require.Equal(t, filepath.Join(taken.Dir(), Changes), s.Upper)
		require.Equal(t, []string{"A=b", "N=1", "TERM=vt100"}, s.Env)
		require.Equal(t, []sandbox.Mount{{Source: filepath.Join(taken.Dir(), Build), Destination: "/build"}, native}, s.Mounts)
		rc, err := os.ReadFile(filepath.Join(taken.Dir(), Build, resume))
		require.NoError(t, err)
		require.Contains(t, string(rc), "FOO=bar\ncd 'a-1' 2>/dev/null\n")
		require.NotContains(t, string(rc), "make")
		return &sandbox.ExitError{Code: 2} // of the last command in the shell
	}), []sandbox.Mount{native}, []string{"N=1"}, &said)
	require.NoError(t, err)
	require.Contains(t, said.String(), "bash -ex /build/tmp/rpm-tmp.aaaaaa\n")
	require.NoFileExists(t, filepath.Join(taken.Dir(), Build, resume))
	text, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "host's", string(text))

	broken := errors.New("no room")
	err = taken.Shell(t.Context(), recorder(func(sandbox.Spec) error { return broken }), nil, nil, io.Discard)
	require.ErrorIs(t, err, broken)
}

func TestPreamble(t *testing.T) {
	for name, tc := range map[string]struct{ script, want string }{
		"%build of rpm 4.18": {`#!/bin/bash

  RPM_SOURCE_DIR="/build/SOURCES"
  export RPM_SOURCE_DIR
  LANG=C
  unset CDPATH DISPLAY ||:
  PKG_CONFIG_PATH="${PKG_CONFIG_PATH}:/usr/lib64/pkgconfig"

  set -x
  umask 022
  cd "/build/BUILD"
cd 'a-1.0'

  CFLAGS="${CFLAGS:--O2 -g}" ; export CFLAGS ; 
  LDFLAGS="${LDFLAGS:-}" ; export LDFLAGS
make
AFTER=1
`, `  RPM_SOURCE_DIR="/build/SOURCES"
  export RPM_SOURCE_DIR
  LANG=C
  unset CDPATH DISPLAY ||:
  PKG_CONFIG_PATH="${PKG_CONFIG_PATH}:/usr/lib64/pkgconfig"
  umask 022
  cd "/build/BUILD" 2>/dev/null
cd 'a-1.0' 2>/dev/null
  CFLAGS="${CFLAGS:--O2 -g}" ; export CFLAGS ; 
  LDFLAGS="${LDFLAGS:-}" ; export LDFLAGS
`},
		"%install removes first": {`  RPM_BUILD_ROOT="/build/BUILDROOT/a"
  cd "/build/BUILD"
if [ "$RPM_BUILD_ROOT" != "/" ]; then
  rm -rf "${RPM_BUILD_ROOT}"
  mkdir -p "$(dirname "$RPM_BUILD_ROOT")"
fi
cd 'a-1.0'
make install
`, `  RPM_BUILD_ROOT="/build/BUILDROOT/a"
  cd "/build/BUILD" 2>/dev/null
cd 'a-1.0' 2>/dev/null
`},
		"nothing that runs": {"A=$(touch /tmp/x)\nB=`touch /tmp/x`\nC=1 touch /tmp/x\nD=\"$(touch /tmp/x)\"\nE=1; touch /tmp/x\nF=1&&touch /tmp/x\ncd \"$(touch /tmp/x)\"\n", ""},
		"nothing":           {"", ""},
	} {
		require.Equal(t, tc.want, preamble(tc.script), name)
	}
}
