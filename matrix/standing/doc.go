// Package standing is what a published repository tells of itself: which of its cells
// are supported, and what the others lack. It is read off a run's report, kept by
// snapshot in the published tree, packed into the release package on one line for each
// cell, and what keeps a channel's cells from losing their standing unnoticed.
package standing
