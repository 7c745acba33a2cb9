// Package sign makes and verifies the OpenPGP signatures of packages and of
// repository metadata.
//
// Signatures are what rpm 4 and all its users accept: version 4, SHA-256, by RSA
// or Ed25519 under the tags of each, over a package's header, which holds the
// payload's digest, and over header and payload where it holds no strong one.
// Given a time they are deterministic: the same package signed by the same key is
// the same file, and signing a signed package replaces its signatures. What a
// package contains is never changed.
//
// The private key is in this process or behind a [Signer], which gets digests
// only: gpg-agent, or a command.
//
// go-rpmutils can sign too, but salts its signatures at random, leaves stale
// ones of other kinds in place and puts EdDSA under RSA's tags; so signature
// headers are written by repo/rpm, behind its bounds-checked reader, and
// go-rpmutils only confirms them in the tests.
package sign
