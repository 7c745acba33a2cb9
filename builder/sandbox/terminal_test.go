package sandbox_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

// openPTY opens a pseudo terminal: the side of whoever types, and that of programs.
func openPTY(t *testing.T) (typist, terminal *os.File) {
	t.Helper()
	typist, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { typist.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(typist.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(typist.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(typist.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 77}))
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return typist, terminal
}

// screen remembers what a terminal showed.
type screen struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

func TestOnATerminal(t *testing.T) {
	b := newBox(t)
	for _, applet := range []string{"stty", "tty", "test"} {
		require.NoError(t, os.Symlink("busybox", filepath.Join(b.root, "bin", applet)))
	}
	typist, terminal := openPTY(t)
	// The terminal is the program's own: another process has to be the program.
	cmd := exec.Command(os.Args[0], "-test.run", "TestTheProgramOnATerminal", "-test.v")
	cmd.Env = append(os.Environ(), "OHPC_TEST_TERMINAL="+b.dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	require.NoError(t, terminal.Close())
	shown := &screen{}
	go func() { _, _ = io.Copy(shown, typist) }()
	wait := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(shown.String(), text) }, 30*time.Second, 10*time.Millisecond, "%q, not in\n%s", text, shown)
	}
	typed := func(text string) {
		t.Helper()
		_, err := io.WriteString(typist, text)
		require.NoError(t, err)
	}
	wait("ready>")
	typed("tty && echo si''ze $(stty size) id $(id -u)\r")
	wait("size 33 77 id 1000")
	require.Contains(t, shown.String(), "/dev/pts/0", "a terminal of the container's own")
	typed("sleep 3613\r")
	require.Eventually(t, func() bool { return len(processes(t, "3613")) > 0 }, 10*time.Second, 10*time.Millisecond)
	typed("\x03") // Ctrl-C is for what runs in the container, not for the program
	typed("echo go''es on\r")
	wait("goes on")
	require.Empty(t, processes(t, "3613"))
	typed("exit 7\r")
	wait("the shell ended: exit status 7")
	require.NoError(t, cmd.Wait(), shown.String())
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
