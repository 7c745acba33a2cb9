package kept

import (
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
)

// maxScript bounds what is read of a script, in bytes.
const maxScript = 1 << 20

// lastScript is what rpmbuild ran last: it removes the scripts that succeeded. The
// name is relative to _topdir, and "" when there is none.
func lastScript(top *os.Root) (name, text string) {
	found, err := fs.Glob(top.FS(), "tmp/rpm-tmp.*")
	if err != nil {
		return "", ""
	}
	var newest fs.FileInfo
	for _, f := range found {
		fi, err := top.Lstat(f)
		if err != nil || !fi.Mode().IsRegular() || newest != nil && fi.ModTime().Before(newest.ModTime()) {
			continue
		}
		newest, name = fi, f
	}
	if name == "" {
		return "", ""
	}
	f, err := top.Open(name)
	if err != nil {
		return "", ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxScript))
	if err != nil || !plainName.MatchString(path.Base(name)) {
		return "", ""
	}
	return name, string(b)
}

// plainName matches what may be printed and given to a shell.
var plainName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

var (
	// change matches a line that sets variables and does nothing else.
	change = regexp.MustCompile(`^\s*(` + statement + `\s*(;\s*|$))+(` + statement + `)?\s*$`)

	// enter matches a line that changes the folder; rpm writes the one of the
	// package with single quotes, after all others (rpm: build/parsePrep.c,
	// build/build.c).
	enter = regexp.MustCompile(`^\s*cd ("[^"` + "`" + `$]*"|'[^']*')$`)
)

const statement = `([A-Za-z_]\w*=("[^"` + "`" + `]*"|'[^']*'|[\w./:+,@%=-]*)` + // NAME=value
	`|export( [A-Za-z_]\w*)+|unset( [A-Za-z_]\w*)+( \|\|:)?|umask [0-7]+)`

// preamble is what of one of rpmbuild's scripts makes its environment and current
// folder, without what does something: the beginning of %install, for one, removes
// what is there.
func preamble(script string) string {
	var sb strings.Builder
	inside := false // the folder of the package
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		switch {
		case enter.MatchString(line):
			inside = inside || strings.HasPrefix(strings.TrimSpace(line), "cd '")
			sb.WriteString(line + " 2>/dev/null\n")
		case change.MatchString(line) && !strings.Contains(line, "$("):
			sb.WriteString(line + "\n")
		case inside && strings.TrimSpace(line) != "":
			return sb.String()
		}
	}
	return sb.String()
}
