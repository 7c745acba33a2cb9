// Package store is the content-addressed folder in which everything that must
// last lives: sources, image layers, packages, logs and results.
//
// Objects are named by the SHA-256 of their bytes and are never changed.
// Records are small JSON documents under a kind and a name (a job's key, an
// image's recipe digest) that say which objects belong together. Nothing is
// trusted by its name: objects are hashed again when they are read, records
// carry a digest of their own content, and a mismatch is an error that names
// the file (decision 5 of the design).
//
// An entry that is used is marked, at most once a day, so that a sweep can tell what
// nobody needs; it leaves alone what a running program may rely on.
//
// Writes go to a temporary file first and appear by rename, so that a crash
// leaves either the whole entry or none. Many processes may use one store.
package store
