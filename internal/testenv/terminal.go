package testenv

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudo terminal on which a program runs that a test types to.
type Terminal struct {
	t    testing.TB
	side *os.File // that of whoever types

	mu    sync.Mutex
	shown bytes.Buffer
}

// OnTerminal starts a command on a pseudo terminal of 33 lines and 77 columns, which
// becomes its controlling one.
func OnTerminal(t testing.TB, cmd *exec.Cmd) *Terminal {
	t.Helper()
	side, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		Missing(t, "there are no pseudo terminals: "+err.Error())
	}
	t.Cleanup(func() { side.Close() })
	fd := int(side.Fd())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(err)
	must(unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 77}))
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(err)
	defer tty.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(cmd.Start())
	s := &Terminal{t: t, side: side}
	go func() { _, _ = io.Copy(s, side) }()
	return s
}

// Write takes what the terminal shows.
func (s *Terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.Write(p)
}

// String is all that the terminal has shown.
func (s *Terminal) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// Type types: \r is the key of the end of a line, \x03 is Ctrl-C.
func (s *Terminal) Type(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.side, keys); err != nil {
		s.t.Fatal(err)
	}
}

// Wait waits until the terminal shows a text. A terminal also shows what is typed:
// commands should print something else than what they are.
func (s *Terminal) Wait(text string) {
	s.t.Helper()
	const patience = 2 * time.Minute
	for deadline := time.Now().Add(patience); !strings.Contains(s.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the terminal did not show %q in %s, but\n%s", text, patience, s)
		}
	}
}
