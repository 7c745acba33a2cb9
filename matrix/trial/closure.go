package trial

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

const (
	// closureCheck is the check's name in a target.
	closureCheck = "closure"

	queryTimeout = 10 * time.Minute
)

// tryClosure asks whether each requirement of each package of the snapshot has a
// provider in the snapshot or in the image.
func (t *Trial) tryClosure(ctx context.Context, k check) (validate.Check, error) {
	begin := time.Now()
	base, err := t.imageProvides(ctx)
	if err != nil {
		return validate.Check{}, fmt.Errorf("asking the image what it provides: %w", err)
	}
	tested, err := repodata.Open(ctx, t.cell.Snapshot.Dir)
	if err != nil {
		return validate.Check{}, err
	}
	r, err := closure.Check(ctx, closure.Options{
		Tested: []closure.Repository{tested}, Base: []closure.Repository{base}, Architectures: []string{t.cell.Arch},
	})
	if err != nil {
		return validate.Check{}, err
	}
	var log strings.Builder
	for _, m := range r.Missing {
		fmt.Fprintf(&log, "%s requires %s, which nothing provides", m.Package, m.Requirement)
		if m.Nearest != "" {
			fmt.Fprintf(&log, "; %s", m.Nearest)
		}
		log.WriteByte('\n')
	}
	result := validate.Check{Name: k.name, Subject: k.subject, Outcome: validate.Pass, Duration: time.Since(begin)}
	if len(r.Missing) > 0 {
		result.Outcome, result.Reason = validate.Fail, strings.TrimSpace(log.String())
	}
	fmt.Fprintf(&log, "%d requirements of %d packages, %d not met\n", r.Requirements, r.Packages, len(r.Missing))
	result.Log = []byte(log.String())
	return result, nil
}

// imageProvides asks the image's own rpm what its packages provide, files included.
func (t *Trial) imageProvides(ctx context.Context) (*closure.List, error) {
	var text bytes.Buffer
	for _, what := range []string{"--provides", "--list"} {
		var out bytes.Buffer
		err := t.sandbox.Run(ctx, sandbox.Spec{
			Name: "rpm-query", Layers: t.cell.Image.Layers, Args: []string{"rpm", "--query", "--all", what},
			UID: nobody, GID: nobody, ReadOnlyRoot: true, Limits: sandbox.Limits{Pids: maxPids},
			Timeout: queryTimeout, Stdout: &out, Stderr: io.Discard,
		})
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out.String()) {
			// A package without files has a line that says so.
			if what == "--provides" || strings.HasPrefix(line, "/") && !strings.ContainsAny(line, " \t") {
				text.WriteString(line)
			}
		}
	}
	return closure.ReadProvided("image of "+t.cell.String(), &text)
}
