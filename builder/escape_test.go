package builder_test

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
)

//go:embed testdata/escape.c
var escapeProgram []byte

// cell is a build environment as a run has it, with the default target's image.
type cell struct {
	arch    string
	layers  []string
	dir     string // the runtime's
	runtime *sandbox.Runtime
	store   *store.Store
}

// newCell takes the image from the state that tests and runs share.
func newCell(t *testing.T, arch string) *cell {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc")
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	target, err := c.Target("Debian_12")
	require.NoError(t, err)
	from := target.Image.Bootstrap
	state := testenv.State(t)
	st, err := store.Open(filepath.Join(state, "store"))
	require.NoError(t, err)
	images := image.New(st, filepath.Join(state, "layers", "images"))
	b := debian.Bootstrap{Suite: from.Suite, Components: from.Components, Packages: from.Packages}
	if _, err := images.Find(b.Key(arch)); err != nil && os.Getenv("CI") != "true" {
		t.Skipf("%s holds no image of Debian_12 for %s (ohpc-build matrix makes it): %v", state, arch, err)
	}
	img, err := b.Image(t.Context(), images, arch, io.Discard)
	require.NoError(t, err)
	root, err := images.Unpack(t.Context(), img)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "run")
	rt, err := sandbox.New("runc", dir)
	require.NoError(t, err)
	own, err := store.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	return &cell{arch: arch, layers: root.Layers, dir: dir, runtime: rt, store: own}
}

// Layers are the image's, whatever is asked for.
func (c *cell) Layers(context.Context, buildroot.Image, []buildroot.Package, ...sandbox.Mount) ([]string, error) {
	return c.layers, nil
}

// build runs a script as the %build section of a package.
func (c *cell) build(t *testing.T, script string, limits builder.Limits) (*builder.Result, string, error) {
	t.Helper()
	spec, err := c.store.PutBytes(t.Context(), []byte(`
Name: hostile
Version: 1
Release: 1
Summary: A test
License: Apache-2.0
BuildArch: noarch

%description
A test.

%build
`+script+`

%files
`))
	require.NoError(t, err)
	if limits.Time == 0 {
		limits.Time = 2 * time.Minute
	}
	var log bytes.Buffer
	result, err := builder.New(c.store, c.runtime, c).Build(t.Context(), builder.Job{
		ID: "hostile/Debian_12/" + c.arch, Arch: c.arch, Spec: builder.File{Name: "hostile.spec", Digest: spec}, Limits: limits,
	}, &log)
	c.requireClean(t)
	return result, log.String(), err
}

// requireClean asserts that no folder and no process is left.
func (c *cell) requireClean(t *testing.T) {
	t.Helper()
	for _, folder := range []string{filepath.Join(c.store.Dir(), "tmp"), filepath.Join(c.dir, "containers")} {
		left, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Empty(t, left, folder)
	}
	require.Empty(t, processes(t, marker))
}

// marker is a word in the command lines of what hostile builds leave running.
const marker = "3613.75"

func processes(t *testing.T, word string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && bytes.Contains(line, []byte(word)) {
			found = append(found, string(line))
		}
	}
	return found
}

// host is what there is to reach outside.
type host struct {
	secret, port, socket, pid string
	files                     []string
}

func newHost(t *testing.T) host {
	t.Helper()
	h := host{secret: filepath.Join(t.TempDir(), "secret"), socket: "ohpc-test-" + strconv.Itoa(os.Getpid())}
	require.NoError(t, os.WriteFile(h.secret, []byte("the host's"), 0o644))
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { tcp.Close() })
	_, h.port, err = net.SplitHostPort(tcp.Addr().String())
	require.NoError(t, err)
	abstract, err := net.Listen("unix", "@"+h.socket)
	require.NoError(t, err)
	t.Cleanup(func() { abstract.Close() })
	// A process of the user that the build's user is on the host.
	victim := exec.Command("sleep", "600")
	victim.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	require.NoError(t, victim.Start())
	t.Cleanup(func() {
		_ = victim.Process.Kill()
		_ = victim.Wait()
	})
	h.pid = strconv.Itoa(victim.Process.Pid)
	h.files = []string{
		h.secret, "/proc/1/root" + h.secret, "/proc/self/root/../.." + h.secret, "/proc/" + h.pid + "/environ", "/proc/" + h.pid + "/root/etc/passwd",
		filepath.Join(testenv.State(t), "keys", "signing.asc"),
	}
	return h
}

