// Package content looks into packages for what must not be there: code for another
// machine, traces of the place where they were built, rights that nobody declared.
//
// Packages are those of strangers. Their payloads are read as streams, nothing is
// unpacked, and of a file no more is kept than its headers need.
package content
