package toolchain

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

// standIn prints who was started, with which arguments, and what of the
// environment concerns it.
const standIn = `#!/bin/sh
echo %s "$@"
env | grep -E '^(GCC_EXEC_PREFIX|CPLUS_INCLUDE_PATH|COMPILER_PATH)=' | sort
:
`

// TestLaunchers runs the launchers themselves, with stand-ins for the programs.
func TestLaunchers(t *testing.T) {
	testenv.Programs(t, "bash")
	const prefix = "GCC_EXEC_PREFIX=/usr/lib/gcc/"
	const passes = "COMPILER_PATH=FOLDER/passes/12"
	const iprefix = "native -iprefix /usr/lib/gcc/aarch64-linux-gnu/12/"
	const include = "CPLUS_INCLUDE_PATH=/usr/include/c++/12:/usr/include/aarch64-linux-gnu/c++/12:/usr/include/c++/12/backward"
	for _, c := range []struct {
		script, pass string
		args, env    []string
		want         []string
	}{
		{script: "driver.sh", args: []string{"-c", "a b.c", "-o", "*"}, want: []string{"native -c a b.c -o *", passes, prefix}},
		{script: "driver.sh", args: []string{"-O2", "a.c", "-v"}, want: []string{"own -O2 a.c -v"}},
		{script: "driver.sh", args: []string{"-###"}, want: []string{"own -###"}},
		{script: "driver.sh", args: []string{"-dumpmachine"}, want: []string{"own -dumpmachine"}},
		{script: "driver.sh", args: []string{"--print-search-dirs"}, want: []string{"own --print-search-dirs"}},
		{script: "driver.sh", args: []string{"-c", "-mcpu=native", "a.c"}, want: []string{"own -c -mcpu=native a.c"}},
		{script: "driver.sh", args: []string{"@arguments"}, want: []string{"own @arguments"}},
		{script: "driver.sh", args: []string{"a.c"}, env: []string{"LIBRARY_PATH=/a b:/*::"}, want: []string{"native a.c -L/a b -L/* -L.", passes, prefix}},
		{script: "driver.sh", args: []string{"a.c"}, env: []string{"directories=-x", "folder=y", "IFS=c", "BASH_ENV=/nowhere"}, want: []string{"native a.c", passes, prefix}},
		{script: "driver.sh", args: []string{"a.c"}, env: []string{"COMPILER_PATH=/mine"}, want: []string{"native a.c", "COMPILER_PATH=/mine:FOLDER/passes/12", prefix}},
		{script: "driver.sh", args: []string{"-fstack-protector-strong", "a.c"}, want: []string{"native -fstack-protector-strong a.c", prefix}},
		{script: "driver.sh", args: []string{"a.c", "-Wp,-fstack-protector"}, env: []string{"COMPILER_PATH=/mine"}, want: []string{"native a.c -Wp,-fstack-protector", "COMPILER_PATH=/mine", prefix}},
		{script: "driver.sh", args: []string{"-specs=/usr/lib/rpm/hardened", "a.c"}, want: []string{"native -specs=/usr/lib/rpm/hardened a.c", prefix}},
		{script: "driver.sh", args: []string{"-V"}, want: []string{"native -V", passes, prefix}},

		{script: "pass.sh", pass: "cc1", args: []string{"-quiet", "a.c"}, want: []string{iprefix + " -quiet a.c"}},
		{script: "pass.sh", pass: "cc1", args: []string{"-fstack-protector-strong", "a.c"}, want: []string{"own -fstack-protector-strong a.c"}},
		{script: "pass.sh", pass: "cc1", args: []string{"-fno-stack-protector", "a.c"}, want: []string{iprefix + " -fno-stack-protector a.c"}},
		{script: "pass.sh", pass: "cc1", args: []string{"-fplugin=annobin"}, want: []string{"own -fplugin=annobin"}},
		{script: "pass.sh", pass: "f951", args: []string{"-quiet", "a.f"}, want: []string{iprefix + " -quiet a.f"}},
		{script: "pass.sh", pass: "cc1plus", args: []string{"a.C"}, want: []string{iprefix + " a.C", include}},
		{
			script: "pass.sh", pass: "cc1plus", args: []string{"a.C"}, env: []string{"CPLUS_INCLUDE_PATH=/mine", "nostdinc=yes"},
			want: []string{iprefix + " a.C", strings.Replace(include, "=", "=/mine:", 1)},
		},
		{script: "pass.sh", pass: "cc1plus", args: []string{"-nostdinc++", "a.C"}, want: []string{iprefix + " -nostdinc++ a.C"}},

		{script: "linker.sh", args: []string{"a.o"}, want: []string{"native a.o"}},
		{script: "linker.sh", args: []string{"a.o"}, env: []string{"LD_LIBRARY_PATH=/a:/b c"}, want: []string{"native a.o -rpath-link /a:/b c"}},
		{script: "linker.sh", args: []string{"a.o"}, env: []string{"LD_RUN_PATH=/r", "LD_LIBRARY_PATH=/a"}, want: []string{"native a.o -rpath-link /r -rpath-link /a"}},
		{script: "linker.sh", args: []string{"-rpath", "/x", "a.o"}, env: []string{"LD_RUN_PATH=/r"}, want: []string{"native -rpath /x a.o"}},
	} {
		t.Run(fmt.Sprint(c.script, c.pass, c.args, c.env), func(t *testing.T) {
			dir := t.TempDir()
			text, err := launcher{
				Folder: dir, Name: "tool", Pass: c.pass, Triplet: "aarch64-linux-gnu", Version: "12",
				OwnOptions: []string{"-fstack-protector*", "-fstack-clash-protection"},
			}.write(c.script)
			require.NoError(t, err)
			for name, content := range map[string]string{
				"launcher": string(text), "native/tool": fmt.Sprintf(standIn, "native"), "own/tool": fmt.Sprintf(standIn, "own"),
			} {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755))
			}
			bash, err := exec.LookPath("bash")
			require.NoError(t, err)
			require.NoError(t, os.Symlink(bash, filepath.Join(dir, "native/bash")))
			cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "launcher"), c.args...)
			cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, c.env...)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			got := strings.ReplaceAll(strings.TrimSpace(string(out)), dir, "FOLDER")
			require.Equal(t, c.want, strings.Split(got, "\n"))
		})
	}
}
