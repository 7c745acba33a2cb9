// Package patch writes what a commit changed as a patch that git am, git apply
// and patch -p1 take, as git format-patch would. The same commit gives the same
// bytes everywhere: nothing in them comes from this program's version, the clock
// or a heuristic.
//
// Renames are written as a file that goes and a file that comes. What patch(1)
// could not apply is an error instead: binary files, submodules, and commits
// with no parent or several, which no single change stands for.
package patch