// escape compiles and runs the hostile program in a container like a build's.
func (c *cell) escape(t *testing.T, h host, change func(*sandbox.Spec)) map[string]string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "escape.c"), escapeProgram, 0o644))
	require.NoError(t, os.Chown(dir, 1000, 1000))
	var out bytes.Buffer
	s := sandbox.Spec{
		Name: "escape", Layers: c.layers, Cwd: "/build", UID: 1000, GID: 1000, Timeout: 5 * time.Minute,
		Mounts: []sandbox.Mount{{Source: dir, Destination: "/build"}},
		Args:   append([]string{"/bin/sh", "-c", `gcc -o escape escape.c && ./escape "$@"`, "sh", h.port, h.socket, h.pid}, h.files...),
		Stdout: &out, Stderr: &out,
	}
	if change != nil {
		change(&s)
	}
	require.NoError(t, c.runtime.Run(t.Context(), s), out.String())
	require.True(t, strings.HasSuffix(out.String(), "done\n"), out.String())
	told := map[string]string{}
	for line := range strings.Lines(out.String()) {
		if name, what, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			told[name] = what
		}
	}
	return told
}

func TestEscape(t *testing.T) {
	attempts := bytes.Count(escapeProgram, []byte(`TRY("`)) // besides those on files of the host
	for _, arch := range []string{emulate.Host(), foreign()} {
		t.Run(arch, func(t *testing.T) {
			c, h := newCell(t, arch), newHost(t)
			told := c.escape(t, h, nil)
			require.Len(t, told, attempts+len(h.files))
			for name, what := range told {
				require.True(t, strings.HasPrefix(what, "refused"), "%s: %s", name, what)
			}
			if arch != emulate.Host() {
				return // the emulator knows some calls less, and says so in its own words
			}
			for _, name := range []string{
				"mount", "bind", "remount", "umount", "pivot_root", "fsopen", "open_tree", "unshare user", "unshare mount", "unshare network",
				"unshare pid", "clone user", "setns", "setuid", "setgid", "setgroups", "ambient capability", "weak memory", "more open files",
				"core files", "add_key", "request_key", "keyctl", "bpf", "perf_event_open", "userfaultfd", "io_uring", "open_by_handle_at",
				"kexec_load", "init_module", "finit_module", "delete_module", "quotactl", "syslog", "acct", "swapon", "fanotify", "host name", "clock", "reboot",
				"a disk's node", "a memory's node", "an owner", "chroot", "a packet socket", "a raw socket", "real time",
			} {
				require.Equal(t, "refused (Operation not permitted)", told[name], name)
			}
			require.Equal(t, "refused (Function not implemented)", told["clone3 user"])
			require.Equal(t, "refused (No such process)", told["a signal to a process of the host"])
		})
	}
}

// TestAttemptsThatWouldSucceed proves that the hostile program is able to, where it
// is let.
func TestAttemptsThatWouldSucceed(t *testing.T) {
	c, h := newCell(t, emulate.Host()), newHost(t)
	told := c.escape(t, h, func(s *sandbox.Spec) {
		s.Network, s.UID, s.GID, s.Privileges = true, 0, 0, sandbox.PackageManager
		s.Mounts = append(s.Mounts, sandbox.Mount{Source: h.secret, Destination: h.secret, ReadOnly: true})
	})
	for _, name := range []string{
		"tcp to the host's loopback", "an abstract socket of the host", h.secret, "/proc/1/root" + h.secret,
		"the image's passwords", "a new program in the image", "an owner", "setuid", "setgid", "setgroups",
	} {
		require.Equal(t, "ESCAPED", told[name], name)
	}
	for _, name := range []string{"mount", "unshare user", "clone user", "a disk's node", "bpf", "io_uring", "keyctl", "a socket to the hypervisor", "init_module"} {
		require.True(t, strings.HasPrefix(told[name], "refused"), "a package manager may not %s either: %s", name, told[name])
	}
}

