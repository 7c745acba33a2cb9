// Package cache says what a state folder holds and bounds its size.
//
// Everything in it can be got or made again, except for keys and what must be
// remembered (the digest that an address gave first); those are never touched.
// What was used least recently goes first. Records are the roots: an object that
// a record needs stays with it, or both go. The store does not know what its
// records mean; the table in kinds.go does, and a kind that it lacks is kept.
package cache
