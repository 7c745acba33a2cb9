// Package report holds what a run of the matrix came to: the document matrix.json,
// the table for people, and what follows from comparing two runs. The packages below
// it write it in other forms; matrix/report/write writes them all.
package report
