// Package publish lays signed packages out as OpenHPC's repositories are laid
// out, in snapshots that are complete before anybody sees them and never change
// afterwards. Package channel lets clients see them.
//
// One repodata serves all architectures. A snapshot's id is a digest of all
// that determines it, so the same packages are the same snapshot and nothing is
// written twice.
package publish
