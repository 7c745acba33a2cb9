// Package compare says in what two packages differ: which tag of the header,
// which file of the payload, and within a file which lines, which section or
// which member. Signatures are not looked at: two packages that differ in nothing
// else are the same.
//
// Packages are read as if an enemy had written them: what is held in memory is
// bounded by their headers and by fixed limits, whatever their payload unpacks to.
package compare
