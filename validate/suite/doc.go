// Package suite runs a recipe's own tests where its packages are installed and
// nothing else is: BATS files, each of whose tests is a case with a result of its
// own, and plain scripts, which are one case.
//
// What tests print is not believed further than it agrees with itself: every case
// that was announced has to end exactly once, the exit status has to fit, and a
// suite without a case fails. Lines, cases and what is kept of both are bounded.
package suite
