package matrix

import "github.com/ohpc-build/ohpc-build/matrix/host"

// What stations of the line find out, and who calls the line decides by.
type (
	HostError = host.Error     // the host lacks something that a run needs
	FullError = host.FullError // a file system is full
)

// ExplainFull is [host.ExplainFull].
func ExplainFull(err error, state string, others ...string) error {
	return host.ExplainFull(err, state, others...)
}

// UsageError is a mistake in what the program was asked or given: options,
// configuration or recipes.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }
