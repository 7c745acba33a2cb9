package spec

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
)

// script answers the queries in the folders 0, 1, … of the current folder. Each
// has a file args, zero-terminated, and a file about: the name of a folder below
// sets, and how many packages the spec's text seems to declare. What rpmspec
// prints, and its exit status, go beside them. A status that is missing says that
// the container was ended before, unless that of the query says that it took too
// long.
//
// Where the image has rpm's Python module, as all have that have dnf, reader answers
// first, and rpmspec what that leaves open.
//
// All packages that a spec declares are asked for only when they seem to be others
// than those that are built: each question costs as much as the first.
const script = `
set -u
export HOME="$PWD/home"
ask='
    query=$1 sources=$2 declared=$3
    shift 3
    rpmspec() {
        kind=$1
        shift
        command rpmspec --query --$kind --define "_sourcedir $PWD/sets/$sources" "$@" > "$query/$kind.out" 2> "$query/$kind.err"
        echo $? > "$query/$kind.status"
    }
    rpmspec builtrpms "$@"
    rpmspec srpm "$@"
    # A pipe in its place would never come to an end.
    [ -f "$query/builtrpms.out" ] && [ "$(grep -c "^N " "$query/builtrpms.out")" = "$declared" ] || rpmspec rpms "$@"
'
[ ! -f reader.py ] || python3 -I -B reader.py [0-9]* < /dev/null > /dev/null 2>&1
for query in [0-9]*; do
    [ -e "$query/query.status" ] && continue
    read -r sources declared < "$query/about"
    timeout -k 5 60 xargs -0 -x -a "$query/args" sh -c "$ask" sh "$query" "$sources" "$declared"
    echo $? > "$query/query.status"
done
`

// reader is rpmspec's short cut.
//
//go:embed reader.py
var reader string

// rpmrc, which rpm looks for in HOME, lets each machine read what BuildArch names
// for another. rpm holds BuildArch against the machine that it runs on, not against
// --target (rpm: parseSpec, rpmMachineScore): on x86_64 an aarch64 package would be
// refused, and an x86_64 one be taken for one of aarch64. What it has to be held
// against is checked in [Evaluator.answer].
const rpmrc = "buildarch_compat: x86_64: aarch64 noarch\nbuildarch_compat: aarch64: x86_64 noarch\n"

// rpmrcFiles are where rpm looks for it: before 4.20, and since.
var rpmrcFiles = []string{".rpmrc", ".config/rpm/rpmrc"}

const (
	// What timeout(1) returns when it had to end a command, by asking or by force.
	statusTimeout = 124
	statusKilled  = 137

	// maxOutput bounds what is read of an answer, in bytes.
	maxOutput = 16 << 20
)

// outcome is what rpmspec said to a query.
type outcome struct {
	packages, source output
	declared         output // empty when it would be the same as packages
	timeout          bool
}

type output struct {
	status      int
	out, errout string
}

// run asks one container. An outcome is nil when the container was ended before.
func (e *Evaluator) run(ctx context.Context, queries []Query) ([]*outcome, error) {
	dir, err := e.store.Temp("spec-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := e.layOut(dir, queries); err != nil {
		return nil, fmt.Errorf("laying out queries: %w", err)
	}
	runErr := e.runner.Run(ctx, dir, []string{"/bin/sh", "-c", script})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	outcomes := make([]*outcome, len(queries))
	found := false
	for i := range queries {
		if outcomes[i], err = readOutcome(dir, strconv.Itoa(i)); err != nil {
			return nil, err
		}
		found = found || outcomes[i] != nil
	}
	// Without a single answer it is the container that failed, not a spec; but
	// for a single query the two cannot be told apart.
	if runErr != nil && !found {
		return nil, fmt.Errorf("running rpmspec: %w", runErr)
	}
	return outcomes, nil
}

// layOut writes the folder that script expects. The container's user is not
// ours: everything can be read by all, and the folders of queries written to.
func (e *Evaluator) layOut(dir string, queries []Query) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if err := makeFolder(filepath.Join(dir, "sets"), 0o755); err != nil {
		return err
	}
	if !e.plain {
		if err := writeFile(filepath.Join(dir, "reader.py"), reader); err != nil {
			return err
		}
	}
	for _, folder := range []string{"home", "home/.config", "home/.config/rpm"} {
		if err := makeFolder(filepath.Join(dir, folder), 0o755); err != nil {
			return err
		}
	}
	for _, file := range rpmrcFiles {
		if err := writeFile(filepath.Join(dir, "home", file), rpmrc); err != nil {
			return err
		}
	}
	for i, q := range queries {
		folder := filepath.Join(dir, strconv.Itoa(i))
		if err := makeFolder(folder, 0o777); err != nil {
			return err
		}
		set, err := e.sourceSet(dir, q.Sources)
		if err != nil {
			return err
		}
		if err := e.store.CopyTo(q.Spec.Digest, filepath.Join(folder, q.Spec.Name)); err != nil {
			return err
		}
		args := e.args(q, filepath.Join(strconv.Itoa(i), q.Spec.Name))
		if err := writeFile(filepath.Join(folder, "args"), strings.Join(args, "\x00")+"\x00"); err != nil {
			return err
		}
		declared, err := e.declared(q.Spec.Digest)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(folder, "about"), fmt.Sprintf("%s %d\n", set, declared)); err != nil {
			return err
		}
	}
	return nil
}

