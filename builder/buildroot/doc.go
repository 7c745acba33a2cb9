// Package buildroot turns an image and a set of packages into the root file
// system in which a job is built or a package is tried: the image's layers and
// further ones, cached by the digests of what went into them and shared read-only.
//
// The packages are installed by the target's own rpm, without a network. rpm
// checks that every requirement is met by the set itself or by the image, so that
// a root is complete or is not made. Where a root was made before with the most of
// the wanted packages, only the rest is installed on top of it.
package buildroot
