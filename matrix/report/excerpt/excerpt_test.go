package excerpt_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report/excerpt"
)

func TestFailure(t *testing.T) {
	for name, tc := range map[string]struct{ log, want string }{
		"compiler": {`
gcc -c a.c
a.c:3:5: warning: unused variable
a.c:7:1: error: unknown type name 'foo'
a.c:9:1: error: expected ';'
make[2]: *** [Makefile:12: a.o] Error 1
make[1]: *** [Makefile:3: all] Error 2
error: Bad exit status from /var/tmp/rpm-tmp.x (%build)
RPM build errors:
    Bad exit status from /var/tmp/rpm-tmp.x (%build)`, "a.c:7:1: error: unknown type name 'foo'"},
		"words of a test that passed": {`
checking that error: is printed... error: 17
` + strings.Repeat("cc -c x.c\n", 100) + `/usr/bin/ld: b.o: undefined reference to ` + "`scotchInit'" + `
collect2: error: ld returned 1 exit status
make: *** [Makefile:1: b] Error 1`, "/usr/bin/ld: b.o: undefined reference to `scotchInit'"},
		"errors that make ignores": {`
rm: cannot remove x
make: [Makefile:3: clean] Error 1 (ignored)
make: *** [Makefile:4: clean] Error 1 (ignored)
configure: error: no acceptable C compiler found in $PATH
error: Bad exit status from /var/tmp/rpm-tmp.x (%build)`, "configure: error: no acceptable C compiler found in $PATH"},
		"a program that says nothing": {"a\nb\nmake: *** [Makefile:9: check] Error 1\nc", "make: *** [Makefile:9: check] Error 1"},
		"a test":                      {"1..2\nok 1 runs\nnot ok 2 links\n# (in test file x.bats, line 3)", "not ok 2 links"},
		"dnf":                         {"Last metadata expiration check\nError: \n Problem: conflicting requests\n  - nothing provides libx.so.1 needed by y", "  - nothing provides libx.so.1 needed by y"},
		"nothing wrong":               {"checking for gcc... gcc\nWrote: a.rpm", ""},
	} {
		t.Run(name, func(t *testing.T) {
			lines := strings.Split(tc.log, "\n")
			got := ""
			if i := excerpt.Failure(lines); i >= 0 {
				got = lines[i]
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestTail(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	var sb strings.Builder
	for i := 1; i <= 1000; i++ {
		fmt.Fprintf(&sb, "line %d\n", i)
	}
	sb.WriteString("12%\r100%\r\n\x1b[31ma.c:1: error: \u202ex\x1b[0m\n" + strings.Repeat("y", 9000) + "\nend\n")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.log"), []byte(sb.String()), 0o644))

	whole, err := excerpt.Tail(root, "a.log", 1<<20)
	require.NoError(t, err)
	lines := strings.Split(whole.Text, "\n")
	require.Len(t, lines, 1004)
	require.Equal(t, 1, whole.First)
	require.Equal(t, "100%", lines[1000])
	require.Equal(t, "a.c:1: error: <U+202E>x", lines[whole.Failure-1])
	require.Less(t, len(lines[1002]), 4100)
	require.Equal(t, []string{"100%", "a.c:1: error: <U+202E>x", lines[1002], "end"}, whole.Around(4))

	tail, err := excerpt.Tail(root, "a.log", 9200)
	require.NoError(t, err)
	lines = strings.Split(tail.Text, "\n")
	require.Equal(t, fmt.Sprintf("line %d", tail.First), lines[0], "lines are numbered as in the whole log")
	require.Equal(t, whole.First+whole.Failure, tail.First+tail.Failure)

	_, err = excerpt.Tail(root, "absent.log", 10)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link.log")))
	_, err = excerpt.Tail(root, "link.log", 10)
	require.ErrorContains(t, err, "not a regular file")
	_, err = excerpt.Tail(root, "../x", 10)
	require.Error(t, err)
}

func FuzzFailure(f *testing.F) {
	f.Add("a\nmake: *** [x] Error 1")
	f.Fuzz(func(t *testing.T, s string) {
		lines := strings.Split(s, "\n")
		require.Less(t, excerpt.Failure(lines), len(lines))
	})
}
