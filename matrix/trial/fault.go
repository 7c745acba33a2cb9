package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/validate"
)

// FaultError says that a container could not be started or did not last, so that
// nothing is known of what was tried in it.
type FaultError struct{ Err error }

func (e *FaultError) Error() string { return "its container was lost: " + e.Err.Error() }

func (e *FaultError) Unwrap() error { return e.Err }

// Patience tries again what was lost by no fault of what is checked.
type Patience interface {
	// Try calls try, and again as long as that is of use, and returns how often it
	// did. What it has to say goes to log, too.
	Try(ctx context.Context, what string, log io.Writer, try func() error) (attempts int, err error)
	// Blame adds to an error whose fault it is.
	Blame(err error, attempts int) string
}

// impatient is the patience of those who have none.
type impatient struct{}

func (impatient) Try(_ context.Context, _ string, _ io.Writer, try func() error) (int, error) {
	return 1, try()
}
func (impatient) Blame(err error, _ int) string { return err.Error() }

// faults are those that were met while something was tried. They are told through the
// context, as what is tried has words of its own for what its commands did.
type faults struct {
	mu    sync.Mutex
	first *FaultError
}

type faultsKey struct{}

// lossless calls fn and returns the fault that it met, if any.
func lossless(ctx context.Context, fn func(context.Context)) error {
	met := &faults{}
	fn(context.WithValue(ctx, faultsKey{}, met))
	met.mu.Lock()
	defer met.mu.Unlock()
	if met.first == nil || ctx.Err() != nil {
		return nil
	}
	return met.first
}

// watched notes the faults of containers.
type watched struct{ Sandbox }

// Run implements [Sandbox].
func (w watched) Run(ctx context.Context, s sandbox.Spec) error {
	err := w.Sandbox.Run(ctx, s)
	if met, ok := ctx.Value(faultsKey{}).(*faults); ok && lost(err) {
		met.mu.Lock()
		defer met.mu.Unlock()
		if met.first == nil {
			met.first = &FaultError{err}
		}
	}
	return err
}

// lost says whether a command's end tells nothing of the command: its container did not
// start, somebody outside killed it, or the kernel did because the host, and not the
// container, had no memory left. That it passed its own limits is its own fault, and so
// is a program that the image does not have.
func lost(err error) bool {
	var (
		start *sandbox.StartError
		exit  *sandbox.ExitError
	)
	switch {
	case errors.As(err, &start):
		// runc: exec: "zypper": executable file not found in $PATH; crun: executable file `zypper` not found
		return !strings.Contains(start.Message, `exec: "`) && !strings.Contains(start.Message, "executable file")
	case errors.As(err, &exit):
		return exit.Killed() || exit.Used.Killed > 0 && !exit.OutOfMemory()
	}
	return false
}

// attempt tries a check, and again if its containers were lost. If they always are, it
// has failed, with words that say so: what is not known to work does not count as green.
func (t *Trial) attempt(ctx context.Context, k check) (validate.Check, error) {
	var (
		result validate.Check
		own    error
		log    bytes.Buffer // of what was lost
	)
	begin := time.Now()
	attempts, err := t.patience.Try(ctx, t.title(k), &log, func() error {
		fault := lossless(ctx, func(ctx context.Context) { result, own = t.try(ctx, k) })
		var shared *FaultError
		if errors.As(own, &shared) { // of what several checks begin with
			fault = shared
		}
		if fault == nil || own == nil && result.Outcome == validate.Pass {
			return nil
		}
		log.Write(result.Log)
		return fault
	})
	if err == nil || ctx.Err() != nil {
		result.Log = append(log.Bytes(), result.Log...)
		return result, own
	}
	reason := t.patience.Blame(err, attempts)
	fmt.Fprintf(&log, "%s\n", reason)
	return validate.Check{
		Name: k.name, Subject: k.subject, Outcome: validate.Fail, Reason: reason,
		Duration: time.Since(begin), Log: log.Bytes(),
	}, nil
}

func (t *Trial) title(k check) string { return t.cell.String() + " " + k.name + " " + k.subject }

// shared is made once for several checks, and again if a container was lost over it.
type shared[T any] struct {
	mu    sync.Mutex
	made  bool
	value T
	err   error
}

// get returns what make makes.
func (s *shared[T]) get(ctx context.Context, make func(context.Context) (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var none T
	if !s.made {
		fault := lossless(ctx, func(ctx context.Context) { s.value, s.err = make(ctx) })
		var inner *FaultError
		if fault == nil && errors.As(s.err, &inner) {
			fault = inner
		}
		if err := context.Cause(ctx); err != nil {
			return none, err
		}
		if fault != nil {
			return none, fault
		}
		s.made = true
	}
	return s.value, s.err
}
