// Package circle finds circles in graphs: which nodes lie on some, and a shortest
// one among these.
package circle
