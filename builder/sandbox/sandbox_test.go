package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

// box is a runtime, and a root file system that holds a static busybox.
type box struct {
	*sandbox.Runtime
	dir, root string
}

func newBox(t *testing.T) *box {
	t.Helper()
	testenv.Root(t)
	testenv.Programs(t, "runc", "busybox")
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	for _, sub := range []string{"bin", "etc", "tmp", "proc", "sys", "dev"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, sub), 0o755))
	}
	require.NoError(t, os.Chmod(filepath.Join(root, "tmp"), 0o1777))
	path, err := exec.LookPath("busybox")
	require.NoError(t, err)
	program, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "bin/busybox"), program, 0o755))
	for _, applet := range []string{"sh", "id", "cat", "ls", "sleep", "mount", "touch", "ip", "hostname", "grep", "dd", "mknod", "chown", "true", "unshare", "wc"} {
		require.NoError(t, os.Symlink("busybox", filepath.Join(root, "bin", applet)))
	}
	r, err := sandbox.New("runc", filepath.Join(dir, "state"))
	require.NoError(t, err)
	return &box{Runtime: r, dir: dir, root: root}
}

// sh runs a script of this test's own and returns what it printed.
func (b *box) sh(t *testing.T, script string, change func(*sandbox.Spec)) (string, error) {
	t.Helper()
	var out bytes.Buffer
	s := sandbox.Spec{
		Name: "test", Layers: []string{b.root}, Args: []string{"/bin/sh", "-c", script},
		Stdout: &out, Stderr: &out, Timeout: time.Minute,
	}
	if change != nil {
		change(&s)
	}
	err := b.Run(t.Context(), s)
	b.requireClean(t)
	return out.String(), err
}

// requireClean asserts that nothing of any container is left.
func (b *box) requireClean(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(b.dir, "state", "containers"))
	require.NoError(t, err)
	require.Empty(t, left, "folders")
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), b.dir, "mounts")
}

func TestWhatAnUnprivilegedCommandSees(t *testing.T) {
	b := newBox(t)
	t.Setenv("OHPC_TEST_SECRET", "hunter2")
	out, err := b.sh(t, `id -u; id -g; hostname; ip -o link | wc -l; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; echo "secret=$OHPC_TEST_SECRET"; cat`, func(s *sandbox.Spec) {
		s.UID, s.GID, s.HostName = 1000, 1001, "build"
		s.Stdin = strings.NewReader("from outside\n")
	})
	require.NoError(t, err, out)
	require.Equal(t, `1000
1001
build
1
NoNewPrivs:	1
Seccomp:	2
CapBnd:	0000000000000000
CapEff:	0000000000000000
`, regroup(out), "only a loopback device, no capability, the filter on")
	require.Contains(t, out, "secret=\n", "the host's environment stays outside")
	require.Contains(t, out, "from outside\n")
}

// regroup puts the kernel's lines in a fixed order and drops the rest.
func regroup(out string) string {
	var head, caps []string
	for line := range strings.Lines(out) {
		switch {
		case strings.HasPrefix(line, "Cap"):
			caps = append(caps, line)
		case strings.HasPrefix(line, "secret"), strings.HasPrefix(line, "from"):
		default:
			head = append(head, line)
		}
	}
	if len(caps) == 2 && caps[0] > caps[1] {
		caps[0], caps[1] = caps[1], caps[0]
	}
	return strings.Join(head, "") + strings.Join(caps, "")
}