func foreign() string {
	if emulate.Host() == "x86_64" {
		return "aarch64"
	}
	return "x86_64"
}

func TestSetuidGivesNothing(t *testing.T) {
	c := newCell(t, emulate.Host())
	layer := t.TempDir()
	program, err := os.ReadFile(filepath.Join(c.layers[len(c.layers)-1], "usr/bin/id"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(layer, "root-id"), program, 0o755))
	require.NoError(t, os.Chmod(filepath.Join(layer, "root-id"), 0o4755|os.ModeSetuid))
	require.NoError(t, os.Chmod(layer, 0o755))
	var out bytes.Buffer
	err = c.runtime.Run(t.Context(), sandbox.Spec{
		Name: "setuid", Layers: append([]string{layer}, c.layers...), UID: 1000, GID: 1000, Timeout: time.Minute, Stdout: &out, Stderr: &out,
		Args: []string{"/bin/sh", "-c", `
			test -u /root-id && test -u /bin/su || exit 1
			/root-id -u
			su -c id </dev/null && exit 1
			cp /usr/bin/id /tmp/own-id && chmod 4755 /tmp/own-id && /tmp/own-id -u
			chmod u+s /root-id && exit 1
			exit 0`},
	})
	require.NoError(t, err, out.String())
	require.Equal(t, 2, strings.Count(out.String(), "1000\n"), out.String())
	require.NotContains(t, out.String(), "uid=0")
}

func TestHostileBuilds(t *testing.T) {
	c := newCell(t, emulate.Host())
	for name, tc := range map[string]struct {
		script string
		limits builder.Limits
		want   []string
	}{
		"takes all memory": {
			"tail /dev/zero",
			builder.Limits{Memory: 128 << 20},
			[]string{"killed by its memory limit of 128 MiB (peak 12", "oom_kill 1", "raise needs.memory", "Killed"},
		},
		"takes memory one by one": {
			"for i in 1 2 3 4 5 6 7 8; do head -c 40M /dev/zero | tail & done; wait; exit 1",
			builder.Limits{Memory: 128 << 20},
			[]string{"killed by its memory limit of 128 MiB (peak 12"},
		},
		"starts processes without end": {
			"while :; do sleep " + marker + " & done",
			builder.Limits{Pids: 64},
			[]string{"limit of 64 processes", "more were refused"},
		},
		"is a fork bomb": {
			"bomb() { bomb | bomb & }; (bomb) & while :; do :; done",
			builder.Limits{Pids: 200, Time: 4 * time.Second},
			[]string{"ran past its time limit of 4s"},
		},
		"fills the disk": {
			"cat /dev/zero > zeros",
			builder.Limits{Disk: 64 << 20},
			[]string{"ended by its disk limit of 64 MiB (it used ", "raise needs.disk"},
		},
		"fills the disk outside its folder": {
			"cat /dev/zero > /var/tmp/zeros",
			builder.Limits{Disk: 64 << 20},
			[]string{"ended by its disk limit of 64 MiB"},
		},
		"fills the disk with what cannot be seen": {
			"exec 3> gone; rm gone; cat /dev/zero >&3",
			builder.Limits{Disk: 64 << 20},
			[]string{"ended by its disk limit of 64 MiB"},
		},
		"fills the disk with empty files": {
			"n=0; while :; do mkdir $n; (cd $n; touch $(seq 1000)); n=$((n+1)); done",
			builder.Limits{Disk: 16 << 20},
			[]string{"ended by its disk limit of 16 MiB"},
		},
		"makes a file of nothing but holes": {
			"truncate -s 30G /build/RPMS/sparse.rpm",
			builder.Limits{Disk: 64 << 20},
			[]string{"File size limit exceeded"},
		},
		"prints without end": {
			"yes 'all work and no play'",
			builder.Limits{},
			[]string{"it flooded its log: it printed more than 1024 MiB and was ended"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, log, err := c.build(t, tc.script, tc.limits)
			var (
				build *builder.BuildError
				limit *builder.TimeLimitError
			)
			require.True(t, errors.As(err, &build) || errors.As(err, &limit), "the package's fault: %v", err)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
			require.Less(t, len(log), 300<<20)
			require.Less(t, time.Since(begin), 60*time.Second)
		})
	}
}

