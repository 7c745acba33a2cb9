// Package buildroot turns an image and a set of packages into the root file
// system in which a job is built or a package is tried: the image's layers and
// one more, cached by the digests of what went into it and shared read-only.
//
// The packages are installed by the target's own rpm, in one transaction,
// without a network. rpm checks that every requirement is met by the set itself
// or by the image, so that a root is complete or is not made.
package buildroot
