// Package builder turns one job into packages: it assembles the build root, lays
// out the sources, runs rpmbuild as an unprivileged user without a
// network, and keeps what came out in the store.
//
// A [Job] holds everything that its build needs as plain data with digests, so
// that it can be written to a file and run elsewhere over the same store.
package builder
