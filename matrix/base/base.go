// Package base tells what an image holds by itself: what its own rpm says that
// installed packages provide, and their files.
package base

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// Sandbox runs a command in a container.
type Sandbox interface {
	Run(ctx context.Context, spec sandbox.Spec) error
}

// record is where answers are kept, by image.
const record = "image-provides"

const (
	timeout = 10 * time.Minute
	maxPids = 256
	maxList = 256 << 20 // bytes
	nobody  = 65534
)

// Provided asks an image what it provides, once.
func Provided(ctx context.Context, st *store.Store, sb Sandbox, name string, image buildroot.Image) (*closure.List, error) {
	var kept store.Digest
	if err := st.Record(record, string(image.Digest), &kept); err == nil {
		if text, err := st.ReadAll(kept, maxList); err == nil {
			return closure.ReadProvided(name, bytes.NewReader(text))
		}
	}
	text, err := ask(ctx, sb, image)
	if err != nil {
		return nil, fmt.Errorf("asking %s what it provides: %w", name, err)
	}
	list, err := closure.ReadProvided(name, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	d, err := st.PutBytes(ctx, text)
	if err != nil {
		return nil, err
	}
	return list, st.PutRecord(record, string(image.Digest), d)
}

func ask(ctx context.Context, sb Sandbox, image buildroot.Image) ([]byte, error) {
	var text bytes.Buffer
	for _, what := range []string{"--provides", "--list"} {
		var out bytes.Buffer
		err := sb.Run(ctx, sandbox.Spec{
			Name: "rpm-query", Layers: image.Layers, Args: []string{"rpm", "--query", "--all", what},
			UID: nobody, GID: nobody, ReadOnlyRoot: true, Limits: sandbox.Limits{Pids: maxPids},
			Timeout: timeout, Stdout: &out, Stderr: io.Discard,
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
	return text.Bytes(), nil
}
