package matrix

// UsageError is a mistake in what the program was asked or given: options,
// configuration or recipes.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }
