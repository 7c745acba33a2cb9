package spec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Addresses returns, by file name, what a spec's Source and Patch tags hold in
// full: an address where it names one. rpm itself keeps only the last part of it.
// The error is a *[ParseError] when rpm cannot read the spec.
func (e *Evaluator) Addresses(ctx context.Context, q Query) (map[string]string, error) {
	text, err := e.Expand(ctx, q)
	if err != nil {
		return nil, err
	}
	return addresses(text), nil
}

// sourceTag is a tag of the preamble, in any case, with a number or without.
var sourceTag = regexp.MustCompile(`(?im)^[ \t]*(?:source|patch)\d*[ \t]*:[ \t]*(\S+)[ \t]*$`)

func addresses(text string) map[string]string {
	found := map[string]string{}
	for _, m := range sourceTag.FindAllStringSubmatch(text, -1) {
		found[path.Base(m[1])] = m[1]
	}
	return found
}

// expandScript prints the spec of folder 0 as rpm reads it.
const expandScript = `
set -u
export HOME="$PWD/home"
read -r sources _ < 0/about
timeout -k 5 60 xargs -0 -x -a 0/args \
    rpmspec --parse --define "_sourcedir $PWD/sets/$sources" \
    > 0/parse.out 2> 0/parse.err < /dev/null
echo $? > 0/parse.status
`

// Expand returns a spec's text with all macros expanded and all branches taken.
// The error is a *[ParseError] when rpm cannot read the spec.
func (e *Evaluator) Expand(ctx context.Context, q Query) (string, error) {
	if err := q.check(); err != nil {
		return "", err
	}
	dir, err := e.store.Temp("spec-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := e.layOut(dir, []Query{q}); err != nil {
		return "", fmt.Errorf("laying out %s: %w", q.Path, err)
	}
	if err := e.runner.Run(ctx, dir, []string{"/bin/sh", "-c", expandScript}); err != nil {
		return "", fmt.Errorf("expanding %s: %w", q.Path, err)
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	root, err := os.OpenRoot(filepath.Join(dir, "0"))
	if err != nil {
		return "", err
	}
	defer root.Close()
	var text [3]string
	for i, name := range []string{"parse.status", "parse.out", "parse.err"} {
		if text[i], err = readFile(root, name, maxOutput); err != nil {
			return "", fmt.Errorf("expanding %s: %w", q.Path, err)
		}
	}
	status, err := strconv.Atoi(strings.TrimSpace(text[0]))
	switch {
	case err != nil:
		return "", fmt.Errorf("expanding %s: rpmspec left no exit status", q.Path)
	case status == statusTimeout || status == statusKilled:
		return "", &ParseError{File: q.Path, Messages: []string{"rpmspec did not come to an end within a minute"}}
	case status != 0:
		var skip *SkipError
		if err := failure(q, text[2]); !errors.As(err, &skip) {
			return "", err
		}
	}
	return text[1], nil
}
