// Package layer reads and writes the layers of OCI images: a blob's archive with
// its digest verified, an archive's files as a lower layer of overlayfs, and the
// upper layer of an overlay as an archive again.
package layer
