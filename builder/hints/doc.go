// Package hints tells which build requirements a build did without: it compares
// the files that the build opened with the files of what each requirement brought
// into the build root.
//
// A hint is meant to be right rather than complete. What a requirement brought
// counts as used when any file of its packages, of what their links lead to, or of
// packages that nothing else in the root asks for, was opened by anybody in the
// container. So a library that rpm itself is linked with is never hinted at. A
// requirement whose packages hold nothing to be opened never is either.
package hints
