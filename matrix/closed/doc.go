// Package closed tells, before anything is built, whether all jobs of a plan could
// be built, and what they would make be installed: in each cell on its own, each
// requirement must have a provider among the packages of that cell and what its
// target holds.
//
// What a target holds may be known in part only. Then a requirement counts as
// missing where nobody but the project can meet it, and is left to the target
// otherwise.
//
// It can only tell of what a spec says. The libraries that a package needs are
// found when it is built, and [closure.Check] looks for them in the finished
// repository.
package closed
