// Package spec asks rpmspec what a spec would build: which packages, what they
// provide and require, and what building takes.
//
// A spec runs programs while it is parsed, and may come from a stranger. So the
// target's own rpmspec reads it, in a container that a [Runner] provides: no
// network, nothing of the host, no rights, and a time limit for each spec. One
// container answers many queries, its script is fixed, and no word of a recipe
// is ever part of a command line that a shell reads: arguments go through files.
// Only queries about one spec share a container: it could falsify their answers.
//
// Where the image has rpm's Python module, which dnf brings along, that answers: it
// is rpmspec's own library, but reads a spec once instead of once for its packages
// and once for its source package. What it cannot say for certain, errors first of
// all, it leaves to rpmspec.
//
// Answers are kept in the store under everything that they depend on: the spec,
// the files it can include, the defines, the architecture and the image.
package spec
