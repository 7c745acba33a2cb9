// Package resolve is phase one of a hermetic build: it finds the packages that a
// build root must hold beside what its image holds, brings them into the store, and
// says so in a lock. Phase two needs the lock, the store, and no network.
//
// Who decides is the target's own package manager, in a container of the image that
// has a network and nothing else of the host's. It is asked to install packages
// that are made for the purpose, one for each requirement: a rich dependency, a
// range of versions or a file means there what it means to rpm, no word of a spec
// becomes an argument of a command, and the manager's complaints name the
// requirement that they are about.
package resolve
