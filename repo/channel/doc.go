// Package channel moves the names that clients follow from one snapshot to the
// next, so that no client ever notices.
//
// A channel's mirrorlist of one line is what publishing replaces, by one rename:
// a client that has read it stays inside one immutable snapshot, whose files do
// not change or vanish while it reads them. The symbolic link for a plain baseurl
// follows at once. All moves of one call are written to a journal first; whatever
// interrupts them, the next command completes them. Only one process changes a
// tree at a time, and a move that was decided on when the channel pointed
// elsewhere is refused. What no channel needs any more is collected after the
// time for which clients may remember it.
package channel
