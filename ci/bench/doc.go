// Command bench measures the built ohpc-build beside other programs that do the
// same, on one machine in one run, and prints a row for each figure. It is what
// make bench runs; docs/bench.md tells what is measured and how to read it.
//
// It uses ohpc-build as its users do, by its command line. A new benchmark is a
// file here, and a line in the list in main.go.
package main
