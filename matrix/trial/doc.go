// Package trial tries a snapshot in one cell: the checks that the cell's target
// requires, each in a fresh container. A check that has passed on the same bytes
// before, packages, image and test alike, is not run again.
package trial
