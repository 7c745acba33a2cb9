// Package groups makes of a repository's meta-packages the groups that package managers
// install by their names: "dnf group install ohpc-base".
package groups
