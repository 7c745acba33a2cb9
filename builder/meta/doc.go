// Package meta turns the description of a meta-package into its binary and its
// source package, as rpmbuild would from the same spec, but without a compiler,
// a container or rpmbuild: a list is all there is to it. The packages are the
// same on every machine.
package meta
