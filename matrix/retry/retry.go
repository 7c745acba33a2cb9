package retry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/matrix/host"
	"github.com/ohpc-build/ohpc-build/matrix/trial"
	"github.com/ohpc-build/ohpc-build/recipes/source"
)

// Wait is how long is usually waited before the second attempt.
const Wait = 5 * time.Second

// Patience tries something again after each fault of the infrastructure. The zero value
// tries once.
type Patience struct {
	Retries int           // further attempts, at most
	Wait    time.Duration // before the first of them, and twice as long each time after
	Log     *slog.Logger
}

// Try implements [trial.Patience]: it tries something, and again after each fault of the
// infrastructure, as often as that is wanted. It returns how often it was tried. What is
// said of it goes to log, too.
func (p Patience) Try(ctx context.Context, what string, log io.Writer, try func() error) (attempts int, err error) {
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil || ctx.Err() != nil || attempt > p.Retries || !Passing(err) {
			return attempt, err
		}
		wait := p.Wait << (attempt - 1)
		p.Log.Warn("a fault of the infrastructure; trying again", "what", what, "attempt", attempt, "of", p.Retries+1, "after", wait, "error", err)
		fmt.Fprintf(log, "\n=== attempt %d of %d failed: %v\n=== it is a fault of the infrastructure; trying again after %s\n\n", attempt, p.Retries+1, err, wait)
		select {
		case <-ctx.Done():
			return attempt, err
		case <-time.After(wait):
		}
	}
}

// Blame implements [trial.Patience]: it adds to the words of an error whose fault it is,
// and how often it was tried.
func (p Patience) Blame(err error, attempts int) string {
	switch {
	case !Passing(err):
		return err.Error()
	case attempts > 1:
		return fmt.Sprintf("%v\n(a fault of the infrastructure, in spite of %d attempts)", err, attempts)
	}
	return fmt.Sprintf("%v\n(a fault of the infrastructure; --retry N tries again)", err)
}

// Passing says whether an error is a fault of the infrastructure, which may be gone
// the next time: a download that failed at the server or on the way, of a source, of
// packages or of an image, a container that could not be started or was killed from
// outside, a build's or a check's. That a build fails, passes its limits or takes too
// long is none, and neither is a full disk.
func Passing(err error) bool {
	var (
		fetch      *source.FetchError
		start      *sandbox.StartError
		killed     *builder.KilledError
		lost       *trial.FaultError
		download   *debian.DownloadError
		bootstrap  *debian.Error
		repository *resolve.RepositoryError
		registry   *transport.Error
		network    net.Error
	)
	switch {
	case errors.As(host.ExplainFull(err, "."), new(*host.FullError)), errors.Is(err, context.DeadlineExceeded): // a limit of our own
		return false
	case errors.As(err, &fetch):
		return fetch.Passing()
	case errors.As(err, &registry):
		return registry.Temporary() || registry.StatusCode >= http.StatusInternalServerError
	case errors.As(err, &download):
		return download.Passing()
	case errors.As(err, &bootstrap):
		return bootstrap.Passing()
	case errors.As(err, &start), errors.As(err, &killed), errors.As(err, &lost), errors.As(err, &repository), errors.As(err, &network):
		return true
	}
	return false
}
