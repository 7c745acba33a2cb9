// Package synthetic makes what benchmarks need much of: an OpenHPC tree as large
// as the real one, and packages.
package synthetic
