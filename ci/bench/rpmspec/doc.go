// Package rpmspec asks the host's own rpmspec, without any of the program's code,
// what the specs of a plan would build, and compares that with what the plan says.
//
// Specs run commands when they are read. Here they do so on the host, as an
// ordinary user if there is a choice: this is for trees that are trusted.
package rpmspec
