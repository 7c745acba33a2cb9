package sandbox_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

func TestOnATerminal(t *testing.T) {
	b := newBox(t)
	for _, applet := range []string{"stty", "tty"} {
		require.NoError(t, os.Symlink("busybox", filepath.Join(b.root, "bin", applet)))
	}
	// The terminal is the program's own: another process has to be the program.
	cmd := exec.Command(os.Args[0], "-test.run", "TestTheProgramOnATerminal", "-test.v")
	cmd.Env = append(os.Environ(), "OHPC_TEST_TERMINAL="+b.dir)
	terminal := testenv.OnTerminal(t, cmd)
	terminal.Wait("ready>")
	terminal.Type("tty && echo si''ze $(stty size) id $(id -u)\r")
	terminal.Wait("size 33 77 id 1000")
	require.Contains(t, terminal.String(), "/dev/pts/0", "a terminal of the container's own")
	terminal.Type("sleep 3613\r")
	require.Eventually(t, func() bool { return len(processes(t, "3613")) > 0 }, 10*time.Second, 10*time.Millisecond)
	terminal.Type("\x03") // is for what runs in the container, not for the program
	terminal.Type("echo go''es on\r")
	terminal.Wait("goes on")
	require.Empty(t, processes(t, "3613"))
	terminal.Type("exit 7\r")
	terminal.Wait("the shell ended: exit status 7")
	require.NoError(t, cmd.Wait(), terminal.String())
	b.requireClean(t)
}

// TestTheProgramOnATerminal is the process that TestOnATerminal types to.
func TestTheProgramOnATerminal(t *testing.T) {
	dir := os.Getenv("OHPC_TEST_TERMINAL")
	if dir == "" {
		t.Skip("only the helper of another test")
	}
	r, err := sandbox.New("runc", filepath.Join(dir, "state"))
	require.NoError(t, err)
	err = r.Run(t.Context(), sandbox.Spec{
		Name: "shell", Layers: []string{filepath.Join(dir, "root")}, Args: []string{"/bin/sh", "-i"},
		Env: []string{"PS1=ready>"}, UID: 1000, GID: 1000, Terminal: true, Timeout: time.Minute,
	})
	fmt.Printf("the shell ended: %v\n", err)
}
