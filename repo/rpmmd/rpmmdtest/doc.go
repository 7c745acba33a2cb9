// Package rpmmdtest lets the real dnf and zypper use repositories that tests
// make, each in a root of its own, away from the host's configuration.
package rpmmdtest
