// Package overlap finds files that packages would overwrite each other's with. It
// decides as rpm does when both are installed, from the packages' headers alone, and
// only for packages that can be installed together.
package overlap
