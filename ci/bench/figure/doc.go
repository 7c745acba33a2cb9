// Package figure holds what a benchmark finds: a number of ours beside a peer's
// and the limit that the design asks for, as a row for people and as JSON for
// programs; and how numbers are taken: as the median of a few runs.
package figure
