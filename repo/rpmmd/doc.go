// Package rpmmd writes and reads the metadata of package repositories:
// primary, filelists and other, and the repomd.xml that names them.
//
// What it writes is, element by element, what createrepo_c writes. The same
// packages give the same bytes whenever and wherever they are written: packages
// come in the order of their locations, times come from the packages or from
// the caller, and data files are named by their digests. A package is rendered
// by itself into a Fragments value that depends on nothing but the package,
// its place and its digest, so that fragments can be kept and used again.
package rpmmd
