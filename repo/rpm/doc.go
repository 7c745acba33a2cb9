// Package rpm reads RPM package files as if an enemy had written them: the
// lead, the signature header and the main header of formats 3, 4 and 6, with every
// count, offset and type checked before it is used. No allocation is larger
// than the file, lists (files, dependencies, changelogs) are iterated where
// they lie, and no input makes it panic.
//
// It also holds the two orders on which everything above relies: that of
// versions (rpm: rpmvercmp.c) and that of version ranges (rpm: rpmver.c), and
// the digests: what a package promises about its own bytes, and its content
// digest, which stays the same however the package is signed.
//
// A Reader reads whole files, one after the other, with all digests in one pass.
//
// It knows nothing of repositories.
package rpm
