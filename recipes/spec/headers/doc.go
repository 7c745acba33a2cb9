// Package headers describes the packages that a spec would build, as rpmspec
// prints them in a format of ours.
package headers
