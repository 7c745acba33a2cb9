package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/image"
)

const (
	// format is part of every image's key. It grows when the way in which an
	// image is made changes what is in it.
	format = 2

	// Keyring is where the package debian-archive-keyring keeps what the
	// archive's signatures are verified with.
	Keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

	// bootTimeout bounds one bootstrap; an emulated one takes some minutes.
	bootTimeout = time.Hour

	// killPatience is how long what is left of mmdebstrap may keep its output open.
	killPatience = 3 * time.Second

	// maxTail is how much of the output an error carries, in bytes.
	maxTail = 4 << 10

	// enclose gives mmdebstrap processes and mounts of its own, so that the kernel
	// ends all of them with it, however it ends. binfmt_misc comes back, as
	// mmdebstrap looks there for the emulator. It is the one that was there: a user
	// namespace would get one of its own, without emulators (linux 6.7). The first
	// argument is an empty folder.
	enclose = `binfmt=/proc/sys/fs/binfmt_misc
mount --bind "$binfmt" "$1" 2>/dev/null
mount -t proc proc /proc || exit
mountpoint -q "$1" && mount --bind "$1" "$binfmt" && umount "$1"
shift
exec "$@"`
)

// Bootstrap says what a root file system is made of. It is all that the image
// depends on, but for the state of the archive.
type Bootstrap struct {
	Suite      string
	Components []string // main when empty
	Packages   []string // beside the essential ones
	Mirrors    []string // URIs or sources.list lines; empty: as this host's apt
}

// Error says that mmdebstrap failed.
type Error struct {
	Suite, Arch string
	Tail        string // the last lines that it printed
	Err         error
}

func (e *Error) Error() string {
	return fmt.Sprintf("bootstrapping %s for %s: %v\n%s", e.Suite, e.Arch, e.Err, e.Tail)
}

func (e *Error) Unwrap() error { return e.Err }

// MissingError says that a program or file that bootstrapping needs is not on
// the host.
type MissingError struct{ What, Package string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is missing, Debian images cannot be made: sudo sh ci/setup-host.sh, or install the package %s", e.What, e.Package)
}

// Key names the image of an architecture (rpm's name).
func (b Bootstrap) Key(arch string) string {
	return fmt.Sprintf("debian %d %s %s %q %q %q", format, arch, b.Suite, b.Components, slices.Sorted(slices.Values(b.Packages)), b.Mirrors)
}

// Image returns the image for an architecture. It is bootstrapped unless images
// has it; log gets what mmdebstrap prints.
func (b Bootstrap) Image(ctx context.Context, images *image.Images, arch string, log io.Writer) (*image.Image, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	key := b.Key(arch)
	return images.Alone(ctx, key, func() (*image.Image, error) {
		return b.make(ctx, images, key, arch, log)
	})
}

// check refuses what mmdebstrap would take for something else.
func (b Bootstrap) check() error {
	for _, word := range slices.Concat([]string{b.Suite}, b.Components, b.Packages) {
		if word == "" || strings.HasPrefix(word, "-") || strings.ContainsAny(word, ", \t\n'\"?~()") {
			return fmt.Errorf("bootstrapping a Debian image: %q is not the name of a suite, component or package", word)
		}
	}
	return nil
}

