package uname_test

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate/toolchain/uname"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

func TestLibrary(t *testing.T) {
	for machine, want := range map[string]elf.Machine{"x86_64": elf.EM_X86_64, "aarch64": elf.EM_AARCH64} {
		library, err := uname.Library(machine, "other")
		require.NoError(t, err)
		f, err := elf.NewFile(bytes.NewReader(library))
		require.NoError(t, err)
		require.Equal(t, want, f.Machine)
		require.Equal(t, elf.ET_DYN, f.Type)
		for _, p := range f.Progs {
			require.NotEqual(t, elf.PF_W|elf.PF_X, p.Flags&(elf.PF_W|elf.PF_X), "a segment can be written and executed")
		}
	}
	_, err := uname.Library("riscv64", "other")
	require.ErrorContains(t, err, "riscv64")
	_, err = uname.Library("x86_64", strings.Repeat("x", 65))
	require.ErrorContains(t, err, "too long")
}

// TestPreloaded has the host's own uname tell of another machine, and of nothing
// else otherwise.
func TestPreloaded(t *testing.T) {
	testenv.Programs(t, "uname")
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	library, err := uname.Library(machine, "toaster")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "uname.so")
	require.NoError(t, os.WriteFile(path, library, 0o644))
	ask := func(option string, env ...string) string {
		cmd := exec.CommandContext(t.Context(), "uname", option)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return strings.TrimSpace(string(out))
	}
	require.Equal(t, machine, ask("-m"))
	require.Equal(t, "toaster", ask("-m", "LD_PRELOAD="+path))
	for _, option := range []string{"-s", "-n", "-r", "-v"} {
		require.Equal(t, ask(option), ask(option, "LD_PRELOAD="+path))
	}
}
