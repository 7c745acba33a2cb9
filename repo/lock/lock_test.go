package lock_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/repo/lock"
)

func TestExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := lock.Exclusive(t.Context(), path, 0)
	require.NoError(t, err)
	begin := time.Now()
	_, err = lock.Exclusive(t.Context(), path, 50*time.Millisecond)
	var held *lock.HeldError
	require.ErrorAs(t, err, &held)
	require.GreaterOrEqual(t, time.Since(begin), 50*time.Millisecond)
	require.Contains(t, held.Holder, fmt.Sprintf("process %d on ", os.Getpid()))
	require.ErrorContains(t, err, path+" is held by process ")
	require.ErrorContains(t, err, "waited 50ms for it; try again when it has ended, or wait longer (--wait)")
	_, err = lock.Shared(t.Context(), path, 0)
	require.ErrorAs(t, err, &held)

	// Whoever waits gets it when it is given back.
	go func(l *lock.Lock) {
		time.Sleep(50 * time.Millisecond)
		_ = l.Release()
	}(l)
	l, err = lock.Exclusive(t.Context(), path, time.Minute)
	require.NoError(t, err)

	// And no longer waits when that is called off.
	why := errors.New("called off")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	_, err = lock.Exclusive(ctx, path, time.Minute)
	require.ErrorIs(t, err, why)
	require.NoError(t, l.Release())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, b, "nobody holds it")
}

func TestShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, err := lock.Shared(t.Context(), path, 0)
	require.NoError(t, err)
	two, err := lock.Shared(t.Context(), path, 0)
	require.NoError(t, err)
	require.NoError(t, one.Release())
	_, err = lock.Exclusive(t.Context(), path, 0)
	require.EqualError(t, err, path+" is held by another process; try again when it has ended, or wait longer (--wait)")
	require.NoError(t, two.Release())
	l, err := lock.Exclusive(t.Context(), path, 0)
	require.NoError(t, err)
	require.NoError(t, l.Release())
}

// TestHostileFile: the lock's file is not written through a link, and what it says
// does nothing to a terminal.
func TestHostileFile(t *testing.T) {
	dir := t.TempDir()
	victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "lock")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(victim, path))
	_, err := lock.Exclusive(t.Context(), path, 0)
	require.ErrorContains(t, err, "too many levels of symbolic links")
	b, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "precious", string(b))

	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, []byte("\x1b[2Jme "+strings.Repeat("x", 1000)), 0o600))
	l, err := lock.Shared(t.Context(), path, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Release()) }()
	_, err = lock.Exclusive(t.Context(), path, 0)
	require.ErrorContains(t, err, `\x1b[2Jme xxx`)
	require.NotContains(t, err.Error(), "\x1b")
	require.Less(t, len(err.Error()), 600)
}

// TestNotOurs: who may not write is told what to do.
func TestNotOurs(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Chmod(root, 0o555))
	take := func() error {
		_, err := lock.Tree(t.Context(), root, 0)
		return err
	}
	asNobody := func(try func() error) error {
		if os.Geteuid() != 0 {
			return try()
		}
		const nobody = 65534
		runtime.LockOSThread() // who somebody is to the file system is the thread's
		defer runtime.UnlockOSThread()
		require.NoError(t, unix.Setfsuid(nobody))
		defer func() { require.NoError(t, unix.Setfsuid(0)) }()
		return try()
	}
	refused := func() {
		t.Helper()
		err := asNobody(take)
		require.ErrorIs(t, err, fs.ErrPermission)
		require.ErrorContains(t, err, "must be able to write in "+root)
		require.ErrorContains(t, err, "do it as its owner")
	}
	refused() // there is no folder for the lock yet
	require.NoError(t, os.Chmod(root, 0o755))
	l, err := lock.Tree(t.Context(), root, 0)
	require.NoError(t, err)
	require.NoError(t, l.Release())
	require.NoError(t, os.Chmod(filepath.Join(root, ".channels", "lock"), 0o444))
	refused()
}

const holderDir = "OHPC_TEST_LOCK_DIR"

// TestHolder is the process that TestKilled kills.
func TestHolder(t *testing.T) {
	dir := os.Getenv(holderDir)
	if dir == "" {
		t.Skip("it is run by TestKilled")
	}
	_, err := lock.Tree(t.Context(), dir, 0)
	require.NoError(t, err)
	_, err = lock.NewScratch(t.Context(), filepath.Join(dir, "other"), filepath.Join(dir, "snapshots"), nil)
	require.NoError(t, err)
	fmt.Println("held")
	time.Sleep(time.Minute)
}

// TestKilled: a lock ends with its process, and what that left is swept.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHolder$")
	cmd.Env = append(os.Environ(), holderDir+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, len("held\n")))
	require.NoError(t, err)
	_, err = lock.Tree(t.Context(), dir, 0)
	require.ErrorContains(t, err, fmt.Sprintf("held by process %d on ", cmd.Process.Pid))
	snapshots := filepath.Join(dir, "snapshots")
	swept, err := lock.Sweep(t.Context(), snapshots, false)
	require.NoError(t, err)
	require.Empty(t, swept, "its writer lives")

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	l, err := lock.Tree(t.Context(), dir, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Release()) }()
	for _, dry := range []bool{true, false} {
		swept, err = lock.Sweep(t.Context(), snapshots, dry)
		require.NoError(t, err)
		require.Len(t, swept, 1)
	}
	left, err := os.ReadDir(snapshots)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestScratch(t *testing.T) {
	root := t.TempDir()
	parent := filepath.Join(root, "snapshots", "EL_9")
	s, err := lock.NewScratch(t.Context(), root, parent, nil)
	require.NoError(t, err)
	fi, err := os.Stat(s.Dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), fi.Mode().Perm())
	require.True(t, strings.HasPrefix(filepath.Base(s.Dir), "."), "it is hidden")
	require.NoError(t, os.WriteFile(filepath.Join(s.Dir, "file"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(parent, "kept"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(parent, lock.Doomed("x")), 0o755))
	swept, err := lock.Sweep(t.Context(), parent, false)
	require.NoError(t, err)
	require.Equal(t, []string{lock.Doomed("x")}, swept, "neither what is being written nor what is no scratch")
	require.NoError(t, s.Discard())
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, left, 1)
}
