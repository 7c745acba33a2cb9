// Package snapshot finds the immutable repositories of a published tree and reads
// what they say of themselves. A snapshot's id is the digest of its manifest,
// which holds the digests of all that determines the rest: what lies in a
// snapshot's folder cannot pass for another one.
package snapshot
