// Package schedule runs a graph of tasks on a number of slots: each task as
// soon as everything it needs has succeeded, the rest even when one fails.
package schedule
