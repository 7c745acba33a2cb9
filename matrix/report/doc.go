// Package report holds what a run of the matrix came to, and writes it down: the
// table for people, matrix.json for programs and junit.xml for CI systems.
package report
