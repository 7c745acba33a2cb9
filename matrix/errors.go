package matrix

import "strings"

// HostError says that the host lacks something that a run needs. Each problem is
// one sentence and says what mends it.
type HostError struct{ Problems []error }

func (e *HostError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return "this host is not ready (ohpc-build doctor checks again):\n  " + strings.Join(lines, "\n  ")
}

func (e *HostError) Unwrap() []error { return e.Problems }

// UsageError is a mistake in what the program was asked or given: options,
// configuration or recipes.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }
