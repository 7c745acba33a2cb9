// Package lint finds what is wrong with recipes before anything is built: what
// rpm said of each spec in each cell is held against the rest of the catalogue,
// and against the text that people wrote, so that a finding has a line.
//
// A rule speaks up only about what it can be sure of from what it was given.
// Whether everything installs is not its question but that of validate closure.
package lint
