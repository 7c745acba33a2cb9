// Package signature verifies that every package of a repository, and its metadata,
// are signed with the key that clients are told to trust: by our own reader, and by
// the target's own rpm, which is the one that must agree.
package signature
