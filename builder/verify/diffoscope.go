package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

const (
	diffoscopeTime  = 10 * time.Minute
	diffoscopeBytes = 16 << 20
	nobody          = 65534
)

// Diffoscope has diffoscope compare the packages that differ, if the host has it,
// and writes what it prints to w. It calls many programs on files that a stranger's
// spec made, so that it does not run as root.
func (v *Verifier) Diffoscope(ctx context.Context, o *Outcome, w io.Writer) error {
	program, err := exec.LookPath("diffoscope")
	if err != nil {
		return nil //nolint:nilerr // it is not required
	}
	for _, p := range o.Different() {
		if p.First == "" || p.Second == "" {
			continue
		}
		if err := v.diffoscope(ctx, program, p, w); err != nil {
			return fmt.Errorf("diffoscope on two builds of %s: %w", p.File, err)
		}
	}
	return nil
}

func (v *Verifier) diffoscope(ctx context.Context, program string, p Package, w io.Writer) error {
	// Not below the state, which may be in a folder that is root's alone.
	dir, err := os.MkdirTemp("", "ohpc-build-diffoscope-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command(program, "--text", "-", "--max-text-report-size", strconv.Itoa(diffoscopeBytes), "--no-progress")
	for name, digest := range map[string]store.Digest{"first": p.First, "second": p.Second} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
		if err := v.store.CopyTo(digest, filepath.Join(dir, name, p.File)); err != nil {
			return err
		}
	}
	cmd.Args = append(cmd.Args, filepath.Join(dir, "first", p.File), filepath.Join(dir, "second", p.File))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, w, w
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			return err
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return run(ctx, cmd)
}

// run ends a program and all that it started when its time is up. Status 1 is how
// diffoscope says that there are differences.
func run(ctx context.Context, cmd *exec.Cmd) error {
	ctx, cancel := context.WithTimeout(ctx, diffoscopeTime)
	defer cancel()
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	err := cmd.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	return err
}
