// Package spectext reads the text of a spec as it is written, without expanding
// it: where macros are used and defined, which commands rpm runs while it parses,
// which tags there are, and which paths %files lists. It answers what rpm cannot
// tell afterwards, and finds the line for what rpm tells of the result.
//
// Specs come from strangers. Reading one takes time in proportion to its length,
// nothing is run and no file is opened.
package spectext
