package trial

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
)

// again tries so often.
type again int

func (n again) Try(_ context.Context, _ string, log io.Writer, try func() error) (attempts int, err error) {
	for attempts = 1; ; attempts++ {
		if err = try(); err == nil || attempts == int(n) {
			return attempts, err
		}
		_, _ = io.WriteString(log, "=== trying again\n")
	}
}

func (again) Blame(err error, attempts int) string {
	return err.Error() + " (" + strconv.Itoa(attempts) + " attempts)"
}

func TestLostContainers(t *testing.T) {
	const gib = 1 << 30
	limits := sandbox.Limits{Memory: gib}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"success":                      {nil, false},
		"a command that fails":         {&sandbox.ExitError{Code: 1}, false},
		"killed from outside":          {&sandbox.ExitError{Code: 137}, true},
		"its own memory limit":         {&sandbox.ExitError{Code: 137, Limits: limits, Used: sandbox.Usage{Memory: gib, Killed: 1}}, false},
		"the host's memory":            {&sandbox.ExitError{Code: 137, Limits: limits, Used: sandbox.Usage{Memory: gib / 4, Killed: 1}}, true},
		"the host's memory, a child's": {&sandbox.ExitError{Code: 1, Limits: limits, Used: sandbox.Usage{Memory: gib / 4, Killed: 2}}, true},
		"memory without groups":        {&sandbox.MemoryError{Limit: gib, Used: 2 * gib}, false},
		"its time limit":               {sandbox.ErrTimeout, false},
		"no container":                 {&sandbox.StartError{Message: "mounting its root: no such device"}, true},
		"no runtime":                   {&sandbox.StartError{Message: "runc is not installed"}, true},
		"no such program":              {&sandbox.StartError{Message: `unable to start container process: exec: "zypper": executable file not found in $PATH`}, false},
		"the end of the run":           {context.Canceled, false},
	} {
		require.Equal(t, tc.want, lost(tc.err), name)
	}
}

// fragile kills containers from outside while they run a command that holds a word, or
// does something else to them, so many times.
type fragile struct {
	Sandbox
	word   string
	times  atomic.Int32
	killed atomic.Int32
	do     func(*sandbox.Spec) (kill bool)
}

func (f *fragile) Run(ctx context.Context, s sandbox.Spec) error {
	if !strings.Contains(strings.Join(s.Args, " "), f.word) || f.times.Add(-1) < 0 || !f.do(&s) {
		return f.Sandbox.Run(ctx, s)
	}
	marker := "OHPC_FRAGILE=" + strconv.FormatInt(time.Now().UnixNano(), 36)
	s.Env = append(s.Env, marker)
	s.Args = append([]string{"/bin/sh", "-c", `sleep 60; exec "$@"`, "sh"}, s.Args...) // it waits for its end
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if killFirst(marker) {
				f.killed.Add(1)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return f.Sandbox.Run(ctx, s)
}

// killFirst kills the first process of the container that has the mark.
func killFirst(marker string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		env, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(env), marker) {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if fields := strings.Fields(line); fields[0] == "NSpid:" && len(fields) > 2 && fields[len(fields)-1] == "1" {
				pid, _ := strconv.Atoi(fields[1])
				return unix.Kill(pid, unix.SIGKILL) == nil
			}
		}
	}
	return false
}