func TestWhatABuildLeavesRunningIsEnded(t *testing.T) {
	c := newCell(t, emulate.Host())
	result, log, err := c.build(t, `
(setsid sh -c 'trap "" HUP TERM; sleep `+marker+` & sleep `+marker+`' >/dev/null 2>&1 &)
until grep -l '[s]leep.`+marker+`' /proc/[0-9]*/cmdline; do :; done
printf 'it %s\n' runs`, builder.Limits{})
	require.NoError(t, err, log)
	require.Contains(t, log, "it runs\n", "the shell's trace does not hold it, and may stand before it on its line")
	require.NotEmpty(t, result.Packages)
}

func TestWhatABuildPutsAmongItsPackages(t *testing.T) {
	c := newCell(t, emulate.Host())
	for name, tc := range map[string]struct {
		script string
		want   string // of the error; none: the build succeeds with its own packages only
	}{
		"links and pipes": {`
			ln -s /etc/shadow /build/RPMS/link-1-1.noarch.rpm
			ln -s /etc /build/RPMS/etc.rpm
			mkfifo /build/RPMS/pipe-1-1.noarch.rpm
			ln /etc/passwd /build/RPMS/hard-1-1.noarch.rpm || true
			mkdir -p /build/SRPMS/folder.rpm`, ""},
		"a way out of the folder": {
			"mv /build/SRPMS /build/S; ln -s /proc/self/root/etc /build/SRPMS", "collecting packages",
		},
		"a line of a list": {
			"touch \"$(printf '/build/RPMS/a\\nb.rpm')\"", `"a\nb.rpm" is not the name of a package`,
		},
		"an option": {"touch /build/RPMS/--root=.rpm", `"--root=.rpm" is not the name of a package`},
		"terabytes": {"truncate -s 30G /build/RPMS/sparse-1-1.noarch.rpm", "packages of one build may have 16.0 GiB together"},
	} {
		t.Run(name, func(t *testing.T) {
			result, log, err := c.build(t, tc.script, builder.Limits{})
			if tc.want != "" {
				require.ErrorContains(t, err, tc.want)
				return
			}
			require.NoError(t, err, log)
			var files []string
			for _, p := range result.Packages {
				files = append(files, p.File)
			}
			require.Equal(t, []string{"hostile-1-1.noarch.rpm", "hostile-1-1.src.rpm"}, files)
		})
	}
}

func TestWhatABuildUsedIsTold(t *testing.T) {
	c := newCell(t, emulate.Host())
	result, log, err := c.build(t, "head -c 100M /dev/zero | tail -c 100M | sha256sum", builder.Limits{Memory: 1 << 30})
	require.NoError(t, err, log)
	require.Greater(t, result.PeakMemory, int64(100<<20))
	require.Less(t, result.PeakMemory, int64(1<<30))
	require.Greater(t, result.CPUSeconds, 0.01)
	require.Less(t, result.CPUSeconds, result.Seconds*float64(runtime.NumCPU())+1)
}
