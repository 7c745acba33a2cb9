package matrix

import "github.com/ohpc-build/ohpc-build/matrix/host"

// HostError says that the host lacks something that a run needs.
type HostError = host.Error

// FullError says that a file system is full.
type FullError = host.FullError

// ExplainFull is [host.ExplainFull].
func ExplainFull(err error, state string, others ...string) error {
	return host.ExplainFull(err, state, others...)
}

// UsageError is a mistake in what the program was asked or given: options,
// configuration or recipes.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }
