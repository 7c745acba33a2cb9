package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/matrix/host"
)

// run executes a command line in an empty folder with an empty state.
func run(t *testing.T, args ...string) (status int, stdout, message string) {
	t.Helper()
	t.Chdir(t.TempDir())
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{"--state", t.TempDir(), "--progress", "none"}, args...))
	err := root.ExecuteContext(t.Context())
	if err != nil {
		message = err.Error()
	}
	return exitStatus(t.Context(), err), out.String(), message
}

func TestMistakesInUsage(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"unknown command":     {[]string{"matrx"}, `unknown command "matrx"`},
		"unknown subcommand":  {[]string{"recipe", "lst"}, `unknown command "lst" (did you mean "list"?): ohpc-build recipe --help`},
		"unknown flag":        {[]string{"plan", "--targt", "x"}, "unknown flag: --targt; ohpc-build plan --help"},
		"unknown recipe":      {[]string{"plan", "scoth"}, `there is no recipe "scoth" (did you mean "scotch"?)`},
		"unknown target":      {[]string{"plan", "--target", "Debian_21"}, `there is no target "Debian_21" (did you mean "Debian_12"?)`},
		"unknown family":      {[]string{"plan", "--family", "compiller=gnu12"}, `did you mean "compiler"?`},
		"malformed family":    {[]string{"plan", "--family", "gnu12"}, "--family takes kind=member"},
		"unknown format":      {[]string{"plan", "--format", "yaml"}, "--format is text, json or dot"},
		"unknown progress":    {[]string{"plan", "--progress", "loud"}, "--progress is auto, plain or none"},
		"unknown log format":  {[]string{"plan", "--log-format", "xml"}, "--log-format is text or json"},
		"negative jobs":       {[]string{"plan", "--jobs", "-1"}, "--jobs must be a positive number"},
		"build of nothing":    {[]string{"build"}, "build takes at least one recipe"},
		"config that is gone": {[]string{"plan", "--config", "absent.yaml"}, "absent.yaml"},
		"show of nothing":     {[]string{"recipe", "show"}, "recipe show takes one recipe"},
		"verify of nothing":   {[]string{"repo", "verify", "a", "b"}, "repo verify takes one folder"},
		"no key yet":          {[]string{"key", "show"}, "there is no signing key"},
		"out is a file":       {[]string{"plan", "--out", "/etc/passwd"}, "--out /etc/passwd is no folder"},
		"state in a file":     {[]string{"plan", "--state", "/etc/passwd/x"}, "--state: stat /etc/passwd/x: not a directory"},
		"status of a file":    {[]string{"status", "--out", "/etc/passwd"}, "not a directory; ohpc-build matrix publishes there"},
		"catalogue is absent": {[]string{"recipe", "list", "--catalog", "absent"}, "absent"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, message := run(t, tc.args...)
			require.Equal(t, exitUsage, status, message)
			require.Contains(t, message, tc.want)
		})
	}
}

func TestMalformedRecipesAreLocated(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	write("catalog.yaml", "release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n")
	write("components/dev-tools/wrong/recipe.yaml", "name: wrong\nkind: component\ngroup: dev-tools\nsumary: A test\n")
	status, _, message := run(t, "recipe", "lint", "--catalog", dir)
	require.Equal(t, exitUsage, status)
	require.Contains(t, message, filepath.Join(dir, "components/dev-tools/wrong/recipe.yaml")+`:4:1: unknown key "sumary" (did you mean "summary"?)`)
}

func TestConfiguration(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"unknown key": {"targts: [Debian_12]\n", `:1:1: unknown key "targts" (did you mean "targets"?)`},
		"wrong type":  {"targets: Debian_12\n", ":1:10: targets must be a list"},
		"wrong URL":   {"repository:\n  url: ftp://example.org\n", "is not a file:, http: or https: URL"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ohpc-build.yaml")
			require.NoError(t, os.WriteFile(path, []byte(tc.text), 0o644))
			status, _, message := run(t, "plan", "--config", path)
			require.Equal(t, exitUsage, status)
			require.Contains(t, message, tc.want)
		})
	}
}

func TestListsAndKeys(t *testing.T) {
	status, out, message := run(t, "recipe", "list")
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "scotch")

	status, out, message = run(t, "recipe", "show", "ohpc-gnu12-serial-libs")
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "Requires:  scotch-gnu12-ohpc")

	status, out, message = run(t, "version")
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "ohpc-build unknown (go")

	state := t.TempDir()
	status, out, message = run(t, "key", "generate", "--state", state)
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "OpenHPC 3 (built by ohpc-build) <root@localhost>")
	status, out, message = run(t, "key", "export", "--state", state)
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "BEGIN PGP PUBLIC KEY BLOCK")
	require.NotContains(t, out, "PRIVATE")
	status, _, message = run(t, "key", "generate", "--state", state)
	require.Equal(t, exitUsage, status)
	require.Contains(t, message, "is there already")
}

// TestFullDisk: whichever command it is, the exit status of a full disk is one.
func TestFullDisk(t *testing.T) {
	for name, err := range map[string]error{
		"as it is":   fmt.Errorf("writing: %w", syscall.ENOSPC),
		"a quota":    &fs.PathError{Op: "write", Path: "x", Err: syscall.EDQUOT},
		"in a usage": usageError("making a key: %w", syscall.ENOSPC),
		"one of two": errors.Join(errors.New("other"), &statusError{exitFailed, syscall.ENOSPC}),
		"explained":  &host.FullError{Err: errors.New("rpm says so")},
	} {
		require.Equal(t, exitHost, exitStatus(t.Context(), err), name)
	}
	require.Equal(t, exitFailed, exitStatus(t.Context(), syscall.EACCES))

	tr := newTree(t)
	s := tr.made("EL_9", "1")
	full := filepath.Join(tr.out, "full")
	require.NoError(t, os.Mkdir(full, 0o755))
	if err := unix.Mount("tmpfs", full, "tmpfs", 0, "size=16k,nr_inodes=4"); err != nil {
		t.Skipf("nothing can be mounted: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(full, unix.MNT_DETACH)) })
	b := make([]byte, 64<<10)
	require.ErrorIs(t, os.WriteFile(filepath.Join(full, "fill"), b, 0o644), syscall.ENOSPC)
	tr.must(t, "publish", s.ID)
	packages := filepath.Join(t.TempDir(), "packages")
	require.NoError(t, os.Mkdir(packages, 0o755))
	for _, args := range [][]string{
		{"key", "generate", "--algorithm", "ed25519", "--state", full},
		{"repo", "dist", "--to", full},
		{"repo", "create", packages, "--outputdir", full},
	} {
		status, _, message := run(t, append([]string{"--state", tr.state, "--out", tr.out}, args...)...)
		require.Equal(t, exitHost, status, message)
		require.Contains(t, message, "the disk is full: the file system of "+full)
		require.Contains(t, message, "no space left on device")
	}
}

func TestExitStatusOfAnInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	require.Equal(t, exitInterrupted, exitStatus(ctx, errInterrupted))
	require.Equal(t, exitOK, exitStatus(ctx, nil))
}

// TestMessage has a name in an error that would clear the screen.
func TestMessage(t *testing.T) {
	err := errors.Join(errors.New("a\x1b[2Jb\r: gone"), errors.New("größe →\t2"))
	require.Equal(t, "a\ufffd[2Jb\ufffd: gone\ngröße →\t2", message(err))
}
