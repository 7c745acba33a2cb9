// Package create makes the metadata of a folder of packages, as createrepo_c does:
// what it writes equals what that writes, but for times, which do not depend on
// the files' own. A package that cannot be trusted to be what it says stops it,
// the new metadata replace the old ones in one step, and an index of what was
// written makes the next run as cheap as what has changed.
package create
