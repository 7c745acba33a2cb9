package emulate

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	binfmtDir = "/proc/sys/fs/binfmt_misc"
	setupHint = "sudo sh ci/setup-host.sh"

	// trialTimeout bounds the run of the trial program, which does nothing.
	trialTimeout = 30 * time.Second
)

// Problem says why programs of an architecture do not run here, and what to do.
type Problem struct {
	Arch   string
	Reason string // one sentence
	Remedy string // one command
}

func (p *Problem) Error() string {
	return fmt.Sprintf("programs for %s do not run here: %s; run: %s", p.Arch, p.Reason, p.Remedy)
}

// Host is the architecture of this machine, as rpm names it.
func Host() string {
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return runtime.GOARCH
}

// Native says whether programs of an architecture run here without emulation.
func Native(arch string) bool { return arch == Host() }

// Preflight checks that programs of an architecture run here, in containers too.
// The error is a *Problem.
func Preflight(ctx context.Context, arch string) error {
	if Native(arch) {
		return nil
	}
	return preflight(ctx, binfmtDir, arch)
}

func preflight(ctx context.Context, dir, arch string) error {
	problem := func(remedy, format string, args ...any) error {
		return &Problem{Arch: arch, Reason: fmt.Sprintf(format, args...), Remedy: remedy}
	}
	program, known := trialPrograms()[arch]
	if !known {
		return problem("ohpc-build matrix --arch "+Host(), "emulation of %s is not supported", arch)
	}
	if _, err := os.Stat(filepath.Join(dir, "status")); err != nil {
		return problem(setupHint, "binfmt_misc is not mounted at %s", dir)
	}
	if status, err := os.ReadFile(filepath.Join(dir, "status")); err == nil && strings.TrimSpace(string(status)) != "enabled" {
		return problem("echo 1 | sudo tee "+filepath.Join(dir, "status"), "binfmt_misc is switched off")
	}
	e, err := readEntry(filepath.Join(dir, "qemu-"+arch))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return problem(setupHint, "no interpreter is registered for them with the kernel (%s)", filepath.Join(dir, "qemu-"+arch))
	case err != nil:
		return problem(setupHint, "the kernel's entry for them cannot be read (%v)", err)
	case !e.enabled:
		return problem("echo 1 | sudo tee "+filepath.Join(dir, "qemu-"+arch), "the kernel's entry for them is switched off")
	case !strings.Contains(e.flags, "F"):
		return problem(setupHint, "the kernel's entry for them lacks the flag F, without which containers do not find %s", e.interpreter)
	}
	if err := try(ctx, program); err != nil {
		return problem(setupHint, "a trial program failed in %s (%v)", e.interpreter, err)
	}
	return nil
}

// entry is what the kernel tells of one registration (linux:
// Documentation/admin-guide/binfmt-misc.rst).
type entry struct {
	enabled     bool
	interpreter string
	flags       string
}

func readEntry(path string) (entry, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return entry{}, err
	}
	var e entry
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "enabled" {
			e.enabled = true
		}
		if rest, ok := strings.CutPrefix(line, "interpreter "); ok {
			e.interpreter = rest
		}
		if rest, ok := strings.CutPrefix(line, "flags:"); ok {
			e.flags = strings.TrimSpace(rest)
		}
	}
	return e, nil
}

// try runs a program that does nothing but end with success.
func try(ctx context.Context, program []byte) error {
	dir, err := os.MkdirTemp("", "ohpc-build-trial-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "trial")
	if err := os.WriteFile(path, program, 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path).CombinedOutput()
	if err != nil && len(out) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return err
}

// trialPrograms are static ELF programs whose whole code is exit(0).
func trialPrograms() map[string][]byte {
	return map[string][]byte{
		"aarch64": elf(183, []byte{
			0xa8, 0x0b, 0x80, 0xd2, // mov x8, #93
			0x00, 0x00, 0x80, 0xd2, // mov x0, #0
			0x01, 0x00, 0x00, 0xd4, // svc #0
		}),
		"x86_64": elf(62, []byte{
			0xb8, 0x3c, 0x00, 0x00, 0x00, // mov eax, 60
			0x31, 0xff, // xor edi, edi
			0x0f, 0x05, // syscall
		}),
	}
}

// elf wraps code for a machine (elf.h: EM_*) in the smallest executable: a header
// and one segment that holds all.
func elf(machine uint16, code []byte) []byte {
	const (
		headers = 64 + 56
		base    = 0x400000
	)
	size := uint64(headers + len(code))
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for _, field := range []any{
		uint16(2), machine, uint32(1), // ET_EXEC
		uint64(base + headers), uint64(64), uint64(0), uint32(0), // entry, program headers, no sections
		uint16(64), uint16(56), uint16(1), uint16(64), uint16(0), uint16(0),
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(0x10000), // PT_LOAD, r-x
	} {
		// Writing a fixed-size value to a buffer cannot fail.
		_ = binary.Write(&b, binary.LittleEndian, field)
	}
	b.Write(code)
	return b.Bytes()
}