func (b Bootstrap) make(ctx context.Context, images *image.Images, key, arch string, log io.Writer) (*image.Image, error) {
	for _, need := range []MissingError{{"mmdebstrap", "mmdebstrap"}, {"unshare", "util-linux"}} {
		if _, err := exec.LookPath(need.What); err != nil {
			return nil, &need
		}
	}
	if _, err := os.Stat(Keyring); err != nil {
		return nil, &MissingError{What: Keyring, Package: "debian-archive-keyring"}
	}
	debArch, err := image.DebianArch(arch)
	if err != nil {
		return nil, err
	}
	tmp, err := images.Temp("debian-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, fmt.Errorf("mmdebstrap ran past its limit of %s", bootTimeout))
	defer cancel()
	args, err := b.args(ctx, arch, debArch)
	if err != nil {
		return nil, err
	}

	raw, rawEnd := io.Pipe()
	clean, cleanEnd := io.Pipe()
	tail := &tail{}
	ran := make(chan error, 1)
	go func() {
		err := run(ctx, tmp, args, rawEnd, io.MultiWriter(log, tail))
		rawEnd.CloseWithError(err)
		ran <- err
	}()
	go func() {
		err := settle(raw, cleanEnd)
		raw.CloseWithError(err) // ends mmdebstrap when its output is of no use
		cleanEnd.CloseWithError(err)
	}()
	img, err := images.Append(ctx, key, nil, arch, "bootstrap of "+b.Suite, clean)
	clean.CloseWithError(err)
	runErr := <-ran
	switch cause := context.Cause(ctx); {
	case err == nil:
		return img, nil
	case cause != nil:
		return nil, fmt.Errorf("bootstrapping %s for %s: %w", b.Suite, arch, cause)
	case runErr != nil && errors.Is(err, runErr): // otherwise it failed because nobody took its output
		return nil, &Error{Suite: b.Suite, Arch: arch, Tail: tail.String(), Err: runErr}
	}
	return nil, err
}

// args is mmdebstrap's command line.
func (b Bootstrap) args(ctx context.Context, arch, debArch string) ([]string, error) {
	components := b.Components
	if len(components) == 0 {
		components = []string{"main"}
	}
	args := []string{
		"mmdebstrap", "--mode=root", "--variant=essential", "--format=tar", "--architectures=" + debArch,
		"--components=" + strings.Join(components, ","),
		"--aptopt=APT::Install-Recommends \"false\"",
		"--aptopt=Acquire::Retries \"3\"",
		"--aptopt=Acquire::http::Timeout \"30\"",
		"--aptopt=Acquire::https::Timeout \"30\"",
		// A bootstrap that is cut short is thrown away, so that nothing needs to
		// reach the disk in order.
		"--dpkgopt=force-unsafe-io",
	}
	args = append(args, hooks(arch)...)
	if len(b.Packages) > 0 {
		args = append(args, "--include="+strings.Join(b.Packages, ","))
	}
	for _, path := range []string{"man", "info", "locale", "lintian", "doc"} {
		args = append(args, "--dpkgopt=path-exclude=/usr/share/"+path+"/*")
	}
	args = append(args, "--dpkgopt=path-include=/usr/share/doc/*/copyright")
	mirrors := b.Mirrors
	if len(mirrors) == 0 {
		apt, err := readApt(ctx)
		if err != nil {
			return nil, err
		}
		mirrors = apt.mirrors(b.Suite, components)
		for _, option := range apt.proxies {
			args = append(args, "--aptopt="+option)
		}
	}
	args = append(args, b.Suite, "-")
	return append(args, mirrors...), nil
}

// run runs mmdebstrap and ends it, and all that it started, with the context or
// with this program.
func run(ctx context.Context, tmp string, args []string, stdout, stderr io.Writer) error {
	// The kernel sends Pdeathsig when the thread ends that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	aside := filepath.Join(tmp, "binfmt")
	if err := os.Mkdir(aside, 0o755); err != nil {
		return err
	}
	wrapped := []string{"--fork", "--pid", "--mount", "--propagation=private", "--kill-child", "--", "sh", "-c", enclose, "enclose", aside}
	cmd := exec.CommandContext(ctx, "unshare", append(wrapped, args...)...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Env = append(
		os.Environ(), "TMPDIR="+tmp, "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
		"SOURCE_DATE_EPOCH="+strconv.Itoa(image.Epoch),
		"PATH=/"+native+"/bin:"+defaultPath, // the first is there only inside a foreign root
	)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = killPatience
	// What mmdebstrap leaves is in tmp, which goes as a whole.
	cmd.Dir = filepath.Clean(tmp)
	return cmd.Run()
}

// tail keeps the end of what is written to it.
type tail struct{ buf []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - maxTail; over > 0 {
		t.buf = append([]byte{}, t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	text := bytes.TrimSpace(t.buf)
	if len(t.buf) == maxTail {
		if _, rest, ok := bytes.Cut(text, []byte("\n")); ok {
			text = rest // the first line is cut
		}
	}
	return string(text)
}
