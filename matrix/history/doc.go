// Package history enters a run in the history of runs that package state keeps: that it
// began, each job that it built, and how it ended. In return it tells what the run's
// jobs and checks did before. It stops no run: what cannot be entered is only told.
package history
