package matrix

import (
	"errors"
	"time"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/recipes/source"
)

// retryWait is how long is waited before a job is tried again, and twice as long each
// time after.
const retryWait = 5 * time.Second

// passing says whether an error is a fault of the infrastructure, which may be gone
// the next time: a download that failed at the server or on the way, a container that
// could not be started or was killed from outside. That a build fails, passes its
// limits or takes too long is none, and neither is a full disk.
func passing(err error) bool {
	var (
		fetch      *source.FetchError
		start      *sandbox.StartError
		killed     *builder.KilledError
		download   *debian.DownloadError
		repository *resolve.RepositoryError
	)
	switch {
	case errors.As(ExplainFull(err, "."), new(*FullError)):
		return false
	case errors.As(err, &fetch):
		return fetch.Passing()
	case errors.As(err, &start), errors.As(err, &killed), errors.As(err, &download), errors.As(err, &repository):
		return true
	}
	return false
}
