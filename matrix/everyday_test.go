package matrix_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/report"
)

func TestHintsCoresAndPackages(t *testing.T) {
	l := newLine(t)
	const build = "%%build\necho cores=$RPM_BUILD_NCPUS flags=%%{_smp_mflags} of $(nproc)\nmake --version %s\n"
	needs := "BuildRequires: make\nBuildRequires: bison\nBuildRequires: flex\n"
	l.component("whole", "", needs, fmt.Sprintf(build, "&& bison --version && flex --version")+file("whole", "x"))
	l.component("half", "needs: {cores: 1}\n", needs, fmt.Sprintf(build, "&& flex --version")+file("half", "x"))
	l.opt.Jobs = 1 // alone, it has all cores
	r, err := l.new(t).Build(t.Context())
	require.NoError(t, err)

	require.Empty(t, job(t, r, "whole").Hints)
	spec := string(l.files["components/test/half/SPECS/half.spec"].Data)
	before, _, _ := strings.Cut(spec, "BuildRequires: bison")
	line := 1 + strings.Count(before, "\n")
	require.Equal(t, []string{fmt.Sprintf("BuildRequires: bison was never opened (components/test/half/SPECS/half.spec:%d)", line)}, job(t, r, "half").Hints)
	again, err := l.new(t).Build(t.Context())
	require.NoError(t, err)
	require.Equal(t, report.Reused, job(t, again, "half").Result)
	require.Equal(t, job(t, r, "half").Hints, job(t, again, "half").Hints, "they hold as long as the packages do")

	for recipe, cores := range map[string]int{"whole": runtime.NumCPU(), "half": 1} {
		j := job(t, r, recipe)
		log, err := os.ReadFile(filepath.Join(l.opt.Out, "report", j.Log))
		require.NoError(t, err)
		flags := fmt.Sprintf("-j%d", cores)
		if cores == 1 {
			flags = "" // rpm: macros, %_smp_mflags
		}
		require.Contains(t, strings.ReplaceAll(string(log), "flags=-j1 ", "flags= "), fmt.Sprintf("cores=%d flags=%s of %d\n", cores, flags, cores))
		require.NotEmpty(t, j.Packages)
		for _, p := range j.Packages {
			require.Equal(t, filepath.Join("packages", j.Target, j.Arch, p.File), p.Path)
			require.FileExists(t, filepath.Join(l.opt.Out, p.Path))
		}
	}
}

// kept is the folder of a job's root.
func (l *line) kept(t *testing.T, j report.Job) string {
	t.Helper()
	dir := filepath.Join(l.opt.State, "kept", strings.ReplaceAll(j.ID, "/", "_"))
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

const failing = "%prep\n%setup -q -c -T\n%build\nWORD=in; export WORD\ntest -e mended\n" +
	"%install\nmkdir -p %{buildroot}/opt/ohpc/test\ntouch %{buildroot}/opt/ohpc/test/x\n%files\n/opt/ohpc/test/x"

func TestAShellInAFailedRoot(t *testing.T) {
	l := newLine(t)
	l.component("everyday", "", "", failing)
	spec := filepath.Join(t.TempDir(), "everyday.spec")
	require.NoError(t, os.WriteFile(spec, l.files["components/test/everyday/SPECS/everyday.spec"].Data, 0o644))
	shell := func(wait string) {
		cmd := exec.Command(os.Args[0], "-test.run", "TestTheBuildWithAShell", "-test.v")
		cmd.Env = append(os.Environ(), "OHPC_TEST_SHELL="+spec)
		terminal := testenv.OnTerminal(t, cmd)
		terminal.Wait(wait)
		terminal.Wait("]$ ")
		terminal.Type("echo $WORD''side $(pwd) as $(id -u); cat /etc/hostname; hostname; touch mended\r")
		terminal.Wait("inside /build/BUILD/everyday-ohpc-1 as 1000")
		script := terminal.String()
		_, script, _ = strings.Cut(script, "bash -ex ")
		script, _, _ = strings.Cut(script, "\r")
		terminal.Type("bash -e " + script + " && echo the script''s end\r")
		terminal.Wait("the scripts end")
		terminal.Type("exit\r")
		terminal.Wait("the build ended: 1 of 1 jobs failed")
		require.NoError(t, cmd.Wait(), terminal.String())
	}
	// From scratch: the root is there as long as the shell.
	shell("rpmbuild failed")
	l.opt.Keep = matrix.KeepFailed
	r, err := l.new(t).Build(t.Context())
	require.Error(t, err)
	dir := l.kept(t, job(t, r, "everyday"))
	require.Equal(t, dir, job(t, r, "everyday").Kept)
	require.FileExists(t, filepath.Join(dir, "README"))
	require.NoFileExists(t, filepath.Join(dir, "top/BUILD/everyday-ohpc-1/mended"), "the first root was removed")
	// Kept before: it is not built again, and stays.
	shell("failed before, from the same inputs, and was not built again")
	require.FileExists(t, filepath.Join(dir, "top/BUILD/everyday-ohpc-1/mended"))
}

// TestTheBuildWithAShell is the process that TestAShellInAFailedRoot types to.
func TestTheBuildWithAShell(t *testing.T) {
	path := os.Getenv("OHPC_TEST_SHELL")
	if path == "" {
		t.Skip("only the helper of another test")
	}
	l := newLine(t)
	l.component("everyday", "", "", failing)
	spec, err := os.ReadFile(path)
	require.NoError(t, err)
	l.files["components/test/everyday/SPECS/everyday.spec"] = &fstest.MapFile{Data: spec}
	l.opt.Shell = os.Stdout
	_, err = l.new(t).Build(t.Context())
	fmt.Printf("the build ended: %v\n", err)
}
