// Package matrix is the whole run: it takes recipes through images, plan, build,
// signing, snapshot, validation and publishing, for every cell, and reports how
// it went.
//
// The stations themselves live in their own packages and do not know each other.
// What one of them needs of another is handed on here: this is where the wiring
// is, and nothing but the wiring.
package matrix
