// Package publish lays signed packages out as OpenHPC's repositories are laid
// out, in snapshots that are complete before anybody sees them and never change
// afterwards, and moves a target's name from one snapshot to the next.
//
//	<root>/.snapshots/<target>/<id>/{<arch>…,noarch,src,repodata}
//	<root>/OpenHPC/<release>/<target> -> ../../.snapshots/<target>/<id>
//
// One repodata serves all architectures. A snapshot's id is a digest of all
// that determines it, so the same packages are the same snapshot and nothing is
// written twice. Make and Publish are two steps because a snapshot is validated
// in between.
package publish