// packageLine begins a further package of a spec.
var packageLine = regexp.MustCompile(`(?m)^[ \t]*%package[ \t]`)

// maxSpec bounds the text of a spec, in bytes.
const maxSpec = 16 << 20

// declared is how many packages a spec's text seems to declare. Branches and macros
// can make it wrong.
func (e *Evaluator) declared(spec store.Digest) (int, error) {
	text, err := e.store.ReadAll(spec, maxSpec)
	return 1 + len(packageLine.FindAllIndex(text, -1)), err
}

// sourceSet lays out the files of a _sourcedir, once for all queries that have
// the same.
func (e *Evaluator) sourceSet(dir string, sources []File) (string, error) {
	lines := make([]string, len(sources))
	for i, f := range sources {
		lines[i] = string(f.Digest) + " " + f.Name
	}
	slices.Sort(lines)
	name := store.Of([]byte(strings.Join(lines, "\n"))).Hex()
	folder := filepath.Join(dir, "sets", name)
	if _, err := os.Stat(folder); err == nil {
		return name, nil
	}
	if err := makeFolder(folder, 0o755); err != nil {
		return "", err
	}
	for _, f := range sources {
		if err := e.store.CopyTo(f.Digest, filepath.Join(folder, f.Name)); err != nil {
			return "", err
		}
	}
	return name, nil
}

// args are the arguments for rpmspec that differ from query to query.
func (e *Evaluator) args(q Query, path string) []string {
	args := []string{"--queryformat", headers.Format} // has no effect on --parse
	if q.Arch != e.image.Arch {
		args = append(args, "--target", q.Arch+"-linux")
	}
	for _, d := range q.Defines {
		args = append(args, "--define", d.Name+" "+d.Value)
	}
	return append(args, "--", path)
}

func readOutcome(dir, query string) (*outcome, error) {
	// What is in the folder now was written by the container: links that lead
	// out of it are not followed, and only files are opened.
	root, err := os.OpenRoot(filepath.Join(dir, query))
	if err != nil {
		return nil, err
	}
	defer io.Closer(root).Close()
	var o outcome
	over, err := readStatus(root, "query.status")
	if err != nil || over == nil {
		return nil, err
	}
	if *over == statusTimeout || *over == statusKilled {
		return &outcome{timeout: true}, nil
	}
	for kind, into := range map[string]*output{"builtrpms": &o.packages, "srpm": &o.source, "rpms": &o.declared} {
		status, err := readStatus(root, kind+".status")
		if err != nil {
			return nil, err
		}
		if status == nil && kind == "rpms" {
			continue
		}
		if status == nil {
			return nil, nil //nolint:nilnil // no outcome
		}
		into.status = *status
		if into.out, err = readFile(root, kind+".out", maxOutput); err != nil {
			return nil, err
		}
		if into.errout, err = readFile(root, kind+".err", maxOutput); err != nil {
			return nil, err
		}
	}
	return &o, nil
}

// readStatus reads an exit status, or nil where there is none.
func readStatus(root *os.Root, name string) (*int, error) {
	text, err := readFile(root, name, 16)
	if errors.Is(err, fs.ErrNotExist) || err == nil && text == "" {
		return nil, nil //nolint:nilnil // no status
	}
	if err != nil {
		return nil, err
	}
	status, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("reading the status of rpmspec: %w", err)
	}
	return &status, nil
}

func readFile(root *os.Root, name string, limit int64) (string, error) {
	fi, err := root.Lstat(name)
	if err != nil {
		return "", err
	}
	if !fi.Mode().IsRegular() {
		return "", fmt.Errorf("a spec replaced %s by something that is no file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit))
	return string(data), err
}

// makeFolder sets a folder's mode whatever the umask.
func makeFolder(path string, mode fs.FileMode) error {
	if err := os.Mkdir(path, mode); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

func writeFile(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}
