// Package diff compares what two repositories offer: what a client would gain,
// lose or be given back in an older version by moving from one to the other.
package diff
