// Package schedule runs a graph of tasks in a room of a limited size: each task as
// soon as everything it needs has succeeded and there is room for it, the rest even
// when one fails.
//
// Of the tasks that could begin, the one begins that the end of the whole waits for
// longest (its own time and that of the longest chain of tasks that need it). When
// that one does not fit beside those that run, room is kept for it: others begin
// meanwhile only where they do not delay it, so that a task that wants much memory
// does not wait for ever behind small ones. This is list scheduling by critical path
// with the reservation of EASY backfilling (Lifka 1995), as batch systems have it.
//
// Where memory, disk or cores are so scarce that this is not near the least that there
// could be ([Bound]), runs are simulated before the real one begins: with a preference
// for tasks that use what is free in proportion, with ranks from a schedule that was made
// backwards, and with ranks moved at random, the same way each time. The best is kept.
//
// [Simulate] follows the same rules, as the code is the same.
package schedule