func TestLostContainersOfChecks(t *testing.T) {
	c := newClients(t, "x86_64")
	old := repository(t, made(t, write.Package{Name: "app-1"})...)
	dir := repository(t, made(t, write.Package{Name: "app-2"})...)
	key, err := testKey()
	require.NoError(t, err)
	kill := func(*sandbox.Spec) bool { return true }
	const hungry = "x=x\nwhile :; do x=$x$x; done\n"
	for _, tc := range []struct {
		name, check, word, script string
		times                     int32
		tries                     again
		do                        func(*sandbox.Spec) bool
		want                      report.Outcome
		says, log                 string
	}{
		{name: "an installation", check: "install-dnf", word: "install --", times: 1, tries: 2, do: kill, want: report.Pass, log: "=== trying again"},
		{name: "without patience", check: "install-dnf", word: "install --", times: 1, tries: 1, do: kill, want: report.Fail, says: "its container was lost: ended by signal 9 (1 attempts)"},
		{name: "what all installations begin with", check: "install-zypper", word: "zypper", times: 1, tries: 2, do: kill, want: report.Pass},
		{name: "an upgrade", check: "upgrade", word: "upgrade", times: 1, tries: 2, do: kill, want: report.Pass, log: "=== trying again"},
		{name: "signatures", check: "signatures", word: "rpm", times: 1, tries: 2, do: kill, want: report.Pass},
		{name: "a test", check: "suite", word: "/tests/", script: "true\n", times: 2, tries: 3, do: kill, want: report.Pass, log: "=== trying again"},
		{name: "a test that is always lost", check: "suite", word: "/tests/", script: "true\n", times: 99, tries: 2, do: kill, want: report.Fail, says: "(2 attempts)"},
		{name: "what a test needs", check: "suite", word: "install --", script: "true\n", times: 1, tries: 2, do: kill, want: report.Pass},
		{name: "a test's own kill", check: "suite", word: "/tests/", script: "sleep 9 &\nkill -9 $!\nwait $! && exit 0\nexit 3\n", tries: 2, want: report.Fail, says: "exit status 3"},
		{name: "a test's memory limit", check: "suite", word: "/tests/", script: hungry, times: 1, tries: 2, do: func(s *sandbox.Spec) bool {
			s.Limits.Memory = 64 << 20
			return false
		}, want: report.Fail, says: "memory limit"},
		{name: "a test's time limit", check: "suite", word: "/tests/", script: "sleep 30\n", times: 1, tries: 2, do: func(s *sandbox.Spec) bool {
			s.Timeout = time.Second
			return false
		}, want: report.Fail, says: "time limit"},
		{name: "a program that there is not", check: "suite", word: "/tests/", script: "true\n", times: 1, tries: 2, do: func(s *sandbox.Spec) bool {
			s.Args = []string{"no-such-program"}
			return false
		}, want: report.Fail, says: "executable file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			own, err := store.Open(filepath.Join(t.TempDir(), "store"))
			require.NoError(t, err)
			cell := c.cell(t, dir, tc.check)
			cell.Managers, cell.Patience = []string{"dnf"}, tc.tries
			cell.Installs = []Install{{"app", []string{"app"}}}
			cell.Before = &Tree{Name: "the old one", Dir: old, ID: "old", PublicKey: key.PublicKey()}
			if tc.script != "" {
				cell.Tests = []Test{{Subject: "app", Script: "t.sh", Files: []File{{"t.sh", []byte(tc.script), store.Of([]byte(tc.script))}}, Packages: []string{"app"}, Limit: time.Minute}}
			}
			f := &fragile{Sandbox: c.runtime, word: tc.word, do: tc.do}
			f.times.Store(tc.times)
			logs := t.TempDir()
			rows, err := New(cell, own, f, filepath.Join(t.TempDir(), "work"), func(name string) (*os.File, error) {
				return os.Create(filepath.Join(logs, filepath.Base(name)))
			}).Run(t.Context(), NewSlots(2), quiet, quietEnd)
			require.NoError(t, err)
			require.Len(t, rows, 1)
			require.Equal(t, tc.want, rows[0].Result, rows[0].Reason)
			require.Contains(t, rows[0].Reason, tc.says)
			if tc.want == report.Fail && !strings.Contains(tc.says, "attempts") {
				require.NotContains(t, rows[0].Reason, "container was lost")
			}
			if tc.do != nil && tc.want == report.Pass {
				require.Equal(t, tc.times, f.killed.Load(), "so often it was killed")
			}
			log, err := os.ReadFile(filepath.Join(logs, filepath.Base(rows[0].Log)))
			require.NoError(t, err)
			require.Contains(t, string(log), tc.log)
		})
	}
}
