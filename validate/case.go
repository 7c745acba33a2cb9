package validate

import "time"

// Case is one of the tests that a check consists of.
type Case struct {
	Name     string
	Outcome  Outcome
	Reason   string // why it was skipped, or what it said when it failed
	Duration time.Duration

	// Ran is how a case ended whose outcome is a skip because it does not count.
	Ran Outcome
}
