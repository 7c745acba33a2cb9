package plan

import "github.com/ohpc-build/ohpc-build/repo/rpm"

// Option says what else New should know.
type Option func(*options)

type options struct {
	base     Base
	text     func(path string) ([]byte, error)
	skips    []Skip
	failures []Failure
}

// Base tells what a target holds by itself.
type Base interface {
	// Provides says whether the target has what meets a requirement that is not
	// rich. It is not known when the target's packages are not at hand.
	Provides(target, arch string, req rpm.Dependency) (met, known bool)
}

// WithBase tells requirements that a target meets from those that nobody does.
// Without it what no job meets is assumed to be the target's.
func WithBase(b Base) Option { return func(o *options) { o.base = b } }

// WithText gives the texts of specs and of the files that they include, by their
// path in [Job.Spec] and [Job.Files], so that requirements can be told with the
// line that they are written in. It is asked only about what there is to tell of.
func WithText(read func(path string) ([]byte, error)) Option {
	return func(o *options) { o.text = read }
}

// WithSkips tells which jobs there are not to be.
func WithSkips(s []Skip) Option { return func(o *options) { o.skips = s } }

// WithFailures tells which specs could not be read. What they would provide is
// missed by others.
func WithFailures(f []Failure) Option { return func(o *options) { o.failures = f } }