func TestWhatACommandCannotDo(t *testing.T) {
	b := newBox(t)
	host := filepath.Join(b.dir, "host")
	require.NoError(t, os.WriteFile(host, []byte("host's"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(b.root, "etc/passwd"), []byte("root:x:0:0::/:/bin/sh\n"), 0o644))
	for name, script := range map[string]string{
		"mount a file system":        "mount -t tmpfs none /tmp",
		"make a device":              "mknod /tmp/sda b 8 0",
		"open a raw disk by number":  "mknod /dev/sda b 8 0 && dd if=/dev/sda of=/dev/null bs=1 count=1",
		"make a user namespace":      "unshare -U true",
		"write to a read-only mount": "echo changed > /host",
		"write to the kernel":        "echo 1 > /proc/sys/kernel/panic",
		"see the host's files":       "ls " + host,
		"reach an address":           "ip route get 192.0.2.1",
	} {
		t.Run(name, func(t *testing.T) {
			for _, privileges := range []sandbox.Privileges{sandbox.None, sandbox.PackageManager} {
				out, err := b.sh(t, script, func(s *sandbox.Spec) {
					s.Privileges = privileges
					s.Mounts = []sandbox.Mount{{Source: host, Destination: "/host", ReadOnly: true}}
				})
				var exit *sandbox.ExitError
				require.ErrorAs(t, err, &exit, out)
			}
		})
	}
	got, err := os.ReadFile(host)
	require.NoError(t, err)
	require.Equal(t, "host's", string(got))
}

func TestAPackageManagerMayChangeOwners(t *testing.T) {
	b := newBox(t)
	const script = "touch /tmp/file && chown 12:34 /tmp/file"
	out, err := b.sh(t, script, func(s *sandbox.Spec) { s.Privileges = sandbox.PackageManager })
	require.NoError(t, err, out)
	_, err = b.sh(t, script, nil)
	require.Error(t, err)
}

func TestLayersAndChanges(t *testing.T) {
	b := newBox(t)
	upper := filepath.Join(b.dir, "upper")
	top := filepath.Join(b.dir, "top")
	require.NoError(t, os.MkdirAll(filepath.Join(top, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(top, "etc/word"), []byte("top\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(b.root, "etc/word"), []byte("bottom\n"), 0o644))

	out, err := b.sh(t, "cat /etc/word; echo kept > /etc/kept", func(s *sandbox.Spec) {
		s.Layers = []string{top, b.root}
		s.Upper = upper
	})
	require.NoError(t, err, out)
	require.Equal(t, "top\n", out)
	out, err = b.sh(t, "cat /etc/kept", func(s *sandbox.Spec) { s.Upper = upper })
	require.NoError(t, err, out)
	require.Equal(t, "kept\n", out, "a second command goes on where the first ended")
	require.NoFileExists(t, filepath.Join(b.root, "etc/kept"))
	require.NoDirExists(t, upper+".work")

	_, err = b.sh(t, "echo forgotten > /etc/forgotten", nil)
	require.NoError(t, err)
	_, err = b.sh(t, "cat /etc/forgotten", nil)
	require.Error(t, err)

	_, err = b.sh(t, "echo > /etc/new", func(s *sandbox.Spec) { s.ReadOnlyRoot = true })
	require.Error(t, err)
}

func TestEndings(t *testing.T) {
	b := newBox(t)
	_, err := b.sh(t, "exit 7", nil)
	var exit *sandbox.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 7, exit.Code)

	_, err = b.sh(t, "exit 125", nil)
	require.ErrorAs(t, err, &exit, "not mistaken for a failure to mount")
	require.Equal(t, 125, exit.Code)

	_, err = b.sh(t, "", func(s *sandbox.Spec) { s.Args = []string{"/bin/nothing"} })
	var start *sandbox.StartError
	require.ErrorAs(t, err, &start)
	require.ErrorContains(t, err, "/bin/nothing")

	_, err = b.sh(t, "", func(s *sandbox.Spec) { s.Layers = []string{filepath.Join(b.dir, "absent")} })
	require.ErrorAs(t, err, &start)
	require.ErrorContains(t, err, "mounting its root")

	for _, layer := range []string{"/a:b", "/a,upperdir=b", "relative", ""} {
		_, err = b.sh(t, "", func(s *sandbox.Spec) { s.Layers = []string{layer} })
		require.ErrorAs(t, err, &start, layer)
	}
	_, err = b.sh(t, "", func(s *sandbox.Spec) {
		s.Mounts = []sandbox.Mount{{Source: b.dir, Destination: "/etc/../"}}
	})
	require.ErrorAs(t, err, &start)

	_, err = sandbox.New("no-such-runtime", b.dir)
	var absent *sandbox.MissingError
	require.ErrorAs(t, err, &absent)
	require.ErrorContains(t, err, "no-such-runtime")
}

// stubborn ignores signals and has children that do.
const stubborn = `trap '' TERM INT HUP; (trap '' TERM INT HUP; sleep 3600 & sleep 3600) & echo started; sleep 3600; sleep 3600`

// TestARuntimeThatVanished ends like a command that the shell does not find.
func TestARuntimeThatVanished(t *testing.T) {
	b := newBox(t)
	runtime := filepath.Join(b.dir, "runc")
	require.NoError(t, os.WriteFile(runtime, []byte("#!/bin/sh\nexec runc \"$@\"\n"), 0o755))
	var err error
	b.Runtime, err = sandbox.New(runtime, filepath.Join(b.dir, "state"))
	require.NoError(t, err)
	_, err = b.sh(t, "exit 127", nil)
	var exit *sandbox.ExitError
	require.ErrorAs(t, err, &exit)
	require.NoError(t, os.Remove(runtime))
	_, err = b.sh(t, "true", nil)
	var start *sandbox.StartError
	require.ErrorAs(t, err, &start)
	require.Contains(t, start.Message, "is not installed")
}

func TestTimeLimit(t *testing.T) {
	b := newBox(t)
	begin := time.Now()
	_, err := b.sh(t, stubborn, func(s *sandbox.Spec) { s.Timeout = time.Second })
	require.ErrorIs(t, err, sandbox.ErrTimeout)
	require.Less(t, time.Since(begin), 6*time.Second)
}

// started closes a channel when it is first written to.
type started struct{ c chan struct{} }

func (s *started) Write(p []byte) (int, error) {
	select {
	case <-s.c:
	default:
		close(s.c)
	}
	return len(p), nil
}

func TestTheEndOfTheContextEndsEverything(t *testing.T) {
	b := newBox(t)
	why := errors.New("somebody pressed a key")
	ctx, cancel := context.WithCancelCause(t.Context())
	out := &started{make(chan struct{})}
	marker := "3611.25" // tells these processes from others
	go func() {
		<-out.c
		cancel(why)
	}()
	var cancelled time.Time
	context.AfterFunc(ctx, func() { cancelled = time.Now() })
	err := b.Run(ctx, sandbox.Spec{
		Name: "test", Layers: []string{b.root}, Stdout: out,
		Args: []string{"/bin/sh", "-c", strings.ReplaceAll(stubborn, "3600", marker)},
	})
	require.ErrorIs(t, err, why)
	require.Less(t, time.Since(cancelled), 5*time.Second)
	require.Empty(t, processes(t, marker))
	b.requireClean(t)
}

// processes lists the command lines on the host that hold a word.
func processes(t *testing.T, word string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && bytes.Contains(line, []byte(word)) {
			found = append(found, string(line))
		}
	}
	return found
}

func TestCleanEndsWhatAKilledProgramLeft(t *testing.T) {
	b := newBox(t)
	if os.Getenv("OHPC_TEST_OWNER") != "" {
		return
	}
	marker := "3612.5"
	// Another process owns the container; it is killed without a chance to clean up.
	cmd := exec.Command(os.Args[0], "-test.run", "TestOwner", "-test.v")
	cmd.Env = append(os.Environ(), "OHPC_TEST_OWNER="+b.dir, "OHPC_TEST_MARKER="+marker)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	buf := make([]byte, 4096)
	for line := ""; !strings.Contains(line, "container runs"); {
		n, err := out.Read(buf)
		require.NoError(t, err, line)
		line += string(buf[:n])
	}
	require.NoError(t, b.Clean(), "a living owner's container is left alone")
	require.NotEmpty(t, processes(t, marker))

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.NoError(t, b.Clean())
	require.Eventually(t, func() bool { return len(processes(t, marker)) == 0 }, 5*time.Second, 50*time.Millisecond)
	b.requireClean(t)
}

// TestOwner is the process that TestCleanEndsWhatAKilledProgramLeft kills.
func TestOwner(t *testing.T) {
	dir := os.Getenv("OHPC_TEST_OWNER")
	if dir == "" {
		t.Skip("only the helper of another test")
	}
	r, err := sandbox.New("runc", filepath.Join(dir, "state"))
	require.NoError(t, err)
	out := &started{make(chan struct{})}
	go func() {
		<-out.c
		fmt.Println("container runs")
	}()
	_ = r.Run(t.Context(), sandbox.Spec{
		Name: "test", Layers: []string{filepath.Join(dir, "root")}, Stdout: out,
		Args: []string{"/bin/sh", "-c", strings.ReplaceAll(stubborn, "3600", os.Getenv("OHPC_TEST_MARKER"))},
	})
}

func TestLimits(t *testing.T) {
	b := newBox(t)
	out, err := b.sh(t, `i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; echo all started`, func(s *sandbox.Spec) {
		s.Limits.Pids = 20
	})
	require.Error(t, err)
	require.NotContains(t, out, "all started")

	_, err = b.sh(t, `dd if=/dev/zero of=/dev/null bs=256M count=1`, func(s *sandbox.Spec) { s.Limits.Memory = 64 << 20 })
	var exit *sandbox.ExitError
	require.ErrorAs(t, err, &exit)
	require.ErrorContains(t, err, "64 MiB")
	_, err = b.sh(t, `dd if=/dev/zero of=/dev/null bs=32M count=1`, func(s *sandbox.Spec) { s.Limits.Memory = 64 << 20 })
	require.NoError(t, err)
}

func TestManyAtOnce(t *testing.T) {
	b := newBox(t)
	ended := make(chan error)
	for range 6 {
		go func() {
			ended <- b.Run(t.Context(), sandbox.Spec{Name: "test", Layers: []string{b.root}, Args: []string{"/bin/true"}})
		}()
	}
	for range 6 {
		require.NoError(t, <-ended)
	}
	b.requireClean(t)
}
