// Package specline finds the line of a spec that a requirement comes from. rpm
// tells what a spec requires once its macros are expanded, but not where that is
// written. So it is a search: for the tag with that very requirement, or else for
// the one that it can be when macros stand for anything.
package specline
