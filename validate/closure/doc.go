// Package closure tells whether a set of repositories is closed: whether each
// requirement of each package under test has a provider among them and in the
// base system that they are for, on each architecture. It solves nothing: two
// packages that exclude each other still count as provided.
//
// A rich dependency holds when there is a way to satisfy it, and conditions are
// taken at their worst: (A if B) asks for A as soon as B can be installed. See
// [Check] for the words, and rpm's manual, "Boolean Dependencies", for what the
// operators mean.
package closure
