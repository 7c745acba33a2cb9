package retry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/matrix/trial"
	"github.com/ohpc-build/ohpc-build/recipes/source"
)

// lost is a fault of the infrastructure.
var lost = &sandbox.StartError{Name: "x", Message: "it is gone"}

func TestOnlyWhatMayBeGoneIsTriedAgain(t *testing.T) {
	own := &builder.BuildError{Err: &sandbox.ExitError{Code: 1}}
	for name, tc := range map[string]struct {
		retries int
		errs    []error // of one attempt after the other
		tried   int
		err     error
	}{
		"success":                 {2, []error{nil}, 1, nil},
		"a fault that passes":     {2, []error{lost, lost, nil}, 3, nil},
		"a fault that stays":      {2, []error{lost, lost, lost, nil}, 3, lost},
		"nobody wants it":         {0, []error{lost, nil}, 1, lost},
		"a failure":               {2, []error{own, nil}, 1, own},
		"a failure after a fault": {2, []error{lost, own, nil}, 2, own},
	} {
		t.Run(name, func(t *testing.T) {
			var log, warned bytes.Buffer
			p := Patience{Retries: tc.retries, Wait: time.Microsecond, Log: slog.New(slog.NewTextHandler(&warned, nil))}
			calls := 0
			tried, err := p.Try(t.Context(), "hwloc", &log, func() error {
				calls++
				return tc.errs[calls-1]
			})
			require.Equal(t, tc.err, err)
			require.Equal(t, tc.tried, tried)
			require.Equal(t, tc.tried, calls)
			require.Equal(t, tc.tried-1, strings.Count(log.String(), "trying again after"))
			require.Equal(t, tc.tried-1, strings.Count(warned.String(), "what=hwloc"))
		})
	}
}

// TestWhoIsInterruptedWaitsNoLonger ends while the next attempt is waited for.
func TestWhoIsInterruptedWaitsNoLonger(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := Patience{Retries: 1, Wait: time.Hour, Log: slog.New(slog.DiscardHandler)}
	tried, err := p.Try(ctx, "hwloc", io.Discard, func() error {
		time.AfterFunc(10*time.Millisecond, cancel)
		return lost
	})
	require.Equal(t, 1, tried)
	require.Equal(t, error(lost), err)
}

func TestBlame(t *testing.T) {
	var p Patience
	require.Equal(t, "its spec is wrong", p.Blame(errors.New("its spec is wrong"), 1))
	require.Contains(t, p.Blame(lost, 1), "it is gone\n(a fault of the infrastructure; --retry N tries again)")
	require.Contains(t, p.Blame(lost, 3), "it is gone\n(a fault of the infrastructure, in spite of 3 attempts)")
}

func TestFaultsOfTheInfrastructure(t *testing.T) {
	fetch := func(err error) error {
		return fmt.Errorf("hwloc: %w", &source.FetchError{Source: "x", Tries: []source.Try{{Place: "a", Err: &source.StatusError{Code: 404}}, {Place: "b", Err: err}}})
	}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"a server's trouble":              {fetch(&source.StatusError{Code: 503}), true},
		"the network's trouble":           {fetch(errors.New("connection reset by peer")), true},
		"a file that is gone":             {fetch(&source.StatusError{Code: 404}), false},
		"something else was served":       {fetch(&source.DigestError{}), false},
		"no file":                         {fetch(os.ErrNotExist), false},
		"a container that did not start":  {fmt.Errorf("x: %w", &sandbox.StartError{}), true},
		"a container that was killed":     {&builder.KilledError{}, true},
		"a check that lost its container": {fmt.Errorf("x: %w", &trial.FaultError{Err: &sandbox.ExitError{Code: 137}}), true},
		"a build":                         {&builder.BuildError{Err: &sandbox.ExitError{Code: 1}}, false},
		"a build that lost its memory":    {&builder.BuildError{Err: &sandbox.ExitError{Code: 137, Used: sandbox.Usage{Killed: 1}}}, false},
		"a build that takes too long":     {&builder.TimeLimitError{}, false},
		"a disk that is full":             {fmt.Errorf("%w: %w", &sandbox.StartError{}, unix.ENOSPC), false},
		"a registry's trouble":            {fmt.Errorf("x: %w", &transport.Error{StatusCode: 503}), true},
		"an image that is gone":           {&transport.Error{StatusCode: 404}, false},
		"a registry that is not there":    {&url.Error{Op: "Get", URL: "x", Err: &net.DNSError{}}, true},
		"a mirror's trouble":              {fmt.Errorf("the image of x: %w", &debian.Error{Err: errors.New("exit status 25"), Tail: "E: Failed to fetch http://x/InRelease  503  Later"}), true},
		"a package that there is not":     {&debian.Error{Err: errors.New("exit status 25"), Tail: "E: Unable to locate package scotchh"}, false},
		"a download in trouble":           {&debian.DownloadError{Tail: "E: Failed to fetch http://x/a.deb  Hash Sum mismatch"}, true},
		"a signature that is refused":     {&debian.DownloadError{Tail: "E: The repository 'http://x bookworm InRelease' is not signed."}, false},
		"a limit of ours":                 {&debian.Error{Err: context.DeadlineExceeded}, false},
		"what a description does not say": {errors.New("its key is not that of its parts"), false},
	} {
		require.Equal(t, tc.want, Passing(tc.err), name)
	}
	require.False(t, (&sandbox.ExitError{Code: 137, Used: sandbox.Usage{Killed: 1}}).Killed(), "the kernel did it, for memory")
	require.True(t, (&sandbox.ExitError{Code: 137}).Killed())
	require.False(t, (&sandbox.ExitError{Code: 1}).Killed())
}
