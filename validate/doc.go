// Package validate tries a snapshot as its users will: in fresh containers that
// hold the target's image and nothing of the build, with the target's own
// package managers and with every signature checked.
//
// Each validation is a [Check] with one result for one cell. A check never
// stops the others; what could not be tried is a skip with its reason.
package validate
