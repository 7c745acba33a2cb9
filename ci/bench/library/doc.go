// Package library holds no code, only Go benchmarks of what no command does by
// itself, on a folder of packages that the benchmarks' program made: it runs them
// beside the peers that work on the same folder.
package library
