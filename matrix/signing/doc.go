// Package signing signs packages that are in the store, and remembers by which key each
// was signed, so that the same package is signed once. Unsigned packages are what builds
// are judged and reused by; signed ones are what goes into repositories.
package signing
