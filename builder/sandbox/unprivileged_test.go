package sandbox_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAnOrdinaryUsersContainerEndsWithItsProgram kills a program in a user
// namespace. Nobody else of that user could end its container.
func TestAnOrdinaryUsersContainerEndsWithItsProgram(t *testing.T) {
	b := newBox(t)
	const marker, first = "3613.5", 100_000
	require.NoError(t, os.Chmod(filepath.Dir(b.dir), 0o755))
	// The test's own program lies where root alone may look.
	program := filepath.Join(b.dir, "owner")
	copied, err := exec.CommandContext(t.Context(), "cp", os.Args[0], program).CombinedOutput()
	require.NoError(t, err, "%s", copied)
	require.NoError(t, filepath.WalkDir(b.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, first, first)
	}))
	cmd := exec.CommandContext(t.Context(), program, "-test.run", "^TestOwner$", "-test.v")
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "OHPC_TEST_OWNER="+b.dir, "OHPC_TEST_MARKER="+marker, "TMPDIR="+b.dir)
	ids := []syscall.SysProcIDMap{{HostID: first, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids,
		Credential: &syscall.Credential{}, GidMappingsEnableSetgroups: true,
	}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	buf := make([]byte, 4096)
	for line := ""; !strings.Contains(line, "container runs"); {
		n, err := out.Read(buf)
		require.NoError(t, err, line)
		line += string(buf[:n])
	}
	require.NotEmpty(t, processes(t, marker))
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool { return len(processes(t, marker)) == 0 }, 10*time.Second, 50*time.Millisecond)
	require.NoError(t, b.Clean())
	b.requireClean(t)
}
