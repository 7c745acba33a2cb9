// Package tarball writes source archives that are the same bytes for the same
// content, whoever makes them, when and where.
package tarball
