// Package targets holds the definitions of distributions that ship with the
// program, and makes of them, of a catalogue's own and of those in a
// configuration the targets that there are.
//
// A definition says what the distribution's rpm configuration defines, so that
// its specs can be read, and everything be planned, where its image cannot be
// had. docs/targets.md tells where each macro is from.
package targets
