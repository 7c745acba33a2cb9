// Package image turns OCI images into folders that overlayfs can join to a root.
//
// An image's blobs are objects of the store, and a record under the name of what
// it was made from says which. It comes from a registry, an OCI layout, an archive
// of docker's or OCI's ([Images.Pull]), or is made of layers by the packages
// below: builder/image/debian bootstraps one from a Debian archive,
// builder/image/bridge adds what makes it look like an RPM distribution.
//
// Each layer is unpacked once, by its diff id, which is verified on the way, and
// never written to again.
package image
