// Command ohpc-build turns a folder of recipes into signed package repositories
// that are known to install and run on every architecture they claim.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/builder/rootless"
	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/matrix/host"
)

// version is set by the Makefile.
var version = "unknown"

// Exit statuses; documented in docs/guide.md.
const (
	exitOK          = 0
	exitFailed      = 1   // a build or a check failed
	exitUsage       = 2   // usage, recipe or configuration error
	exitHost        = 3   // the host lacks something, such as room on a disk
	exitInterrupted = 130 // interrupted; the next run resumes
)

// memoryGoal is up to how many bytes garbage is left to lie: a plan of a hundred
// thousand jobs holds half as much. It is no limit.
const memoryGoal = 540 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
	ctx, stop := interruptible()
	err := becomeRoot()
	if err == nil {
		err = newRoot().ExecuteContext(ctx)
	}
	status := exitStatus(ctx, err)
	if status == exitInterrupted && errors.Is(err, context.Canceled) {
		err = errInterrupted // wherever it reached the program, and in whatever words
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ohpc-build:", message(err))
	}
	os.Exit(status)
}

// message is an error's text for a terminal. It may hold names of files and words of
// servers that others have made, which must not do things there.
func message(err error) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' || r == '\t' {
			return r
		}
		return unicode.ReplacementChar
	}, err.Error())
}

// becomeRoot makes an ordinary user root of a user namespace, where the program
// begins anew. What the host has against it is told later, by the check of the
// host, together with whatever else it lacks: some commands need no containers.
func becomeRoot() error {
	err := rootless.Enter()
	var problem *rootless.Problem
	if errors.As(err, &problem) {
		return nil
	}
	return err
}

var errInterrupted = errors.New("interrupted: what is finished is kept, the next run goes on from there")

// interruptible returns a context that ends at the first interrupt. The second
// one ends the program at once.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		if _, ok := <-signals; ok {
			signal.Stop(signals)
			cancel(errInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// statusError carries an exit status that the error's type does not tell.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &statusError{exitUsage, fmt.Errorf(format, args...)}
}

func exitStatus(ctx context.Context, err error) int {
	var (
		status *statusError
		lacks  *host.Error
		usage  *matrix.UsageError
		full   *host.FullError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(context.Cause(ctx), errInterrupted):
		return exitInterrupted
	case errors.As(err, &full), isFull(err): // whatever was being done
		return exitHost
	case errors.As(err, &status):
		return status.status
	case errors.As(err, &lacks):
		return exitHost
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitFailed
}

// isFull tells the errors of a file system that takes no more.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// tellFull lets each command say which file system is full, when one is, and what
// could go there.
func tellFull(cmd *cobra.Command, f *flags) {
	for _, c := range cmd.Commands() {
		tellFull(c, f)
	}
	run := cmd.RunE
	if run == nil {
		return
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if !isFull(err) {
			return err
		}
		state, serr := f.stateFolder()
		if serr != nil {
			return err
		}
		return host.ExplainFull(err, state, f.out)
	}
}
