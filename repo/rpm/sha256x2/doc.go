// Package sha256x2 computes two SHA-256 digests side by side. On processors with
// the SHA extensions two take little longer than one, because one alone leaves
// their unit idle half of the time: what must have a digest of the whole of a file
// and of a part of it gets the second one nearly for nothing. Elsewhere it is
// crypto/sha256, twice.
package sha256x2
