// Package install tries what a user does with packages: to install them in a fresh
// system with the target's package manager, signatures checked, and to remove them
// again, after which the system must be as it was.
package install
