package matrix

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/execute"
	"github.com/ohpc-build/ohpc-build/matrix/host"
	"github.com/ohpc-build/ohpc-build/matrix/retry"
)

// newBuilder is a builder whose roots are in a state folder.
func newBuilder(state string, st *store.Store, sb *sandbox.Runtime, options ...builder.Option) *builder.Builder {
	return builder.New(st, sb, buildroot.New(st, sb, filepath.Join(state, "layers", "roots")), options...)
}

// Execute runs the one job that a file describes, with the options' state folder and
// runtime and nothing else: neither a catalogue nor a plan is needed. The error is a
// *host.Error when the host, and not the build, is at fault, so that it can be tried
// again or elsewhere.
func Execute(ctx context.Context, opt Options, file string, log io.Writer) (*execute.Outcome, error) {
	state, err := filepath.Abs(opt.State)
	if err != nil {
		return nil, &UsageError{err}
	}
	sb, err := sandbox.New(opt.Runtime, filepath.Join(state, "run"))
	if err != nil {
		return nil, &host.Error{Problems: []error{err}}
	}
	if err := sb.Clean(); err != nil {
		return nil, err
	}
	st, err := store.Open(filepath.Join(state, "store"))
	if err != nil {
		return nil, err
	}
	outcome, err := execute.NewLocal(state, st, newBuilder(state, st, sb)).Execute(ctx, file, log)
	var wrong *execute.DescriptionError
	switch {
	case errors.As(err, &wrong):
		return nil, &UsageError{err}
	case err != nil && retry.Passing(err):
		return nil, &host.Error{Problems: []error{err}}
	}
	return outcome, host.ExplainFull(err, state)
}
